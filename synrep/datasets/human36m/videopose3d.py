"""Human3.6M as VideoPose3D keeps it: data_3d_h36m.npz, in the world's metres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synrep.datasets.human36m.layouts import MARKS, PoseRecording, of_32
from synrep.datasets.human36m.protocol import SUBJECTS, order_of, recording_name
from synrep.datasets.untrusted.npz import as_array, read_npz
from synrep.errors import DamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def recordings(folder: Path) -> Iterator[PoseRecording]:
    """All recordings of the seven subjects.

    Raises:
        DamagedError: the file can't be read, or is none of VideoPose3D's.
        InputError: a recording is unknown.
    """
    path = folder / MARKS["videopose3d"]
    content = nested(path, "positions_3d")
    found = {
        (subject, recording_name(name, f"{path}, {subject}")): positions
        for subject, named in content.items()
        if subject in SUBJECTS
        for name, positions in named.items()
    }
    for subject, name in sorted(found, key=lambda key: order_of(*key)):
        place = f"{path}, {subject} {name}"
        yield PoseRecording(
            subject, name, of_32(as_array(found[subject, name], place), 1000.0, place), place
        )


def nested(path: Path, key: str) -> Mapping[str, Mapping[str, Any]]:
    """The dictionary of dictionaries, by subject and recording, of an array of a file.

    Raises:
        DamagedError: the file can't be read, or has no such array.
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
