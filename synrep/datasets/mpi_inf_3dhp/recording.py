"""Recordings: sequences of MPI-INF-3DHP as single cameras saw them, whatever file they came from.

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
    """One sequence before one camera, in the 17 joints of Human3.6M."""

    source: str
    """The file, for messages."""
    name: str
    """Sequence and camera: becomes the name of the clip and of the camera."""
    subject: str
    """Who moves."""
    action: NDArray[np.str_]
    """(T,) what is done."""
    frame: NDArray[np.int32]
    """(T,) frame in steps of 1/25 s."""
    keypoints_px: NDArray[np.float64]
    """(T, 17, 2) 2D annotations."""
    poses_mm: NDArray[np.float64]
    """(T, 17, 3) the wanted poses, in the camera frame."""
    projecting_mm: NDArray[np.float64] | None
    """(T, 17, 3) poses that project to the 2D annotations, where the source has them."""
    calibration: Intrinsics | None = None
    """The camera as measured, where the source has it."""


class SequenceRead(NamedTuple):
    """A sequence as read from a file."""

    name: str
    """Such as "S1/Seq1" or "TS1"."""
    recordings: list[CameraSequence]
    """One for each camera."""
    notes: list[str]
    """What a user should know about it."""


def frames(values: Any, joints: int, axes: int, place: str) -> NDArray[np.float64]:
    """Points (F, joints, axes) of an array that holds them frame by frame.

    Args:
        values: (F, joints * axes), (F, joints, axes) or (F, 1, joints, axes).
        joints: how many there must be.
        axes: 2 or 3.
        place: where the array is from, for messages.

    Raises:
        InputError: it has another shape, no frames, or no numbers.
    """
    array = as_array(values, place)
    shape = array.shape
    if array.dtype.kind not in "iuf":
        raise InputError(place, f"holds {array.dtype} instead of numbers")
    if shape[1:] not in {(joints * axes,), (joints, axes), (1, joints, axes)}:
        wanted = f"each frame needs {joints} joints with {axes} numbers"
        if shape[:1] == (axes,) or shape[:1] == (joints * axes,):
            raise InputError(place, f"its shape is {shape}: its axes are swapped", wanted)
        raise InputError(place, f"its shape is {shape}", wanted)
    if len(array) == 0:
        raise InputError(place, "has no frames", "get the file again")
    return array.reshape(-1, joints, axes).astype(np.float64)


def common_length(lengths: Mapping[str, int], name: str, place: str) -> tuple[int, list[str]]:
    """How many frames all arrays of a sequence have, and notes where they differ.

    Args:
        lengths: frames of each array; the table's number among them counts as the wanted one.
        name: the sequence.
        place: the file, for messages.

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
