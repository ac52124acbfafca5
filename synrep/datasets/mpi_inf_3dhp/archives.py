"""The two npz files in which P-STMO's users keep MPI-INF-3DHP.

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
    """All sequences of data_train_3dhp.npz before each camera, one after the other.

    Its array `data` is a dictionary: "S1 Seq1" leads to a list of {camera: {"data_2d", "data_3d"}}
    and the frames a second. The poses are `univ_annot3`, in the 17 joints of the test set.

    Args:
        path: the file.
        cameras: numbers of the wanted cameras, from 0.

    Raises:
        InputError: a camera is missing, or something has another shape, or other joints.
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
            count, found = common_length(lengths, name, str(path))
            notes += found
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
    """The valid frames of all sequences of data_test_3dhp.npz, one after the other.

    Its array `data` is a dictionary: "TS1" leads to {"data_2d", "data_3d", "valid"}. It has no
    activities.

    Args:
        path: the file.

    Raises:
        InputError: something has another shape, or other joints, or no frame is valid.
        DamagedError: the file can't be read.
    """
    about = [f"{path.name} names no activities: they are 'unknown'"]
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
        yield SequenceRead(name, [recording], about + notes)
        about = []


def _sequences(path: Path) -> dict[Any, Any]:
    """The dictionary in the array `data`."""
    data = read_npz(path).get("data")
    content = data.item() if isinstance(data, np.ndarray) and data.shape == () else None
    if not isinstance(content, dict) or not content:
        raise InputError(str(path), "its array 'data' is no dictionary of sequences", _REMEDY)
    return content


def _views_and_rate(path: Path, name: str, entry: Any) -> tuple[dict[Any, Any], int]:
    """The cameras of a training sequence, and its frames a second."""
    views = entry[0] if isinstance(entry, list | tuple) and len(entry) == 2 else None
    if not isinstance(views, dict):
        raise InputError(str(path), f"{name} is no list of cameras and frame rate", _REMEDY)
    if entry[1] not in {FPS, 2 * FPS}:
        raise InputError(
            str(path), f"{name} has {entry[1]!r} frames a second", "25 or 50 are known"
        )
    return views, int(entry[1])


def _view(path: Path, views: dict[Any, Any], camera: int) -> Any:
    """What one camera saw; numbers of cameras are text, or numbers."""
    for key in (str(camera), camera):
        if key in views:
            return views[key]
    raise InputError(
        str(path),
        f"no camera {camera}",
        f"it has {', '.join(map(str, views))}; choose others with --cameras",
    )


def _arrays(path: Path, what: str, view: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """2D (F, 17, 2) and 3D (F, 17, 3) of one camera, in Human3.6M's order."""
    if not isinstance(view, dict) or not {"data_2d", "data_3d"} <= set(view):
        raise InputError(str(path), f"{what}: no data_2d and data_3d", _REMEDY)
    points, poses = (
        frames(view[key], len(MPI_INF_3DHP_17), axes, f"{path}: {key} of {what}")
        for key, axes in (("data_2d", 2), ("data_3d", 3))
    )
    _check_order(path, what, poses)
    return points[:, HUMAN36M_IN_17], poses[:, HUMAN36M_IN_17]


def _check_order(path: Path, what: str, poses: NDArray[np.float64]) -> None:
    """Refuse other orders of 17 joints that go by the same file name."""
    known = poses[np.isfinite(poses).all(axis=(1, 2))]
    if len(known) == 0:
        return
    some = known[:: max(1, len(known) // 100)]

    def apart(one: str, other: str) -> float:
        joints = some[:, MPI_INF_3DHP_17.index(one)] - some[:, MPI_INF_3DHP_17.index(other)]
        return float(np.median(np.linalg.norm(joints, axis=-1)))

    hips = apart("left_hip", "right_hip")
    thighs = min(apart(f"{side}_hip", f"{side}_knee") for side in ("left", "right"))
    from_pelvis = max(apart("pelvis", f"{side}_hip") for side in ("left", "right"))
    if not from_pelvis <= 0.8 * hips or not hips <= thighs:
        raise InputError(
            str(path),
            f"{what}: the joints are not in the order of the 17 of the test set: hips "
            f"{hips:.3g} apart, {from_pelvis:.3g} from the pelvis, thighs {thighs:.3g} long",
            "the order must be " + ", ".join(MPI_INF_3DHP_17),
        )
