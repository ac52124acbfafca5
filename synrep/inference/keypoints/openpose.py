"""OpenPose's JSON: a file for each frame, a folder of them for a video."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synrep.errors import InputError
from synrep.inference.keypoints.source import Content, Format, Source, read_json, stack_frames
from synrep.keypoint_sets import OPENPOSE_25

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEY = "pose_keypoints_2d"


def recognises(source: Source) -> bool:
    """A JSON object with people, or a folder whose first JSON file is one."""
    return isinstance(source.first_json, dict) and "people" in source.first_json


def read(source: Source, _skeleton: str | None) -> Content:
    """The surest person of each frame, by the sum of confidences."""
    files = source.files(".json")
    frames = [_surest(read_json(file), str(file)) for file in files]
    return Content(points=stack_frames(frames, files, source), skeleton=OPENPOSE_25.name)


def _surest(content: Any, place: str) -> NDArray[np.float64] | None:
    """(J, 3) x, y and confidence of the person whose keypoints are surest; None of nobody."""
    try:
        people = [np.array(person[KEY], float) for person in content["people"]]
        frames = [person.reshape(-1, 3) for person in people if person.size]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InputError(place, f"not OpenPose JSON: people with {KEY}") from None
    return max(frames, key=lambda points: float(points[:, 2].sum()), default=None)


FORMAT = Format(
    name="openpose",
    help="OpenPose's JSON file of one frame, or a folder of them, by name. Of several people the "
    "surest is taken.",
    recognises=recognises,
    read=read,
)
