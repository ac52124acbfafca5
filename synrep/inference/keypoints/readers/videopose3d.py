"""VideoPose3D's own data sets, `data_2d_custom_*.npz`: one video of one person."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from synrep.datasets.untrusted.npz import read_npz
from synrep.errors import DamagedError, InputError
from synrep.inference.keypoints.source import Content, Format
from synrep.keypoint_sets import COCO_17
from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from pathlib import Path

    from synrep.inference.keypoints.source import Source

KEY = "positions_2d"
LAYOUTS = {"coco": COCO_17.name, "h36m": HUMAN36M_17.name}
"""Joints, by the name of their layout in the file's `metadata`."""


def recognises(source: Source) -> bool:
    """An archive with an array `positions_2d`."""
    if source.is_folder or not source.files(".npz"):
        return False
    try:
        with zipfile.ZipFile(source.path) as archive:
            return f"{KEY}.npy" in archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False  # told when it is read


def read(source: Source, skeleton: str | None) -> Content:
    """The keypoints of the only video."""
    place = str(source.path)
    videos = _dictionary(source.path, KEY)
    if len(videos) != 1:
        names = ", ".join(str(name) for name in list(videos)[:5])
        rule = f"it holds {len(videos)} videos" + (f": {names}" if videos else "")
        raise InputError(place, rule, "give a file of one video")
    views = next(iter(videos.values()))
    if isinstance(views, dict):
        if len(views) != 1:
            rule = f"its video has {len(views)} entries, not one"
            raise InputError(place, rule, "give a file of a custom data set")
        views = next(iter(views.values()))
    if not isinstance(views, list | tuple) or len(views) != 1:
        raise InputError(place, "its video is not seen by one camera", "give one camera's file")
    layout = _dictionary(source.path, "metadata").get("layout_name")
    points = views[0]
    if not isinstance(points, np.ndarray) or points.dtype.kind not in "fiu":
        raise DamagedError(place, f"its {KEY} are no arrays", "make it again with VideoPose3D")
    return Content(points=points, skeleton=skeleton or LAYOUTS.get(str(layout)))


def _dictionary(path: Path, key: str) -> dict[Any, Any]:
    array = read_npz(path, {key}).get(key)
    content = array.item() if array is not None and array.dtype == object and not array.ndim else {}
    if not isinstance(content, dict):
        rule = f"its {key} is no dictionary"
        raise DamagedError(str(path), rule, "make it again with VideoPose3D's scripts")
    return content


FORMAT = Format(
    name="videopose3d",
    help="VideoPose3D's data_2d_custom_*.npz of one video.",
    recognises=recognises,
    read=read,
)
