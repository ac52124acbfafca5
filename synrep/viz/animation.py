"""Animations of poses: an animated GIF, or a self-contained HTML page.

Axes: F frames.
"""

from __future__ import annotations

import base64
import html
import io
import json
from typing import TYPE_CHECKING

from PIL import Image

from synrep.viz.plots import SceneFigure

if TYPE_CHECKING:
    from synrep.viz.plots import Scene

DPI = 72
COLOURS = 128
"""Number of colours per frame; the pictures have few, and files stay small."""


def gif(scene: Scene) -> bytes:
    """Render all frames as a looping GIF, whose frame times are multiples of 10 ms."""
    frames = _frames(scene)
    buffer = io.BytesIO()
    frames[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=max(20, 10 * round(100 / scene.fps)),
        loop=0,
        optimize=False,  # otherwise Pillow merges equal frames
    )
    return buffer.getvalue()


def page(scene: Scene) -> bytes:
    """Render an HTML page with all frames embedded, a play/stop button and a slider."""
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
        # "</script" would end the script, and "<!--" would change where the parser finds its end.
        captions=json.dumps(captions).replace("<", "\\u003c"),
        milliseconds=1000 / scene.fps,
    ).encode()


def _frames(scene: Scene) -> list[Image.Image]:
    """Render all frames with one palette and, in each panel, the same axis limits."""
    figure = SceneFigure(scene, 1, DPI)
    all_frames = slice(0, len(scene.frames))
    images: list[Image.Image] = []
    for frame in range(len(scene.frames)):
        figure.show(0, frame, all_frames)
        image = Image.open(io.BytesIO(figure.content("png"))).convert("RGB")
        if images:
            image = image.quantize(palette=images[0], dither=Image.Dither.NONE)
        else:
            image = image.quantize(COLOURS)
        images.append(image)
    return images


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
