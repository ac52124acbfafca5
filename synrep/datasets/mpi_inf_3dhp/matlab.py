"""The annotation files of MPI-INF-3DHP as published: annot.mat and annot_data.mat.

Axes: F frames of a file, T frames that are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synrep.datasets.mpi_inf_3dhp.published import ACTIVITIES, FPS, FRAMES
from synrep.datasets.mpi_inf_3dhp.recording import (
    CameraSequence,
    SequenceRead,
    common_length,
    frames,
)
from synrep.datasets.untrusted.hdf5 import read_datasets
from synrep.datasets.untrusted.matlab import load_mat
from synrep.errors import InputError
from synrep.keypoint_sets import HUMAN36M_IN_17, HUMAN36M_IN_28, MPI_INF_3DHP_17, MPI_INF_3DHP_28

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.datasets.store.header import Intrinsics

_AGAIN = "get the file again from the data set"


def training_sequence(
    path: Path,
    name: str,
    cameras: Sequence[int],
    kind: str,
    calibration: Mapping[int, Intrinsics],
) -> SequenceRead:
    """One training sequence before each camera.

    Args:
        path: S<n>/Seq<n>/annot.mat; `annot2`, `annot3` and `univ_annot3` hold a cell for each
            camera with a row for each frame.
        name: such as "S1/Seq1".
        cameras: numbers of the wanted cameras, from 0.
        kind: "univ_annot3" or "annot3".
        calibration: measured intrinsics by camera number; may be empty.

    Raises:
        InputError: a variable, a camera or joints are missing, or a shape is wrong.
        DamagedError: the file can't be read.
    """
    wanted = dict.fromkeys(("annot2", "annot3", kind))
    content = load_mat(path, (*wanted, "cameras"))
    _require(path, wanted, content)
    limit, fps = FRAMES[name]
    recordings, notes = [], []
    for camera in cameras:
        points = {
            variable: frames(
                _cell(path, content, variable, camera),
                len(MPI_INF_3DHP_28),
                2 if variable == "annot2" else 3,
                f"{path}: {variable} of camera {camera}",
            )
            for variable in wanted
        }
        lengths = {variable: min(limit, len(values)) for variable, values in points.items()}
        count, found = common_length(lengths | {"published": limit}, name, str(path))
        notes += found
        kept = {
            variable: values[: count : fps // FPS, HUMAN36M_IN_28]
            for variable, values in points.items()
        }
        steps = len(kept["annot2"])
        subject, sequence = name.split("/")
        recordings.append(
            CameraSequence(
                source=str(path),
                name=f"{name}/cam{camera}",
                subject=subject,
                action=np.full(steps, sequence),
                frame=np.arange(steps, dtype=np.int32),
                keypoints_px=kept["annot2"],
                poses_mm=kept[kind],
                projecting_mm=kept["annot3"],
                calibration=calibration.get(camera),
            )
        )
    return SequenceRead(name, recordings, list(dict.fromkeys(notes)))


def _require(path: Path, wanted: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    if missing := [variable for variable in wanted if variable not in content]:
        raise InputError(
            str(path),
            f"no variable {', '.join(missing)}",
            "it has " + (", ".join(content) or "none that is known"),
        )


def _cell(path: Path, content: Mapping[str, Any], variable: str, camera: int) -> Any:
    """The array of one camera."""
    cells = np.asarray(content[variable])
    if cells.dtype != object:
        raise InputError(str(path), f"{variable} has no cells", "it needs one for each camera")
    numbers = np.ravel(content.get("cameras", np.arange(cells.size))).astype(int).tolist()
    index = numbers.index(camera) if camera in numbers else cells.size
    if index >= cells.size or np.size(cells.flat[index]) == 0:
        raise InputError(
            str(path),
            f"{variable} has no camera {camera}",
            f"it has {min(cells.size, len(numbers))}; choose others with --cameras",
        )
    return cells.flat[index]


def test_sequence(path: Path, name: str, kind: str) -> SequenceRead:
    """The valid frames of one test sequence.

    Args:
        path: TS<n>/annot_data.mat. It is an HDF5 file, in which MATLAB's axes come reversed:
            (F, 1, 17, 2 or 3).
        name: such as "TS1".
        kind: "univ_annot3" or "annot3".

    Raises:
        InputError: an array is missing or of a wrong shape, or no frame is valid.
        DamagedError: the file can't be read.
    """
    wanted = dict.fromkeys(("annot2", "annot3", kind))
    content = read_datasets(path, (*wanted, "valid_frame", "activity_annotation"))
    _require(path, wanted | {"valid_frame": None}, content)
    points = {
        variable: frames(
            content[variable],
            len(MPI_INF_3DHP_17),
            2 if variable == "annot2" else 3,
            f"{path}: {variable}",
        )
        for variable in wanted
    }
    valid = np.ravel(content["valid_frame"]) != 0
    lengths = {variable: len(values) for variable, values in points.items()}
    count, notes = common_length(lengths | {"valid_frame": len(valid)}, name, str(path))
    rows = np.flatnonzero(valid[:count])
    if len(rows) == 0:
        raise InputError(str(path), "no frame is valid", _AGAIN)
    if "activity_annotation" not in content:
        notes.append(f"{name}: no activity_annotation, so the activity is 'unknown'")
    kept = {variable: values[rows][:, HUMAN36M_IN_17] for variable, values in points.items()}
    recording = CameraSequence(
        source=str(path),
        name=name,
        subject=name,
        action=activities(content.get("activity_annotation"), rows),
        frame=rows.astype(np.int32),
        keypoints_px=kept["annot2"],
        poses_mm=kept[kind],
        projecting_mm=kept["annot3"],
    )
    return SequenceRead(name, [recording], notes)


def activities(numbers: Any, rows: NDArray[np.intp]) -> NDArray[np.str_]:
    """Names (T,) of the activities of some frames; "unknown" where no number from 1 to 7 says."""
    if numbers is None:
        return np.full(len(rows), "unknown")
    known = np.ravel(numbers)
    codes = np.zeros(len(rows), int)
    there = rows < len(known)
    codes[there] = known[rows[there]]
    codes[(codes < 1) | (codes > len(ACTIVITIES))] = 0
    return np.array(("unknown", *ACTIVITIES))[codes]
