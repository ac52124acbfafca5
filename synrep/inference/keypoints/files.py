"""Files with 2D keypoints: JSON in several forms, OpenPose folders, npz, CSV.

Axes: F frames, J joints.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synrep.datasets.untrusted.json_text import parse_json
from synrep.datasets.untrusted.npz import read_npz
from synrep.errors import InputError
from synrep.inference.keypoints.tables import read_table

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

OPENPOSE = "openpose-25"
OPENPOSE_KEY = "pose_keypoints_2d"
COCO = "coco-17"
LONGEST_NUMBER = 100
"""Digits in an image's name that are read as one: reading takes quadratic time."""


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a source holds, not yet checked.

    Attributes:
        points: nested lists or an array, (F, J, 2 or 3); null where a joint is missing.
        skeleton: name of the joints, if the source says it.
        numbers: of the frames, if the source says them.
    """

    points: Any
    skeleton: str | None = None
    numbers: Any = None


def read_content(source: Path, skeleton: str | None) -> Content:
    """The frames in a file or folder, of one person.

    Args:
        source: file or folder.
        skeleton: name of the joints, which tables need to know their columns by.

    Raises:
        InputError: the source can't be understood.
    """
    if source.is_dir():
        files = sorted(source.glob("*.json"))
        if not files:
            raise InputError(str(source), "the folder holds no .json files")
        return _openpose([_json(file) for file in files], [str(file) for file in files], source)
    match source.suffix.lower():
        case ".npz":
            return _npz(source)
        case ".csv":
            name, points, numbers = read_table(source, skeleton)
            return Content(points=points, skeleton=name, numbers=numbers)
        case ".json":
            return _from_json(_json(source), source)
    raise InputError(
        str(source), f"unknown kind of file {source.suffix!r}", "give .json, .npz or .csv"
    )


def _from_json(content: Any, source: Path) -> Content:
    if isinstance(content, dict) and "people" in content:
        return _openpose([content], [str(source)], source)
    if isinstance(content, dict):
        if "keypoints" not in content:
            raise InputError(str(source), "it has no key 'keypoints'")
        named = content.get("skeleton")
        if not isinstance(named, str | None):
            raise InputError(str(source), f"its 'skeleton' is {named!r}", "give the name as text")
        return Content(points=content["keypoints"], skeleton=named, numbers=content.get("frames"))
    if isinstance(content, list) and content and isinstance(content[0], dict):
        return _coco(content, str(source))
    return Content(points=content)


def _json(path: Path) -> Any:
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(str(path), f"can't be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(str(path), f"not JSON: {error}") from None


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays in an npz file, by name; pickled objects are never read.

    Raises:
        InputError: it can't be read, or holds something else.
    """
    return read_npz(path, objects=False)


def _npz(path: Path) -> Content:
    arrays = read_arrays(path)
    named = str(arrays.pop("skeleton")) if "skeleton" in arrays else None
    numbers = arrays.pop("frames", None)
    if "keypoints" not in arrays and len(arrays) != 1:
        raise InputError(
            str(path),
            "it has no array 'keypoints', but " + (", ".join(arrays) or "none"),
            "name one of them 'keypoints'",
        )
    points = arrays["keypoints"] if "keypoints" in arrays else next(iter(arrays.values()))
    return Content(points=points, skeleton=named, numbers=numbers)


def _openpose(contents: list[Any], places: list[str], source: Path) -> Content:
    """The surest person of each frame; a frame without anybody has no joints."""
    frames = [_surest(content, place) for content, place in zip(contents, places, strict=True)]
    joints = next((frame.shape for frame in frames if frame is not None), None)
    if joints is None:
        rule = "nobody was detected in this frame" if len(frames) == 1 else "nobody was detected"
        raise InputError(str(source), rule, "leave it out")
    for frame, place in zip(frames, places, strict=True):
        if frame is not None and frame.shape != joints:
            raise InputError(place, f"{len(frame)} joints, where other frames have {joints[0]}")
    empty = np.full(joints, np.nan)
    points = np.stack([empty if frame is None else frame for frame in frames])
    return Content(points=points, skeleton=OPENPOSE)


def _surest(content: Any, place: str) -> NDArray[np.float64] | None:
    """(J, 3) x, y and confidence of the person whose keypoints are surest; None of nobody."""
    try:
        people = [np.array(person[OPENPOSE_KEY], float) for person in content["people"]]
        frames = [person.reshape(-1, 3) for person in people if person.size]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InputError(place, f"not OpenPose JSON: people with {OPENPOSE_KEY}") from None
    return max(frames, key=lambda points: float(points[:, 2].sum()), default=None)


def _coco(results: list[Any], place: str) -> Content:
    """COCO's results: one entry a person, in any order; the best score of each image is taken."""
    best: dict[int | str, tuple[float, NDArray[np.float64]]] = {}
    for index, entry in enumerate(results):
        try:
            image, score = entry["image_id"], float(entry.get("score", 0.0))
            points = np.array(entry["keypoints"], float).reshape(-1, 3)
            known = image in best
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            raise InputError(
                place,
                f"entry {index} is no result in COCO's format",
                "each needs image_id, keypoints (x, y, confidence for each joint) and score",
            ) from None
        if not known or score > best[image][0]:
            best[image] = (score, points)
    images = sorted(best, key=_natural)
    numbers = images if all(isinstance(image, int) for image in images) else None
    return Content(
        points=[best[image][1].tolist() for image in images], skeleton=COCO, numbers=numbers
    )


def _natural(image: int | str) -> list[tuple[int, int, str]]:
    """Order in which 'frame 9' comes before 'frame 10'; longer numbers are words."""
    return [
        (0, int(part), "") if part.isdecimal() and len(part) < LONGEST_NUMBER else (1, 0, part)
        for part in re.split(r"(\d+)", str(image))
        if part
    ]
