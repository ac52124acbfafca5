"""Placement of nose and head for skeletons that end at the base of the skull.

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
"""Leg length (thigh and shin) for which the offsets below hold; they scale with the leg length."""
NOSE_FROM_SKULL_MM = np.array([95.0, 0.0, -10.0])
"""Offset of Human3.6M's nose from the base of the skull, as (forward, left, up) of the head."""
CROWN_FROM_SKULL_MM = np.array([0.0, 0.0, 95.0])
"""Offset of Human3.6M's head joint from the base of the skull, as (forward, left, up)."""


def place_heads(
    world_mm: Sequence[NDArray[np.float64]],
    skull: Sequence[NDArray[np.float64]],
    subjects: Sequence[str],
) -> list[NDArray[np.float64]]:
    """Place nose and head relative to the base of the skull, rotating with the head.

    In which direction a head faces relative to the axes of its joint depends on the naming
    convention and on how the marker cap was worn. The direction is therefore estimated for each
    subject, assuming that on average heads face in the direction of the trunk.

    Args:
        world_mm: (T, J, 3) joints of each clip, z up; Nose and Head hold the base of the skull.
        skull: (T, 3, 3) rotation of the joint at the base of the skull, of each clip.
        subjects: subject of each clip.

    Returns:
        The joints of each clip with Nose and Head placed.
    """
    hip, knee, foot, nose, head = HUMAN36M_17.indices("RHip", "RKnee", "RFoot", "Nose", "Head")
    placed = [joints.copy() for joints in world_mm]
    for subject in sorted(set(subjects)):
        clips = [index for index, name in enumerate(subjects) if name == subject]
        axes = _head_axes(
            np.concatenate([world_mm[index] for index in clips]),
            np.concatenate([skull[index] for index in clips]),
        )
        first = world_mm[clips[0]][0]
        leg = np.linalg.norm(first[knee] - first[hip]) + np.linalg.norm(first[foot] - first[knee])
        for index in clips:
            frame = skull[index] @ axes * (leg / REFERENCE_LEG_MM)
            placed[index][:, nose] += frame @ NOSE_FROM_SKULL_MM
            placed[index][:, head] += frame @ CROWN_FROM_SKULL_MM
    return placed


def _head_axes(world: NDArray[np.float64], skull: NDArray[np.float64]) -> NDArray[np.float64]:
    """Estimate the directions forward, left and up of the head in the axes of the skull's joint.

    Args:
        world: (T, J, 3) joints.
        skull: (T, 3, 3) rotation of the joint at the base of the skull.

    Returns:
        (3, 3) directions as columns.
    """
    left_hip, right_hip, left_shoulder, right_shoulder, hip, thorax = HUMAN36M_17.indices(
        "LHip", "RHip", "LShoulder", "RShoulder", "Hip", "Thorax"
    )
    trunk = _unit(world[:, thorax] - world[:, hip])
    upright = trunk[:, 2] > 0.87
    if upright.mean() > 0.1:  # people hold the head level even if the trunk leans
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
