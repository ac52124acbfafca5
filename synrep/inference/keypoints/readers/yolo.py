"""YOLO's text: a line for each person, a file for each frame.

A line holds the class, the box (4 numbers), and for each joint x, y and, in most models, a
confidence; then the confidence of the box and the track, if they were saved. All places are
fractions of the image's width and height.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synrep.errors import InputError
from synrep.inference.keypoints.people import Person, same_joints
from synrep.inference.keypoints.source import Content, Format
from synrep.keypoint_sets import COCO_17, KEYPOINT_SETS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.inference.keypoints.source import Source

BOX = 5
"""Numbers before the joints: class and box."""

Line = tuple["NDArray[np.float64]", list[str]]
"""A person's joints (J, 3), and what comes after them in the line."""


def recognises(source: Source) -> bool:
    """Text files of numbers."""
    files = source.files(".txt")
    lines = (line.split() for file in files for line in _lines(file))
    first = next((line for line in lines if line), None)
    try:
        return bool(first) and [float(word) for word in first or ()] != []
    except ValueError:
        return False


def read(source: Source, skeleton: str | None) -> Content:
    """Everybody in each frame, which is numbered by its file's name."""
    files, name = source.files(".txt"), skeleton or COCO_17.name
    joints = len(KEYPOINT_SETS[name].joints)
    frames = [[_line(line, joints, name, file) for line in _lines(file)] for file in files]
    # 'confidence', 'track', or both: alone, whole numbers are tracks.
    after = [rest for frame in frames for _, rest in frame if len(rest) == 1]
    tracks = bool(after) and all(rest[0].isdecimal() for rest in after)
    people = [[_person(points, rest, tracks=tracks) for points, rest in f] for f in frames]
    same_joints(people, [str(file) for file in files], str(source.path))
    return Content(people=people, skeleton=name, frames=source.numbers(files))


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(str(file), f"can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(str(file), f"not text: {error}") from None
    return [line for line in lines if line.strip()]


def _line(line: str, joints: int, name: str, file: Path) -> Line:
    words = line.split()
    try:
        numbers = np.array([float(word) for word in words])
    except ValueError:
        raise InputError(str(file), "it holds words, not numbers", "see the guide") from None
    for each in (3, 2):
        end = BOX + each * joints
        if end <= len(words) <= end + 2:
            points = numbers[BOX:end].reshape(joints, each)
            if each == 2:
                points = np.concatenate([points, np.ones((joints, 1))], 1)
            return points, words[end:]
    raise InputError(
        str(file),
        f"a line of {len(words)} numbers is no YOLO pose of {name}: class and box are {BOX}, then "
        f"2 or 3 for each of {joints} joints, then up to 2",
        "use --skeleton, or predict with a pose model and save_txt=True",
    )


def _person(points: NDArray[np.float64], rest: list[str], *, tracks: bool) -> Person:
    numbers = [float(word) for word in rest]
    score = float(np.nan_to_num(points[:, 2]).mean())
    if len(rest) == 2 or (rest and not tracks):
        score = numbers[0]
    track = rest[-1] if len(rest) == 2 or (rest and tracks) else None
    return Person(points=points, score=score, track=track)


FORMAT = Format(
    name="yolo",
    help="YOLO's text of a pose model (save_txt): a file a frame, or a folder of them. Places are "
    "fractions of the image: needs --image-size. COCO's joints unless --skeleton says otherwise.",
    recognises=recognises,
    read=read,
)
