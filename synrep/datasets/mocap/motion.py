"""Motion of a joint hierarchy, given as in motion-capture files by offsets and rotations.

Axes: T frames, J joints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synrep.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_STRIDE = 1e6
"""Upper bound of the ratio of recorded to requested frame rate."""
MAX_JOINTS, MAX_POSITIONS = 1000, 20_000_000
"""Most joints and most joint positions (joints times frames) of a file; a hundred times those of
the longest known recordings."""


@dataclass(frozen=True, eq=False)
class SkeletonMotion:
    """Motion of one clip, in the unit and axes of its file."""

    names: tuple[str, ...]
    """J joint names; parents precede children."""
    parents: tuple[int, ...]
    """Index of each joint's parent; -1 for the root."""
    offsets: NDArray[np.float64]
    """(T or 1, J, 3) offset of each joint from its parent in the parent's axes; that of the root is
    its world position."""
    rotations: NDArray[np.float64]
    """(T, J, 3, 3) rotation of each joint relative to its parent."""
    fps: float
    """Frames per second."""

    def world(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Compute joint positions (T, J, 3) and rotations (T, J, 3, 3) in world coordinates."""
        positions = np.empty((*self.rotations.shape[:2], 3))
        rotations = np.empty_like(self.rotations)
        for joint, parent in enumerate(self.parents):
            if parent < 0:
                positions[:, joint] = self.offsets[:, joint]
                rotations[:, joint] = self.rotations[:, joint]
                continue
            offset = rotations[:, parent] @ self.offsets[:, joint, :, None]
            positions[:, joint] = positions[:, parent] + offset[..., 0]
            rotations[:, joint] = rotations[:, parent] @ self.rotations[:, joint]
        return positions, rotations

    def gaps(self) -> set[str]:
        """Joints with several children that all start at the joint's own place."""
        longest = np.abs(self.offsets).max(axis=(0, 2))
        children = [
            [child for child, parent in enumerate(self.parents) if parent == joint]
            for joint in range(len(self.names))
        ]
        return {
            name
            for name, below in zip(self.names, children, strict=True)
            if len(below) > 1 and not longest[below].any()
        }

    def between(self, start: str, end: str) -> NDArray[np.float64]:
        """Return the vector (T or 1, 3) from a joint to one above it where nothing is rotated.

        Raises:
            InputError: the first is not an ancestor of the second.
        """
        vector, joint = np.zeros_like(self.offsets[:, 0]), self.names.index(end)
        while self.names[joint] != start:
            vector = vector + self.offsets[:, joint]
            joint = self.parents[joint]
            if joint < 0:
                rule = f"{start!r}, where the missing bone starts, is no ancestor of {end!r}"
                raise InputError("--joint-map", rule, "correct `missing_bone`")
        return vector


def stride(recorded_fps: float, target_fps: float) -> int:
    """Return the n for which keeping every n-th frame comes nearest to the target frame rate.

    Raises:
        ValueError: the rates are too far apart.
    """
    ratio = recorded_fps / target_fps
    if not ratio < MAX_STRIDE:
        raise ValueError(f"{recorded_fps:g} frames per second can't become {target_fps:g}")
    return max(1, round(ratio))


def check_size(frames: int, joints: int) -> None:
    """Refuse files that would exhaust the memory: each joint takes memory in every frame.

    Raises:
        ValueError: there are too many joints or positions.
    """
    if joints > MAX_JOINTS or frames * joints > MAX_POSITIONS:
        raise ValueError(f"{frames} frames of {joints} joints are more than any recording has")


def intrinsic_rotation(axes: str, degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotations (T, 3, 3) of intrinsic Euler angles: about successively rotated axes.

    Args:
        axes: sequence of axes, such as 'zyx'.
        degrees: (T, number of axes) angles.
    """
    rotation = np.broadcast_to(np.eye(3), (len(degrees), 3, 3))
    for axis, angle in zip(axes, np.radians(degrees).T, strict=True):
        first, second = ("xyz".index(axis) + 1) % 3, ("xyz".index(axis) + 2) % 3
        single = np.tile(np.eye(3), (len(degrees), 1, 1))
        single[:, first, first] = single[:, second, second] = np.cos(angle)
        single[:, second, first] = np.sin(angle)
        single[:, first, second] = -np.sin(angle)
        rotation = rotation @ single
    return rotation


def extrinsic_rotation(axes: str, degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotations (T, 3, 3) of extrinsic Euler angles: about fixed axes, in that order."""
    return intrinsic_rotation(axes[::-1], degrees[:, ::-1])
