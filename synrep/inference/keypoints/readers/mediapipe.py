"""MediaPipe's landmarks of a pose, which it returns and others write: CSV and JSON.

There are 33, in MediaPipe's order or by its names; x and y are fractions of the image's width and
height. `visibility` is taken as the confidence; z is not used.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from synrep.errors import InputError
from synrep.inference.keypoints.people import Person, same_joints
from synrep.inference.keypoints.readers.csv_table import FRAMES, frame_column
from synrep.inference.keypoints.readers.spelling import numbers_of, plain
from synrep.inference.keypoints.readers.table import number, rows_of
from synrep.inference.keypoints.source import Content, Format, read_json
from synrep.keypoint_sets import MEDIAPIPE_33

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synrep.inference.keypoints.source import Source

COUNT = len(MEDIAPIPE_33.joints)
PARTS = {"x": 0, "y": 1, "visibility": 2, "v": 2, "score": 2, "z": 3, "presence": 3}
"""Where a value goes; 3 is not used."""
ONLY_HERE = {"z", "visibility", "presence"}
BEHIND = re.compile(r"(?:[a-z]+[_ .]?)??(x|y|z|v|visibility|presence)[_ .]?(\d{1,3})")
BEFORE = re.compile(r"(?:[a-z]+[_ .]?)?(\d{1,3})[_ .]?(x|y|z|v|visibility|presence)")
LANDMARK = ("landmark", "landmark_id", "landmark_index", "landmark_name", "id", "index", "name")
WHO = ("person", "person_id", "pose", "pose_id", "track_id")
LISTS = ("landmarks", "pose_landmarks", "poseLandmarks", "keypoints")
NUMBERS = (*FRAMES, "frameIndex", "frameId", "frameNumber")
REMEDY = "see the forms of MediaPipe's landmarks in docs/guide/lift.md"

Column = tuple[int, int]
"""Number of the landmark, and what is in the column."""


def recognises(source: Source) -> bool:
    """A table of 33 numbered or named landmarks, or JSON with lists of x and y by name."""
    if source.files(".json"):
        return _sample(source.first_json) is not None
    if source.is_folder or not source.files(".csv"):
        return False
    header = [cell.strip().lower() for row in rows_of(source.path, 1)[:1] for cell in row]
    return _is_long(header) or bool(_columns(header))


def read(source: Source, _skeleton: str | None) -> Content:
    """Everybody in each frame."""
    if source.files(".json"):
        return _json(source)
    rows = rows_of(source.path)
    header = [cell.strip().lower() for cell in rows[0]]
    for row, cells in enumerate(rows[1:]):
        if len(cells) != len(header):
            rule = f"row {row + 1} below the header: {len(cells)} cells, it has {len(header)}"
            raise InputError(str(source.path), rule)
    return (_long if _is_long(header) else _wide)(header, rows[1:], str(source.path))


def _is_long(header: list[str]) -> bool:
    return {"x", "y"} <= set(header) and any(name in header for name in LANDMARK)


def _columns(header: list[str]) -> dict[int, Column]:
    """The landmark of each column, if all 33 are there with x and y; else nothing."""
    numbered: dict[int, Column] = {}
    named: dict[int, Column] = {}
    names, parts = numbers_of(MEDIAPIPE_33.name), set()
    for column, cell in enumerate(header):
        if found := BEHIND.fullmatch(cell):
            numbered[column] = int(found[2]), PARTS[found[1]]
        elif found := BEFORE.fullmatch(cell):
            numbered[column] = int(found[1]), PARTS[found[2]]
        joint, _, part = cell.rpartition("_")
        if plain(joint) in names and part in PARTS:
            named[column] = names[plain(joint)], PARTS[part]
            parts.add(part)
    first = min((landmark for landmark, _ in numbered.values()), default=0)
    numbered = {column: (n - first, part) for column, (n, part) in numbered.items()}
    wanted = {(landmark, part) for landmark in range(COUNT) for part in (0, 1)}
    if first in {0, 1} and {place for place in numbered.values() if place[1] < 2} == wanted:
        return numbered
    return named if wanted <= set(named.values()) and parts & ONLY_HERE else {}


def _wide(header: list[str], rows: list[list[str]], place: str) -> Content:
    """A row for each frame."""
    columns, frame = _columns(header), frame_column(header)
    points = np.full((len(rows), COUNT, 4), np.nan)
    points[..., 2] = 1.0
    for row, cells in enumerate(rows):
        for column, (landmark, part) in columns.items():
            points[row, landmark, part] = number(cells[column], place, row, header[column])
    frames = None if frame is None else [_whole(c[frame], place, n) for n, c in enumerate(rows)]
    return Content(points=points[..., :3], skeleton=MEDIAPIPE_33.name, frames=frames)


def _long(header: list[str], rows: list[list[str]], place: str) -> Content:
    """A row for each landmark of each frame."""
    names = numbers_of(MEDIAPIPE_33.name)
    at = {cell: column for column, cell in enumerate(header)}
    frame = next((at[name] for name in FRAMES if name in at), None)
    landmark = next(at[name] for name in LANDMARK if name in at)
    who = next((at[name] for name in WHO if name in at), None)
    parts = {at[name]: part for name, part in PARTS.items() if name in at and part < 3}
    found: dict[int, dict[str | None, NDArray[np.float64]]] = {}
    for row, cells in enumerate(rows):
        key, word = 0 if frame is None else _whole(cells[frame], place, row), cells[landmark]
        joint = names.get(plain(word), -1) if not word.strip().isdecimal() else int(word[:4])
        if not 0 <= joint < COUNT:
            raise InputError(place, f"row {row + 1} below the header: no landmark {word!r}", REMEDY)
        track = None if who is None else cells[who].strip()
        empty = np.array([[np.nan, np.nan, 1.0]] * COUNT)
        points = found.setdefault(key, {}).setdefault(track, empty)
        if np.isfinite(points[joint, :2]).any():
            raise InputError(place, f"landmark {word!r} of frame {key} comes twice", REMEDY)
        for column, part in parts.items():
            points[joint, part] = number(cells[column], place, row, header[column])
    frames = sorted(found)
    people = [
        [Person(points=p, score=_score(p), track=track) for track, p in found[key].items()]
        for key in frames
    ]
    same_joints(people, [place] * len(people), place)
    return Content(people=people, skeleton=MEDIAPIPE_33.name, frames=frames)


def _whole(cell: str, place: str, row: int) -> int:
    value = number(cell, place, row, "frame")
    if value != value // 1:
        raise InputError(place, f"row {row + 1} below the header: {cell!r} is no frame number")
    return int(value)


def _json(source: Source) -> Content:
    """A frame, a list of frames or an object with `frames`; or a folder with a file a frame."""
    files, place = source.files(".json"), str(source.path)
    entries: list[Any] = []
    for file in files:
        content = read_json(file)
        content = (
            content["frames"] if isinstance(content, dict) and "frames" in content else content
        )
        several = isinstance(content, list) and not _is_pose(content)
        entries += content if several and not source.is_folder else [content]
    people = [_people(entry, place) for entry in entries]
    same_joints(people, [place] * len(people), place)
    numbers = [_number_of(entry) for entry in entries]
    frames = numbers if all(number is not None for number in numbers) else source.numbers(files)
    return Content(people=people, skeleton=MEDIAPIPE_33.name, frames=frames)


def _number_of(entry: Any) -> int | None:
    numbers = [entry[name] for name in NUMBERS if name in entry] if isinstance(entry, dict) else []
    return next((number for number in numbers if isinstance(number, int)), None)


def _is_pose(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and _is_landmark(value[0])


def _is_landmark(value: Any) -> bool:
    return isinstance(value, dict) and "x" in value and "y" in value


def _sample(content: Any, depth: int = 5) -> Any:
    """A landmark somewhere at the beginning of the content; None without one."""
    if _is_landmark(content):
        return content
    if depth == 0:
        return None
    if isinstance(content, dict):
        inner = [content[name] for name in (*LISTS, "frames") if name in content]
    else:
        inner = content if isinstance(content, list) else []
    return next((found for item in inner if (found := _sample(item, depth - 1)) is not None), None)


def _people(entry: Any, place: str) -> list[Person]:
    """Everybody in a frame: one pose, a list of poses, or these in an object; or nobody."""
    if isinstance(entry, dict):
        keys = [name for name in LISTS if name in entry]
        if not keys:
            raise InputError(place, "a frame has no landmarks", REMEDY)
        entry = entry[keys[0]]
    poses = [entry] if _is_pose(entry) else entry or []
    try:
        found = [np.array([_landmark(landmark) for landmark in pose]) for pose in poses if pose]
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        raise InputError(place, "a landmark is no object with numbers x and y", REMEDY) from None
    if strange := [len(points) for points in found if len(points) != COUNT]:
        rule = f"a pose of {strange[0]} landmarks"
        raise InputError(place, rule, f"MediaPipe's have {COUNT}")
    return [Person(points=points, score=_score(points)) for points in found]


def _landmark(value: dict[str, Any]) -> tuple[float, float, float]:
    sure = value.get("visibility", value.get("score"))
    return float(value["x"]), float(value["y"]), 1.0 if sure is None else float(sure)


def _score(points: NDArray[np.float64]) -> float:
    return float(np.nan_to_num(points[:, 2]).sum())


FORMAT = Format(
    name="mediapipe",
    help="MediaPipe's 33 landmarks in CSV or JSON: fractions of the image, needs --image-size.",
    recognises=recognises,
    read=read,
)
