"""Human3.6M as packed by Martinez et al.: one HDF5 file per recording, world frame, millimetres."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synrep.datasets.human36m.layouts import MARKER_FILES, PoseRecording, of_32
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
    """Yield all recordings of the seven subjects.

    Raises:
        DamagedError: a file can't be read.
        InputError: a file name is not that of a recording.
    """
    for (subject, name), path in files(folder, MARKER_FILES["martinez"]).items():
        yield PoseRecording(subject, name, of_32(_positions(path), 1.0, str(path)), str(path))


def files(folder: Path, pattern: str) -> dict[tuple[str, str], Path]:
    """Return the files of recordings by (subject, recording name), sorted.

    Raises:
        InputError: a file name is not that of a recording.
        DamagedError: two files are of the same recording.
    """
    paths: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.glob(pattern)):
        subject = path.relative_to(folder).parts[0]
        if subject not in SUBJECTS or path.stem.startswith("_ALL"):
            continue
        key = subject, recording_name(path.stem, str(path))
        if key in paths:
            raise DamagedError(
                str(path), f"it is the same recording as {paths[key]}", "remove one of them"
            )
        paths[key] = path
    return {key: paths[key] for key in sorted(paths, key=lambda key: order_of(*key))}


def _positions(path: Path) -> NDArray[np.floating]:
    """Read the positions (T, 32, 3) of a file, which stores them as (96, T)."""
    rows = read_datasets(path, [KEY]).get(KEY)
    if rows is None or rows.ndim != 2 or rows.shape[0] != 96:
        raise DamagedError(
            str(path),
            f"no array {KEY} of 96 rows"
            if rows is None
            else f"{KEY} has shape {rows.shape} where (96, frames) is expected",
            "get the file again from its source",
        )
    return rows.reshape(32, 3, -1).transpose(2, 0, 1)
