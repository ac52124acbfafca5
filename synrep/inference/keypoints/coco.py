"""COCO's results: a JSON list with an entry for each person that was detected."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from synrep.errors import InputError
from synrep.inference.keypoints.source import Content, Format, Source
from synrep.keypoint_sets import COCO_17

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_NUMBER = 100
"""Digits in an image's name that are read as one: reading takes quadratic time."""


def recognises(source: Source) -> bool:
    """A JSON list of objects."""
    content = None if source.is_folder else source.first_json
    return isinstance(content, list) and bool(content) and isinstance(content[0], dict)


def read(source: Source, _skeleton: str | None) -> Content:
    """The best score of each image; entries come in any order."""
    best: dict[int | str, tuple[float, NDArray[np.float64]]] = {}
    for index, entry in enumerate(source.first_json):
        try:
            image, score = entry["image_id"], float(entry.get("score", 0.0))
            points = np.array(entry["keypoints"], float).reshape(-1, 3)
            known = image in best
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            raise InputError(
                str(source.path),
                f"entry {index} is no result in COCO's format",
                "each needs image_id, keypoints (x, y, confidence for each joint) and score",
            ) from None
        if not known or score > best[image][0]:
            best[image] = (score, points)
    images = sorted(best, key=_natural)
    frames = images if all(isinstance(image, int) for image in images) else None
    people = [best[image][1].tolist() for image in images]
    return Content(points=people, skeleton=COCO_17.name, frames=frames)


def _natural(image: int | str) -> list[tuple[int, int, str]]:
    """Order in which 'frame 9' comes before 'frame 10'; longer numbers are words."""
    return [
        (0, int(part), "") if part.isdecimal() and len(part) < LONGEST_NUMBER else (1, 0, part)
        for part in re.split(r"(\d+)", str(image))
        if part
    ]


FORMAT = Format(
    name="coco",
    help="COCO's results in a JSON list, one entry a person; images are frames. Of several people "
    "in an image, the one with the best score is taken.",
    recognises=recognises,
    read=read,
)
