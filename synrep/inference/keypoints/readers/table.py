"""Rows and cells of CSV files, as spreadsheets and pandas write them."""

from __future__ import annotations

import csv
import itertools
from typing import TYPE_CHECKING

from synrep.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

DELIMITERS = (",", ";", "\t")


def rows_of(path: Path, most: int | None = None) -> list[list[str]]:
    """The rows that are not empty; for a look at the first ones, about so many.

    Cells are parted by commas, semicolons or tabs, whichever the first row has most of. Where they
    are parted by semicolons or tabs, a comma in a number is its decimal point.

    Raises:
        InputError: it can't be read, or is no CSV.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline(1_000_000)
            delimiter = max(DELIMITERS, key=first.count)
            file.seek(0)
            rows = (
                row for row in csv.reader(file, delimiter=delimiter) if any(map(str.strip, row))
            )
            found = list(itertools.islice(rows, most and most + 1))
    except OSError as error:
        raise InputError(str(path), f"can't be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(str(path), f"not CSV: {error}") from None
    if found and found[0][0].lower().startswith("sep="):
        found = found[1:]  # a line for spreadsheets, which names the delimiter
    if delimiter == ",":
        return found
    return [[_with_point(cell) for cell in row] for row in found]


def number(cell: str, place: str, row: int, column: str) -> float:
    """The number in a cell; NaN for none.

    Raises:
        InputError: it holds something else.
    """
    try:
        return float(cell) if cell.strip() else float("nan")
    except ValueError:
        rule = f"row {row + 1} below the header: {column} is {cell!r}, no number"
        raise InputError(place, rule) from None


def _with_point(cell: str) -> str:
    digits = cell.strip().lstrip("+-").replace(",", "", 1)
    return cell.replace(",", ".") if "," in cell and digits.isdecimal() else cell
