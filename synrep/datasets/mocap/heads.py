"""Nose and crown for skeletons that end at the base of the skull.

Axes: T frames, J joints of Human3.6M.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

REFERENCE_LEG_MM = 897.0
"""Length of thigh and shin of a head with the measures below; other heads scale with the leg."""
NOSE_FROM_SKULL_MM = np.array([95.0, 0.0, -10.0])
"""Human3.6M's nose from the base of the skull, along (forward, left, up) of the head."""
CROWN_FROM_SKULL_MM = np.array([0.0, 0.0, 95.0])
"""Human3.6M's head joint, likewise."""


def place_heads(
    world_mm: Sequence[NDArray[np.float64]],
    skull: Sequence[NDArray[np.float64]],
    subjects: Sequence[str],
) -> list[NDArray[np.float64]]:
    """Put nose and crown in front of and above the base of the skull, turning with the head.

    Which way a head faces in the axes of its joint differs between conventions and by how a
    marker cap sat, so it is measured for each subject: on average, heads face where trunks face.

    Args:
        world_mm: for each clip (T, J, 3) joints, z up; Nose and Head hold the base of the skull.
        skull: for each clip (T, 3, 3) rotation of the joint at the base of the skull.
        subjects: for each clip who it shows.

    Returns:
        The clips with Nose and Head in place.
    """
    hip, knee, foot, nose, head = HUMAN36M_17.indices("RHip", "RKnee", "RFoot", "Nose", "Head")
    placed = [joints.copy() for joints in world_mm]
    for subject in sorted(set(subjects)):
        mine = [index for index, name in enumerate(subjects) if name == subject]
        axes = _head_axes(
            np.concatenate([world_mm[index] for index in mine]),
            np.concatenate([skull[index] for index in mine]),
        )
        first = world_mm[mine[0]][0]
        leg = np.linalg.norm(first[knee] - first[hip]) + np.linalg.norm(first[foot] - first[knee])
        for index in mine:
            frame = skull[index] @ axes * (leg / REFERENCE_LEG_MM)
            placed[index][:, nose] += frame @ NOSE_FROM_SKULL_MM
            placed[index][:, head] += frame @ CROWN_FROM_SKULL_MM
    return placed


def _head_axes(world: NDArray[np.float64], skull: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) columns forward, left and up of the head in the axes of the skull's joint."""
    left_hip, right_hip, left_shoulder, right_shoulder, hip, thorax = HUMAN36M_17.indices(
        "LHip", "RHip", "LShoulder", "RShoulder", "Hip", "Thorax"
    )
    trunk = _unit(world[:, thorax] - world[:, hip])
    upright = trunk[:, 2] > 0.87
    if upright.mean() > 0.1:  # heads are held level, not along a leaning trunk
        world, skull = world[upright], skull[upright]
        trunk = np.broadcast_to([0.0, 0.0, 1.0], (len(world), 3))
    left = world[:, left_hip] - world[:, right_hip]
    left += world[:, left_shoulder] - world[:, right_shoulder]
    up = _unit(np.einsum("tji,tj->i", skull, trunk))
    ahead = np.einsum("tji,tj->i", skull, _unit(np.cross(left, trunk)))
    ahead = _unit(ahead - up * (ahead @ up))
    return np.stack([ahead, np.cross(up, ahead), up], axis=1)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: NDArray[np.float64] = vectors / np.maximum(length, 1e-9)
    return unit
