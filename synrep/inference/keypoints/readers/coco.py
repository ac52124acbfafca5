"""COCO's results: a JSON list with an entry for each person that was detected."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from synrep.errors import InputError, tell
from synrep.inference.keypoints.numbering import frame_numbers, natural
from synrep.inference.keypoints.people import Person, same_joints
from synrep.inference.keypoints.source import Content, Format
from synrep.keypoint_sets import COCO_17

if TYPE_CHECKING:
    from synrep.inference.keypoints.source import Source


def recognises(source: Source) -> bool:
    """A JSON list of objects."""
    content = None if source.is_folder else source.first_json
    return isinstance(content, list) and bool(content) and isinstance(content[0], dict)


def read(source: Source, skeleton: str | None) -> Content:
    """Everybody in each image; entries come in any order."""
    return read_results(source, skeleton or COCO_17.name)


def read_results(source: Source, skeleton: str | None) -> Content:
    """The people of each image in a list of results; images are frames, numbered by their names.

    Args:
        source: JSON of such a list.
        skeleton: the joints of the people.

    Raises:
        InputError: an entry has another form, or people differ in their number of joints.
    """
    place = str(source.path)
    images: dict[int | str, list[Person]] = {}
    for index, entry in enumerate(source.first_json):
        try:
            person = Person(
                points=np.array(entry["keypoints"], float).reshape(-1, 3),
                score=float(entry.get("score", 0.0)),
                track=_track(entry),
            )
            images.setdefault(entry["image_id"], []).append(person)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            raise InputError(
                place,
                f"entry {index} is no result in COCO's format",
                "each needs image_id, keypoints (x, y, confidence for each joint) and score",
            ) from None
    names = sorted(images, key=natural)
    people = [images[name] for name in names]
    same_joints(people, [f"{place}, image {name}" for name in names], place)
    return Content(people=people, skeleton=skeleton, frames=_frames(names, place))


def _frames(names: list[int | str], place: str) -> list[int] | None:
    if all(isinstance(name, int) for name in names):
        return [int(name) for name in names]
    numbers = frame_numbers([os.path.splitext(str(name))[0] for name in names])  # noqa: PTH122
    if numbers is None:
        rule = "the names of its images do not number the frames: they count from 0"
        tell(place, rule, f"from {names[0]} on, in natural order")
    return numbers


def _track(entry: dict[str, Any]) -> str | None:
    """A track id, as a number or as a list of one; one below 0 is none."""
    given = entry.get("track_id", entry.get("idx"))
    if isinstance(given, list):
        given = given[0] if len(given) == 1 else None
        given = given[0] if isinstance(given, list) and len(given) == 1 else given
    if not isinstance(given, int | float | str) or isinstance(given, bool):
        return None
    if isinstance(given, str):
        return given
    return None if not given >= 0 or given > 1e9 else str(int(given))


FORMAT = Format(
    name="coco",
    help="COCO's results in a JSON list, one entry a person; images are frames, by their number "
    "or the one in their name.",
    recognises=recognises,
    read=read,
)
