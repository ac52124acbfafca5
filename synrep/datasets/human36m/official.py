"""Human3.6M as distributed by its authors: one CDF file per recording, world frame, millimetres."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synrep.datasets.human36m.layouts import MARKER_FILES, PoseRecording, of_32
from synrep.datasets.human36m.martinez import files
from synrep.datasets.untrusted.hdf5 import missing_package
from synrep.errors import DamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

KEY = "Pose"
_REMEDY = "unpack Poses_D3_Positions again"


def recordings(folder: Path) -> Iterator[PoseRecording]:
    """Yield all recordings of the seven subjects.

    Raises:
        DamagedError: a file can't be read.
        InputError: a file name is not that of a recording.
    """
    for (subject, name), path in files(folder, MARKER_FILES["official"]).items():
        yield PoseRecording(subject, name, of_32(_positions(path), 1.0, str(path)), str(path))


def _positions(path: Path) -> NDArray[np.floating]:
    """Read the positions (T, 32, 3) of a file, which stores them as (1, T, 96)."""
    try:
        import cdflib  # noqa: PLC0415 - slow to load
    except ModuleNotFoundError:
        raise missing_package(path, "cdflib") from None
    try:
        rows = np.asarray(cdflib.CDF(path).varget(KEY))
    except Exception as error:  # noqa: BLE001 - cdflib raises arbitrary exceptions on a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DamagedError(str(path), f"not readable as CDF: {reason}", _REMEDY) from None
    if rows.ndim < 2 or rows.shape[-1] != 96 or rows.dtype.kind != "f":
        raise DamagedError(
            str(path), f"{KEY} has shape {rows.shape} where (1, frames, 96) is expected", _REMEDY
        )
    return rows.reshape(-1, 32, 3)
