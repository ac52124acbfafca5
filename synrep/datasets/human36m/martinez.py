"""Human3.6M as Martinez et al. packed it: one HDF5 file a recording, in the world's millimetres."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synrep.datasets.human36m.layouts import MARKS, PoseRecording, of_32
from synrep.datasets.human36m.protocol import SUBJECTS, order_of, recording_name
from synrep.datasets.untrusted.hdf5 import read_datasets
from synrep.errors import DamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

KEY = "3D_positions"


def recordings(folder: Path) -> Iterator[PoseRecording]:
    """All recordings of the seven subjects.

    Raises:
        DamagedError: a file can't be read.
        InputError: a recording is unknown.
    """
    for (subject, name), path in files(folder, MARKS["martinez"]).items():
        yield PoseRecording(subject, name, of_32(_positions(path), 1.0, str(path)), str(path))


def files(folder: Path, pattern: str) -> dict[tuple[str, str], Path]:
    """Files of recordings by subject and name, in order.

    Raises:
        InputError: a name is none of a recording, or two files have the same one.
    """
    found: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.glob(pattern)):
        subject = path.relative_to(folder).parts[0]
        if subject not in SUBJECTS or path.stem.startswith("_ALL"):
            continue
        key = subject, recording_name(path.stem, str(path))
        if key in found:
            raise DamagedError(
                str(path), f"it is the same recording as {found[key]}", "take one of them away"
            )
        found[key] = path
    return {key: found[key] for key in sorted(found, key=lambda key: order_of(*key))}


def _positions(path: Path) -> NDArray[np.floating]:
    """(T, 32, 3) of a file, which holds (96, T)."""
    rows = read_datasets(path, [KEY]).get(KEY)
    if rows is None or rows.ndim != 2 or rows.shape[0] != 96:
        raise DamagedError(
            str(path),
            f"no array {KEY} of 96 rows"
            if rows is None
            else f"{KEY} has shape {rows.shape} where (96, frames) belongs",
            "get the file again from its source",
        )
    return rows.reshape(32, 3, -1).transpose(2, 0, 1)
