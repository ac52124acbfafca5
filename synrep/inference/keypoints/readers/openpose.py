"""OpenPose's JSON: a file for each frame, a folder of them for a video."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synrep.errors import InputError
from synrep.inference.keypoints.people import Person, same_joints
from synrep.inference.keypoints.source import Content, Format, read_json
from synrep.keypoint_sets import OPENPOSE_18, OPENPOSE_25

if TYPE_CHECKING:
    from synrep.inference.keypoints.source import Source

KEY = "pose_keypoints_2d"
OLD_KEY = "pose_keypoints"
"""Of OpenPose before 1.3."""
SETS = {len(entry.joints): entry.name for entry in (OPENPOSE_25, OPENPOSE_18)}


def recognises(source: Source) -> bool:
    """A JSON object with people, or a folder whose first JSON file is one."""
    return isinstance(source.first_json, dict) and "people" in source.first_json


def read(source: Source, _skeleton: str | None) -> Content:
    """Everybody in each frame; how sure a person is, is the sum of confidences."""
    files = source.files(".json")
    people = [_people(read_json(file), str(file)) for file in files]
    count = same_joints(people, [str(file) for file in files], str(source.path))
    if count not in SETS:
        raise InputError(
            str(source.path),
            f"OpenPose JSON of {count} joints",
            "those of BODY_25 (25) and of the COCO model (18) are read",
        )
    return Content(people=people, skeleton=SETS[count], frames=source.numbers(files))


def _people(content: Any, place: str) -> list[Person]:
    try:
        found = []
        for person in content["people"]:
            points = np.array(person[KEY if KEY in person else OLD_KEY], float)
            if points.size:
                points = points.reshape(-1, 3)
                score = float(np.nan_to_num(points[:, 2]).sum())
                found.append(Person(points=points, score=score, track=_track(person)))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InputError(place, f"not OpenPose JSON: people with {KEY}") from None
    return found


def _track(person: dict[str, Any]) -> str | None:
    """The person's id, which is -1 unless OpenPose follows people."""
    given = person.get("person_id", person.get("id"))
    number = given[0] if isinstance(given, list) and given else given
    return str(number) if isinstance(number, int) and number >= 0 else None


FORMAT = Format(
    name="openpose",
    help="OpenPose's JSON file of one frame, or a folder of them, whose names number the frames; "
    "25 joints (BODY_25) or 18 (COCO).",
    recognises=recognises,
    read=read,
)
