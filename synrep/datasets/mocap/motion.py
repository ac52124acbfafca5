"""SkeletonMotion of a tree of joints, as motion-capture files hold it: offsets and rotations.

Axes: T frames, J joints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FARTHEST = 1e6
"""Most frames of which one is kept."""
MOST_JOINTS, MOST_PLACES = 1000, 20_000_000
"""Joints of a file, and joints times frames: a hundred times those of the longest ones known."""


@dataclass(frozen=True, eq=False)
class SkeletonMotion:
    """One clip in the unit and axes of its file."""

    names: tuple[str, ...]
    """J joint names; parents precede children."""
    parents: tuple[int, ...]
    """Number of each joint's parent; -1 for the root."""
    offsets: NDArray[np.float64]
    """(T or 1, J, 3) of each joint from its parent, along the parent's axes; the root's in the
    world."""
    turns: NDArray[np.float64]
    """(T, J, 3, 3) rotation of each joint relative to its parent."""
    fps: float
    """Frames per second."""

    def world(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where joints are, (T, J, 3), and how they are turned, (T, J, 3, 3), in the world."""
        places = np.empty((*self.turns.shape[:2], 3))
        turned = np.empty_like(self.turns)
        for joint, parent in enumerate(self.parents):
            if parent < 0:
                places[:, joint] = self.offsets[:, joint]
                turned[:, joint] = self.turns[:, joint]
                continue
            step = turned[:, parent] @ self.offsets[:, joint, :, None]
            places[:, joint] = places[:, parent] + step[..., 0]
            turned[:, joint] = turned[:, parent] @ self.turns[:, joint]
        return places, turned


def stride(recorded_fps: float, wanted_fps: float) -> int:
    """Every n-th frame is kept: the n that comes nearest to the wanted rate.

    Raises:
        ValueError: the rates are too far apart.
    """
    ratio = recorded_fps / wanted_fps
    if not ratio < FARTHEST:
        raise ValueError(f"{recorded_fps:g} frames per second can't become {wanted_fps:g}")
    return max(1, round(ratio))


def check_size(frames: int, joints: int) -> None:
    """Refuse what would fill the memory: a joint takes room in each frame, however short its line.

    Raises:
        ValueError: there are too many.
    """
    if joints > MOST_JOINTS or frames * joints > MOST_PLACES:
        raise ValueError(f"{frames} frames of {joints} joints are more than any recording has")


def turn(axes: str, degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotations (T, 3, 3) about one axis after the other, each as the ones before have turned it.

    Args:
        axes: such as 'zyx'.
        degrees: (T, number of axes).
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


def turn_fixed(axes: str, degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotations (T, 3, 3) about one axis after the other, all of which stay where they are."""
    return turn(axes[::-1], degrees[:, ::-1])
