"""Rotations and kinematics that all formats of motion capture share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from synrep.datasets.mocap.motion import (
    SkeletonMotion,
    extrinsic_rotation,
    intrinsic_rotation,
    stride,
)

AXES = st.permutations("xyz").map("".join)
ANGLES = st.lists(st.floats(-360, 360), min_size=3, max_size=3)


@given(axes=AXES, degrees=ANGLES)
def test_turns_are_euler_angles(axes: str, degrees: list[float]) -> None:
    """They agree with SciPy's intrinsic and extrinsic Euler angles."""
    given_degrees = np.array([degrees])
    intrinsic = Rotation.from_euler(axes.upper(), degrees, degrees=True).as_matrix()
    extrinsic = Rotation.from_euler(axes, degrees, degrees=True).as_matrix()
    np.testing.assert_allclose(intrinsic_rotation(axes, given_degrees)[0], intrinsic, atol=1e-9)
    np.testing.assert_allclose(extrinsic_rotation(axes, given_degrees)[0], extrinsic, atol=1e-9)


def test_no_axes_give_the_identity() -> None:
    """A joint without channels has the identity rotation in every frame."""
    np.testing.assert_array_equal(intrinsic_rotation("", np.zeros((2, 0))), [np.eye(3)] * 2)


@given(first=ANGLES, second=ANGLES)
def test_joints_follow_rotated_parents(first: list[float], second: list[float]) -> None:
    """A child's offset is rotated by all its ancestors, its own rotation moves only descendants."""
    rotations = intrinsic_rotation("zyx", np.array([first, second, [0.0, 0.0, 0.0]]))
    motion = SkeletonMotion(
        names=("a", "b", "c"),
        parents=(-1, 0, 1),
        offsets=np.array([[[1.0, 2, 3], [0, 5, 0], [0, 0, 7]]]),
        rotations=rotations[None],
        fps=25,
    )
    positions, world_rotations = motion.world()
    a, b = (Rotation.from_euler("ZYX", angles, degrees=True) for angles in (first, second))
    expected_b = np.add([1, 2, 3], a.apply([0, 5, 0]))
    np.testing.assert_allclose(positions[0, 1], expected_b, atol=1e-9)
    np.testing.assert_allclose(positions[0, 2], expected_b + (a * b).apply([0, 0, 7]), atol=1e-9)
    np.testing.assert_allclose(world_rotations[0, 2], (a * b).as_matrix(), atol=1e-9)


@pytest.mark.parametrize(
    ("recorded", "wanted", "step"), [(120, 25, 5), (60, 25, 2), (30, 25, 1), (25, 120, 1)]
)
def test_the_nearest_stride(recorded: float, wanted: float, step: int) -> None:
    """Every n-th frame is kept with the nearest n, which is at least 1."""
    assert stride(recorded, wanted) == step
