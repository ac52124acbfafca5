"""Sequences of MPI-INF-3DHP as recorded by single cameras, independent of the file format.

Axes: F frames of a file, T frames that are kept, J joints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from synrep.datasets.untrusted.npz import as_array
from synrep.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synrep.datasets.store.header import Intrinsics


@dataclass(frozen=True, kw_only=True, eq=False)
class CameraSequence:
    """One sequence recorded by one camera, with the 17 joints of Human3.6M."""

    source: str
    """Name of the file, for messages."""
    name: str
    """Name of sequence and camera, used as the name of the clip and of its camera."""
    subject: str
    """Name of the subject."""
    action: NDArray[np.str_]
    """(T,) action of each frame."""
    frame: NDArray[np.int32]
    """(T,) frame number in steps of 1/25 s."""
    keypoints_px: NDArray[np.float64]
    """(T, 17, 2) 2D annotations."""
    poses_mm: NDArray[np.float64]
    """(T, 17, 3) poses to store, in the camera frame."""
    projecting_mm: NDArray[np.float64] | None
    """(T, 17, 3) poses that project to the 2D annotations (`annot3`), if the source has them."""
    calibration: Intrinsics | None = None
    """Calibrated intrinsics of the camera, if the source has them."""


class SequenceRead(NamedTuple):
    """A sequence as read from a file."""

    name: str
    """Name of the sequence, such as "S1/Seq1" or "TS1"."""
    recordings: list[CameraSequence]
    """The sequence as recorded by each camera."""
    notes: list[str]
    """Notes for the user."""


def frames(values: Any, joints: int, axes: int, place: str) -> NDArray[np.float64]:
    """Convert an array with one row per frame to points (F, joints, axes).

    Args:
        values: (F, joints * axes), (F, joints, axes) or (F, 1, joints, axes).
        joints: expected number of joints.
        axes: 2 or 3.
        place: source of the array, for messages.

    Raises:
        InputError: the array has another shape, no frames, or is not numeric.
    """
    array = as_array(values, place)
    shape = array.shape
    if array.dtype.kind not in "iuf":
        raise InputError(place, f"holds {array.dtype} instead of numbers")
    if shape[1:] not in {(joints * axes,), (joints, axes), (1, joints, axes)}:
        remedy = f"each frame needs {joints} joints with {axes} numbers"
        if shape[:1] == (axes,) or shape[:1] == (joints * axes,):
            raise InputError(place, f"its shape is {shape}: its axes are swapped", remedy)
        raise InputError(place, f"its shape is {shape}", remedy)
    if len(array) == 0:
        raise InputError(place, "has no frames", "get the file again")
    return array.reshape(-1, joints, axes).astype(np.float64)


def common_length(lengths: Mapping[str, int], name: str, place: str) -> tuple[int, list[str]]:
    """Return the number of frames that all arrays of a sequence have, and notes if they differ.

    Args:
        lengths: number of frames of each array, and the published number if there is one.
        name: name of the sequence.
        place: name of the file, for messages.

    Raises:
        InputError: an array is empty.
    """
    shortest = min(lengths, key=lambda key: lengths[key])
    count = lengths[shortest]
    if count == 0:
        raise InputError(place, f"{shortest} of {name} has no frames", "get the file again")
    if len(set(lengths.values())) == 1:
        return count, []
    listed = ", ".join(f"{key} {length}" for key, length in lengths.items())
    return count, [f"{name}: different numbers of frames ({listed}); the first {count} are used"]
