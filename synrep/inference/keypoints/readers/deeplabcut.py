"""DeepLabCut's CSV: header rows scorer, individuals (of several animals), bodyparts, coords."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synrep.errors import InputError, tell
from synrep.inference.keypoints.numbering import frame_numbers
from synrep.inference.keypoints.people import Person
from synrep.inference.keypoints.readers.spelling import numbers_of, plain, set_of
from synrep.inference.keypoints.readers.table import number, rows_of
from synrep.inference.keypoints.source import Content, Format
from synrep.keypoint_sets import KEYPOINT_SETS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synrep.inference.keypoints.source import Source

PARTS = {"x": 0, "y": 1, "likelihood": 2}
SHOWN = 8


def recognises(source: Source) -> bool:
    """A CSV file whose first cell is 'scorer'."""
    if source.is_folder or not source.files(".csv"):
        return False
    rows = rows_of(source.path, 1)
    return bool(rows) and rows[0][0].strip().lower() == "scorer"


def read(source: Source, skeleton: str | None) -> Content:
    """Each individual as a person with a track; body parts by their names."""
    rows, place = rows_of(source.path), str(source.path)
    heads = {row[0].strip().lower(): row for row in rows[:4]}
    if not {"bodyparts", "coords"} <= set(heads):
        rule = "a table of DeepLabCut's needs the rows scorer, bodyparts and coords"
        raise InputError(place, rule, "give the CSV as DeepLabCut wrote it")
    body = rows[4 if "individuals" in heads else 3 :]
    parts, coords = heads["bodyparts"], [cell.strip().lower() for cell in heads["coords"]]
    who = heads.get("individuals", ["animal"] * len(parts))
    if {len(row) for row in heads.values()} != {len(parts)}:
        raise InputError(place, "the rows of its header are not equally long", "give it as written")
    first = next((n for n, cell in enumerate(coords) if cell in PARTS), len(coords))
    name, known = _set(parts[first:], skeleton, place)
    individuals = list(dict.fromkeys(who[first:]))
    points = np.full((len(individuals), len(body), len(KEYPOINT_SETS[name].joints), 3), np.nan)
    for row, cells in enumerate(body):
        if len(cells) != len(parts):
            rule = f"row {row + 1}: {len(cells)} cells, the header has {len(parts)}"
            raise InputError(place, rule)
        for column in range(first, len(cells)):
            joint, part = plain(parts[column]), PARTS.get(coords[column])
            if joint in known and part is not None:
                value = number(cells[column], place, row, parts[column])
                points[individuals.index(who[column]), row, known[joint], part] = value
    frames = _frames([cells[:first] for cells in body])
    if "individuals" not in heads:
        return Content(points=points[0], skeleton=name, frames=frames)
    return Content(people=_people(points, individuals), skeleton=name, frames=frames)


def _people(points: NDArray[np.float64], individuals: list[str]) -> list[list[Person]]:
    people: list[list[Person]] = [[] for _ in range(points.shape[1])]
    for name, frames in zip(individuals, points, strict=True):
        for row, frame in enumerate(frames):
            person = Person(points=frame, score=float(np.nan_to_num(frame[:, 2]).sum()), track=name)
            if person.seen.any():
                people[row].append(person)
    return people


def _set(parts: list[str], skeleton: str | None, place: str) -> tuple[str, dict[str, int]]:
    """The joints that the body parts are, and the number of each; others are left out, and told."""
    given = dict.fromkeys(plain(part) for part in parts)
    name = skeleton or set_of(set(given))
    if name is None:
        shown = ", ".join(list(dict.fromkeys(parts))[:SHOWN])
        raise InputError(
            place,
            f"DeepLabCut's body parts are those of no known set: {shown}, ...",
            "rename them to the joints of a set, and use --skeleton with one of "
            + ", ".join(KEYPOINT_SETS),
        )
    known = numbers_of(name)
    if strange := [part for part in dict.fromkeys(parts) if plain(part) not in known]:
        tell(place, f"{name} has no {', '.join(strange[:SHOWN])}: left out")
    return name, known


def _frames(index: list[list[str]]) -> list[int] | None:
    """Numbers from the columns before the first coordinate: a number, or an image's path."""
    names = ["/".join(cells).rsplit(".", 1)[0] for cells in index]
    return frame_numbers(names)


FORMAT = Format(
    name="deeplabcut",
    help="DeepLabCut's CSV, of one animal or with individuals; body parts bear the names of a "
    "set's joints, others are left out.",
    recognises=recognises,
    read=read,
)
