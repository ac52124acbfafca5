"""Tables of 2D keypoints (CSV): the header names the joints, a row is a frame.

Axes: F frames, J joints.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from synrep.errors import InputError
from synrep.inference.keypoints.readers.spelling import numbers_of, plain, set_of
from synrep.inference.keypoints.readers.table import number, rows_of
from synrep.inference.keypoints.source import Content, Format
from synrep.keypoint_sets import KEYPOINT_SETS

if TYPE_CHECKING:
    from pathlib import Path

    from synrep.inference.keypoints.source import Source

FRAMES = ("frame", "frame_id", "frame_number", "frame_index", "frame_idx")
UNNAMED = ("", "index", "unnamed: 0")
"""The first column as pandas writes it without a name, and reads and writes it again."""
PARTS = {"x": 0, "y": 1, "confidence": 2, "conf": 2, "score": 2, "likelihood": 2}
"""What a column can hold, by the word after the joint's name; the last ones mean the same."""
SHOWN = 5
NAMED = re.compile(r"(?P<joint>.*[^_.: -])[_.: -]+(?P<part>[A-Za-z]+)")

Column = tuple[str, int]
"""Joint in plain spelling, and what is in the column: x, y or confidence."""


def recognises(source: Source) -> bool:
    """A file that ends in .csv."""
    return not source.is_folder and bool(source.files(".csv"))


def read(source: Source, skeleton: str | None) -> Content:
    """Keypoints in a CSV file with a header such as `frame,nose_x,nose_y,nose_confidence,...`.

    Joints may be spelt `left_wrist`, `LWrist` or `l-wrist`, and 'ankle' means the same as 'foot'.
    A first column without a name, as pandas writes, numbers the frames. The column `frame`, the
    confidences, and joints that no model needs can be left out. An empty cell is a missing joint;
    where there is no column of confidences, they are 1.

    Args:
        source: the file.
        skeleton: name of a known set of joints; omitted, the one with just the header's joints.

    Raises:
        InputError: the header or a row can't be understood.
    """
    path = source.path
    rows = _rows(path)
    header = [cell.strip() for cell in rows[0]]
    numbers = frame_column(header)
    dropped = {numbers} | ({0} if header[0].lower() in UNNAMED else set())
    columns = {i: _column(cell, path) for i, cell in enumerate(header) if i not in dropped}
    name = skeleton or _set_of({joint for joint, _ in columns.values()}, path)
    known = numbers_of(name)
    _check(columns, known, name, path)
    points = np.full((len(rows) - 1, len(known), 3), np.nan)
    points[..., 2] = 1.0
    frames: list[int] = []
    for row, cells in enumerate(rows[1:]):
        if len(cells) != len(header):
            raise _fault(path, row, f"{len(cells)} cells, the header has {len(header)}")
        for index, cell in enumerate(cells):
            if index in columns:
                joint, part = columns[index]
                points[row, known[joint], part] = number(cell, str(path), row, header[index])
            elif index != numbers:
                continue
            elif (value := number(cell, str(path), row, "frame")) != value // 1:
                raise _fault(path, row, f"{cell!r} is no frame number")
            else:
                frames.append(int(value))
    sure = any(part == PARTS["confidence"] for _, part in columns.values())
    points = points if sure else points[..., :2]
    return Content(points=points, skeleton=name, frames=frames or None)


def _rows(path: Path) -> list[list[str]]:
    rows = rows_of(path)
    if len(rows) < 2:
        raise InputError(str(path), "it holds no frames", "give a header and a row for each frame")
    return rows


def _column(cell: str, path: Path) -> Column:
    found = NAMED.fullmatch(cell)
    if not found or found["part"].lower() not in PARTS:
        raise InputError(
            str(path),
            f"column {cell!r} is not understood",
            "name columns frame, <joint>_x, <joint>_y and <joint>_confidence",
        )
    return plain(found["joint"]), PARTS[found["part"].lower()]


def frame_column(header: list[str]) -> int | None:
    """The column with the frames' numbers: one named so, or the index without a name of pandas."""
    low = [cell.strip().lower() for cell in header]
    named = [column for column, cell in enumerate(low) if cell in FRAMES]
    return named[0] if named else 0 if low[0] in UNNAMED else None


def _set_of(joints: set[str], path: Path) -> str:
    name, some = set_of(joints), ", ".join(sorted(joints)[:SHOWN])
    if name is None:
        raise InputError(
            str(path),
            f"its joints are those of no known set: {some}, ...",
            "say which they are: --skeleton with one of " + ", ".join(KEYPOINT_SETS),
        )
    return name


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


def _fault(path: Path, row: int, rule: str) -> InputError:
    return InputError(str(path), f"row {row + 1} below the header: {rule}")


FORMAT = Format(
    name="csv",
    help="Table with a header: frame,nose_x,nose_y,nose_confidence,left_eye_x,... Confidences "
    "and the frame can be left out; an empty cell is a missing joint. Commas, semicolons or tabs.",
    recognises=recognises,
    read=read,
)
