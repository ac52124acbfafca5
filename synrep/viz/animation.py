"""Moving pictures of poses: an animated GIF, or a page that plays without the network.

Axes: F frames.
"""

from __future__ import annotations

import base64
import html
import io
import json
from typing import TYPE_CHECKING

from PIL import Image

from synrep.viz.plots import Stage

if TYPE_CHECKING:
    from synrep.viz.plots import Scene

DPI = 72
COLOURS = 128
"""Of a frame: a picture has few, and the files stay small."""


def gif(scene: Scene) -> bytes:
    """An endless GIF of all frames; its clock counts hundredths of a second."""
    frames = _frames(scene)
    buffer = io.BytesIO()
    frames[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=max(20, 10 * round(100 / scene.fps)),
        loop=0,
        optimize=False,  # two frames that are equal stay two
    )
    return buffer.getvalue()


def page(scene: Scene) -> bytes:
    """An HTML page with all frames inside, a button to play and stop, and a slider."""
    pictures = []
    for frame in _frames(scene):
        buffer = io.BytesIO()
        frame.save(buffer, format="PNG", optimize=True)
        pictures.append(base64.b64encode(buffer.getvalue()).decode())
    captions = [scene.caption(row) for row in range(len(pictures))]
    return _PAGE.format(
        title=html.escape(scene.note or "poses"),
        last=len(pictures) - 1,
        first=pictures[0],
        frames=json.dumps(pictures),
        # "</script" would end the script, and "<!--" change how its end is found.
        captions=json.dumps(captions).replace("<", "\\u003c"),
        milliseconds=1000 / scene.fps,
    ).encode()


def _frames(scene: Scene) -> list[Image.Image]:
    """All frames in one palette, each panel with one window for the whole clip."""
    stage = Stage(scene, 1, DPI)
    everything = slice(0, len(scene.frames))
    found: list[Image.Image] = []
    for frame in range(len(scene.frames)):
        stage.show(0, frame, everything)
        picture = Image.open(io.BytesIO(stage.content("png"))).convert("RGB")
        if found:
            picture = picture.quantize(palette=found[0], dither=Image.Dither.NONE)
        else:
            picture = picture.quantize(COLOURS)
        found.append(picture)
    return found


_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 15px sans-serif; margin: 1em; }}
img {{ display: block; max-width: 100%; }}
input {{ width: 24em; max-width: 60%; vertical-align: middle; }}
</style>
</head>
<body>
<img id="picture" alt="2D input and 3D poses" src="data:image/png;base64,{first}">
<button id="play" type="button">stop</button>
<input id="frame" type="range" min="0" max="{last}" value="0" aria-label="frame">
<span id="caption"></span>
<script>
const frames = {frames};
const captions = {captions};
const picture = document.getElementById("picture");
const slider = document.getElementById("frame");
const play = document.getElementById("play");
let timer = null;
function show() {{
  const at = Number(slider.value);
  picture.src = "data:image/png;base64," + frames[at];
  document.getElementById("caption").textContent = captions[at];
}}
function step() {{
  slider.value = (Number(slider.value) + 1) % frames.length;
  show();
}}
function toggle() {{
  if (timer === null) {{
    timer = setInterval(step, {milliseconds});
  }} else {{
    clearInterval(timer);
    timer = null;
  }}
  play.textContent = timer === null ? "play" : "stop";
}}
play.addEventListener("click", toggle);
slider.addEventListener("input", show);
show();
toggle();
</script>
</body>
</html>
"""
