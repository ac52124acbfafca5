"""Natural order of names, and the numbers of frames that names hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_NUMBER = 100
"""Digits in a name that are compared as one number: reading takes quadratic time."""
LONGEST_FRAME = 18
"""Digits of a frame's number: more do not fit into 64 bits."""


def natural(name: int | str) -> list[tuple[int, int, str]]:
    """Order in which 'frame 9' comes before 'frame 10'; longer numbers are words."""
    return [
        (0, int(part), "") if part.isdecimal() and len(part) < LONGEST_NUMBER else (1, 0, part)
        for part in re.split(r"(\d+)", str(name))
        if part
    ]


def frame_numbers(names: Sequence[str]) -> list[int] | None:
    """The number of each frame, from names such as `video_000000000012_keypoints`.

    It is the last number that differs between names which are otherwise the same; of a single
    name, the last one that no letter follows.

    Args:
        names: of files or images, without suffixes that hold digits.

    Returns:
        None where the names do not say it: they differ in words, or a number comes twice.
    """
    parts = [re.split(r"(\d+)", name) for name in names]
    if not parts or len({tuple(part[::2]) for part in parts}) > 1:
        return None
    columns = list(zip(*(part[1::2] for part in parts), strict=True))
    if len(names) > 1:
        columns = [column for column in columns if len(set(column)) > 1]
    else:
        after = parts[0][2::2]
        columns = [c for c, word in zip(columns, after, strict=True) if not word[:1].isalpha()]
    if not columns or any(len(digits) > LONGEST_FRAME for digits in columns[-1]):
        return None
    numbers = [int(digits) for digits in columns[-1]]
    return numbers if len(set(numbers)) == len(numbers) else None
