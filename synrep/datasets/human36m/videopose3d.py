"""Human3.6M as packed by VideoPose3D: data_3d_h36m.npz, world frame, metres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synrep.datasets.human36m.layouts import MARKER_FILES, PoseRecording, of_32
from synrep.datasets.human36m.protocol import SUBJECTS, order_of, recording_name
from synrep.datasets.untrusted.npz import as_array, read_npz
from synrep.errors import DamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def recordings(folder: Path) -> Iterator[PoseRecording]:
    """Yield all recordings of the seven subjects.

    Raises:
        DamagedError: the file can't be read or does not have VideoPose3D's structure.
        InputError: a name is not that of a recording.
    """
    path = folder / MARKER_FILES["videopose3d"]
    content = nested(path, "positions_3d")
    positions = {
        (subject, recording_name(name, f"{path}, {subject}")): points
        for subject, named in content.items()
        if subject in SUBJECTS
        for name, points in named.items()
    }
    for subject, name in sorted(positions, key=lambda key: order_of(*key)):
        place = f"{path}, {subject} {name}"
        points = as_array(positions[subject, name], place)
        yield PoseRecording(subject, name, of_32(points, 1000.0, place), place)


def nested(path: Path, key: str) -> Mapping[str, Mapping[str, Any]]:
    """Read a nested dictionary, by subject and recording, from an array of an npz file.

    Raises:
        DamagedError: the file can't be read, or the array is missing or not such a dictionary.
    """
    array = read_npz(path, {key}).get(key)
    content = array.item() if array is not None and array.dtype == object and not array.ndim else 0
    if not isinstance(content, dict) or not all(map(_named, content.values())):
        raise DamagedError(
            str(path),
            f"it has no dictionary {key!r} of subjects and recordings",
            "make it again with VideoPose3D's scripts",
        )
    return content


def _named(content: Any) -> bool:
    return isinstance(content, dict) and all(isinstance(name, str) for name in content)
