"""Tables of 2D keypoints (CSV): the header names the joints, a row is a frame.

Axes: F frames, J joints.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np

from synrep.errors import InputError
from synrep.inference.keypoints.source import Content, Format, Source
from synrep.keypoint_sets import KEYPOINT_SETS

if TYPE_CHECKING:
    from pathlib import Path

FRAME = "frame"
PARTS = {"x": 0, "y": 1, "confidence": 2, "conf": 2, "score": 2, "likelihood": 2}
"""What a column can hold, by the word after the joint's name; the last ones mean the same."""
LONG = (("left", "l"), ("right", "r"))
SAME = {"lankle": "lfoot", "rankle": "rfoot"}

Column = tuple[str, int]
"""Joint in plain spelling, and what is in the column: x, y or confidence."""


def recognises(source: Source) -> bool:
    """A file that ends in .csv."""
    return not source.is_folder and bool(source.files(".csv"))


def read(source: Source, skeleton: str | None) -> Content:
    """Keypoints in a CSV file with a header such as `frame,nose_x,nose_y,nose_confidence,...`.

    Joints may be spelt `left_wrist`, `LWrist` or `l-wrist`, and 'ankle' means the same as 'foot'.
    The column `frame`, the confidences, and joints that no model needs can be left out. An empty
    cell is a missing joint; where there is no column of confidences, they are 1.

    Args:
        source: the file.
        skeleton: name of a known set of joints; omitted, the one with just the header's joints.

    Raises:
        InputError: the header or a row can't be understood.
    """
    path = source.path
    rows = _rows(path)
    header = [cell.strip() for cell in rows[0]]
    columns = {
        index: _column(cell, path) for index, cell in enumerate(header) if cell.lower() != FRAME
    }
    name = skeleton or _set_of({joint for joint, _ in columns.values()}, path)
    numbers_of = _known(name)
    _check(columns, numbers_of, name, path)
    points = np.full((len(rows) - 1, len(numbers_of), 3), np.nan)
    points[..., 2] = 1.0
    frames: list[int] = []
    for row, cells in enumerate(rows[1:]):
        if len(cells) != len(header):
            raise _fault(path, row, f"{len(cells)} cells, the header has {len(header)}")
        for index, cell in enumerate(cells):
            value = _number(cell, path, row, header[index])
            if index in columns:
                joint, part = columns[index]
                points[row, numbers_of[joint], part] = value
            elif value != value // 1:
                raise _fault(path, row, f"{cell!r} is no frame number")
            else:
                frames.append(int(value))
    return Content(points=points, skeleton=name, frames=frames or None)


def plain(joint: str) -> str:
    """A joint's name in the spelling by which columns are compared."""
    short = "".join(letter for letter in joint.lower() if letter.isalnum())
    for long, side in LONG:
        if short.startswith(long):
            short = side + short.removeprefix(long)
    return SAME.get(short, short)


def _rows(path: Path) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except OSError as error:
        raise InputError(str(path), f"can't be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(str(path), f"not CSV: {error}") from None
    if len(rows) < 2:
        raise InputError(str(path), "it holds no frames", "give a header and a row for each frame")
    return rows


def _column(cell: str, path: Path) -> Column:
    joint, _, part = cell.rpartition("_")
    if not joint or part.lower() not in PARTS:
        raise InputError(
            str(path),
            f"column {cell!r} is not understood",
            "name columns frame, <joint>_x, <joint>_y and <joint>_confidence",
        )
    return plain(joint), PARTS[part.lower()]


def _known(name: str) -> dict[str, int]:
    """Number of each joint of a set, by its plain spelling."""
    return {plain(joint): index for index, joint in enumerate(KEYPOINT_SETS[name].joints)}


def _set_of(joints: set[str], path: Path) -> str:
    for name in KEYPOINT_SETS:
        if set(_known(name)) == joints:
            return name
    raise InputError(
        str(path),
        "its joints are those of no known set",
        "say which they are: --skeleton with one of " + ", ".join(KEYPOINT_SETS),
    )


def _check(columns: dict[int, Column], numbers: dict[str, int], name: str, path: Path) -> None:
    """Every column belongs to a joint of the set, none comes twice, x comes with y."""
    given = list(columns.values())
    for joint, part in given:
        if joint not in numbers:
            raise InputError(
                str(path), f"{name} has no joint {joint!r}", "it has " + ", ".join(numbers)
            )
        if given.count((joint, part)) > 1:
            raise InputError(str(path), f"two columns of {joint!r} hold the same")
        if {(joint, 0), (joint, 1)} - set(given):
            raise InputError(str(path), f"{joint!r} needs a column for x and one for y")


def _number(cell: str, path: Path, row: int, column: str) -> float:
    try:
        return float(cell) if cell.strip() else float("nan")
    except ValueError:
        raise _fault(path, row, f"{column} is {cell!r}, no number") from None


def _fault(path: Path, row: int, rule: str) -> InputError:
    return InputError(str(path), f"row {row + 1} below the header: {rule}")


FORMAT = Format(
    name="csv",
    help="Table with a header: frame,nose_x,nose_y,nose_confidence,left_eye_x,... Confidences "
    "and the frame can be left out; an empty cell is a missing joint.",
    recognises=recognises,
    read=read,
)
