"""Animations: all frames, their speed, and a self-contained page."""

from __future__ import annotations

import base64
import io
import json
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from synrep.skeleton import HUMAN36M_17
from synrep.viz import plots
from synrep.viz.animation import gif, page
from synrep.viz.plots import Scene


def scene(frames: int, **changes: Any) -> Scene:
    """Poses that turn; the last two are equal."""
    pose = np.random.default_rng(1).uniform(-500, 500, (17, 3))
    angles = np.minimum(np.arange(frames), max(frames - 2, 0)) * 0.3
    turned = np.stack(
        [np.stack([c * pose[:, 0] + s * pose[:, 2], pose[:, 1], c * pose[:, 2] - s * pose[:, 0]], 1)
         for c, s in zip(np.cos(angles), np.sin(angles), strict=True)]
    )  # fmt: skip
    values: dict[str, Any] = {
        "skeleton": HUMAN36M_17,
        "keypoints": turned[..., :2],
        "predicted": turned,
        "frames": list(range(10, 10 + frames)),
    }
    return Scene(**values | changes)


@pytest.mark.parametrize(("fps", "duration_ms"), [(25.0, 40), (10.0, 100), (240.0, 20)])
def test_gif_has_every_frame_at_its_speed(fps: float, duration_ms: int) -> None:
    """The GIF contains all frames, even equal ones, and loops."""
    picture = Image.open(io.BytesIO(gif(scene(4, fps=fps))))
    assert (picture.format, getattr(picture, "n_frames", 1)) == ("GIF", 4)
    assert (picture.info["duration"], picture.info["loop"]) == (duration_ms, 0)
    frames = [np.asarray(frame.convert("RGB"), int) for frame in ImageSequence.Iterator(picture)]
    assert frames[0].shape[1] > 2 * frames[0].shape[0]
    for code in (plots.RIGHT, plots.LEFT, "#ffffff"):
        wanted = np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)])
        for frame in frames:
            assert (np.abs(frame - wanted).max(-1) < 12).any()
    assert np.abs(frames[0] - frames[1]).max() > 100
    assert np.abs(frames[2] - frames[3]).mean() < np.abs(frames[0] - frames[1]).mean()


def test_one_frame_is_a_gif_too() -> None:
    """Of a single picture."""
    picture = Image.open(io.BytesIO(gif(scene(1))))
    assert picture.format == "GIF"
    assert picture.size[0] > 300


def embedded(text: str, name: str) -> Any:
    """A constant of the page's script."""
    found = re.search(rf"const {name} = (.*);\n", text)
    assert found
    return json.loads(found[1])


def test_page_holds_all_that_it_shows() -> None:
    """The page embeds every frame with its caption and loads nothing from elsewhere."""
    text = page(scene(3)).decode()
    pictures = [
        Image.open(io.BytesIO(base64.b64decode(content))) for content in embedded(text, "frames")
    ]
    assert [picture.format for picture in pictures] == ["PNG"] * 3
    assert len({picture.size for picture in pictures}) == 1
    assert len(pictures[0].convert("RGB").getcolors(10**6) or []) > 10
    first, second = (np.asarray(picture.convert("RGB"), int) for picture in pictures[:2])
    assert np.abs(first - second).max() > 100
    assert embedded(text, "captions") == ["frame 10", "frame 11", "frame 12"]
    assert 'max="2"' in text
    assert "setInterval(step, 40.0)" in text
    bare = re.sub(r"[A-Za-z0-9+/=]{100,}", "", text)
    assert not re.search(r"https?:|//[a-z]|<link|src=\"(?!data:)", bare)


def test_page_shows_notes_as_text() -> None:
    """Names of clips can't add elements to the page."""
    text = page(scene(1, note="</title><script>x</script>")).decode()
    assert text.count("<script>") == 1
    assert "&lt;script&gt;" in text
