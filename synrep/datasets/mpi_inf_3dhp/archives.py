"""Read MPI-INF-3DHP from the two npz files that P-STMO's scripts create.

Axes: F frames of a sequence, T frames that are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synrep.datasets.mpi_inf_3dhp.published import FPS, FRAMES, VALID_FRAMES
from synrep.datasets.mpi_inf_3dhp.recording import (
    CameraSequence,
    SequenceRead,
    common_length,
    frames,
)
from synrep.datasets.untrusted.npz import as_array, read_npz
from synrep.errors import InputError
from synrep.keypoint_sets import HUMAN36M_IN_17, MPI_INF_3DHP_17

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_REMEDY = "make it again with the scripts of P-STMO"


def training_sequences(path: Path, cameras: Sequence[int]) -> Iterator[SequenceRead]:
    """Yield the sequences of data_train_3dhp.npz, each for all requested cameras.

    The array `data` is a dictionary that maps "S1 Seq1" to a pair of
    {camera: {"data_2d", "data_3d"}} and the frame rate. The poses are `univ_annot3` with the 17
    joints of the test set.

    Args:
        path: the file.
        cameras: numbers of the cameras to read, from 0.

    Raises:
        InputError: a sequence is unknown, a camera is missing, or arrays have other shapes or
            joints.
        DamagedError: the file can't be read.
    """
    for key, entry in _sequences(path).items():
        name = str(key).replace(" ", "/")
        if name not in FRAMES:
            raise InputError(str(path), f"unknown sequence {key!r}", "known: " + ", ".join(FRAMES))
        views, fps = _views_and_rate(path, name, entry)
        recordings, notes = [], []
        for camera in cameras:
            points, poses = _arrays(path, f"{name}, camera {camera}", _view(path, views, camera))
            lengths = {"data_2d": len(points), "data_3d": len(poses), "published": FRAMES[name][0]}
            count, length_notes = common_length(lengths, name, str(path))
            notes += length_notes
            rows = np.arange(0, count, fps // FPS)
            subject, action = name.split("/")
            recordings.append(
                CameraSequence(
                    source=str(path),
                    name=f"{name}/cam{camera}",
                    subject=subject,
                    action=np.full(len(rows), action),
                    frame=np.arange(len(rows), dtype=np.int32),
                    keypoints_px=points[rows],
                    poses_mm=poses[rows],
                    projecting_mm=None,
                )
            )
        yield SequenceRead(name, recordings, list(dict.fromkeys(notes)))


def test_sequences(path: Path) -> Iterator[SequenceRead]:
    """Yield the valid frames of the sequences of data_test_3dhp.npz.

    The array `data` is a dictionary that maps "TS1" to {"data_2d", "data_3d", "valid"}. It has no
    activities.

    Args:
        path: the file.

    Raises:
        InputError: a sequence is unknown, arrays have other shapes or joints, or no frame is
            valid.
        DamagedError: the file can't be read.
    """
    file_notes = [f"{path.name} names no activities: they are 'unknown'"]
    for key, view in _sequences(path).items():
        name = str(key)
        if name not in VALID_FRAMES:
            known = "known: " + ", ".join(VALID_FRAMES)
            raise InputError(str(path), f"unknown sequence {key!r}", known)
        points, poses = _arrays(path, name, view)
        if "valid" not in view:
            raise InputError(str(path), f"{name} has no 'valid'", _REMEDY)
        valid = np.ravel(as_array(view["valid"], f"{path}: valid of {name}")) != 0
        lengths = {"data_2d": len(points), "data_3d": len(poses), "valid": len(valid)}
        count, notes = common_length(lengths, name, str(path))
        rows = np.flatnonzero(valid[:count])
        if len(rows) == 0:
            raise InputError(str(path), f"no frame of {name} is valid", _REMEDY)
        recording = CameraSequence(
            source=str(path),
            name=name,
            subject=name,
            action=np.full(len(rows), "unknown"),
            frame=rows.astype(np.int32),
            keypoints_px=points[rows],
            poses_mm=poses[rows],
            projecting_mm=None,
        )
        yield SequenceRead(name, [recording], file_notes + notes)
        file_notes = []


def _sequences(path: Path) -> dict[Any, Any]:
    """Read the dictionary in the array `data`, by sequence name."""
    data = read_npz(path).get("data")
    content = data.item() if isinstance(data, np.ndarray) and data.shape == () else None
    if not isinstance(content, dict) or not content:
        raise InputError(str(path), "its array 'data' is not a dictionary of sequences", _REMEDY)
    return content


def _views_and_rate(path: Path, name: str, entry: Any) -> tuple[dict[Any, Any], int]:
    """Return the data of a training sequence by camera, and its frame rate."""
    views = entry[0] if isinstance(entry, list | tuple) and len(entry) == 2 else None
    if not isinstance(views, dict):
        raise InputError(str(path), f"{name} is not a pair of cameras and frame rate", _REMEDY)
    if entry[1] not in {FPS, 2 * FPS}:
        raise InputError(
            str(path), f"{name} has {entry[1]!r} frames per second", "it must be 25 or 50"
        )
    return views, int(entry[1])


def _view(path: Path, views: dict[Any, Any], camera: int) -> Any:
    """Return the data of one camera; camera numbers can be stored as text or as integers."""
    for key in (str(camera), camera):
        if key in views:
            return views[key]
    raise InputError(
        str(path),
        f"no camera {camera}",
        f"it has {', '.join(map(str, views))}; choose others with --cameras",
    )


def _arrays(path: Path, what: str, view: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 2D (F, 17, 2) and 3D joints (F, 17, 3) of one camera, in Human3.6M's order."""
    if not isinstance(view, dict) or not {"data_2d", "data_3d"} <= set(view):
        raise InputError(str(path), f"{what}: no data_2d and data_3d", _REMEDY)
    points, poses = (
        frames(view[key], len(MPI_INF_3DHP_17), axes, f"{path}: {key} of {what}")
        for key, axes in (("data_2d", 2), ("data_3d", 3))
    )
    _check_order(path, what, poses)
    return points[:, HUMAN36M_IN_17], poses[:, HUMAN36M_IN_17]


def _check_order(path: Path, what: str, poses: NDArray[np.float64]) -> None:
    """Refuse files of the same name whose 17 joints are in another order."""
    complete = poses[np.isfinite(poses).all(axis=(1, 2))]
    if len(complete) == 0:
        return
    samples = complete[:: max(1, len(complete) // 100)]

    def distance(first: str, second: str) -> float:
        order = MPI_INF_3DHP_17.index
        offsets = samples[:, order(first)] - samples[:, order(second)]
        return float(np.median(np.linalg.norm(offsets, axis=-1)))

    hips = distance("left_hip", "right_hip")
    thighs = min(distance(f"{side}_hip", f"{side}_knee") for side in ("left", "right"))
    from_pelvis = max(distance("pelvis", f"{side}_hip") for side in ("left", "right"))
    if not from_pelvis <= 0.8 * hips or not hips <= thighs:
        raise InputError(
            str(path),
            f"{what}: the joints are not in the order of the 17 of the test set: hips "
            f"{hips:.3g} apart, {from_pelvis:.3g} from the pelvis, thighs {thighs:.3g} long",
            "the order must be " + ", ".join(MPI_INF_3DHP_17),
        )
