"""Per-pose normalisation."""

from __future__ import annotations

import numpy as np
import pytest

from synrep.datasets.normalise import normalise_2d, normalise_3d, radius

RANDOM = np.random.default_rng(0)


def test_2d_poses_have_unit_mean_radius_whatever_the_resolution() -> None:
    """Root at the origin, other joints at mean distance 1; pixels and resolution drop out."""
    pixels = RANDOM.uniform(0, 1000, (5, 17, 2))
    poses, size = normalise_2d(pixels)
    np.testing.assert_array_equal(poses[:, 0], 0)
    np.testing.assert_allclose(np.linalg.norm(poses[:, 1:], axis=-1).mean(-1), 1)
    np.testing.assert_allclose(poses * size[:, None, None] + pixels[:, :1], pixels)
    np.testing.assert_allclose(normalise_2d(pixels * 3 + 40)[0], poses)


@pytest.mark.parametrize(
    ("kind", "expected"), [("xy_radius", 5.0), ("radius_3d", 13.0), ("xy_fro", 5.0)]
)
def test_radius_of_a_known_pose(kind, expected: float) -> None:
    """Every joint but the root lies at (3, 4, 12)."""
    pose = np.zeros((1, 4, 3))
    pose[:, 1:] = [3.0, 4.0, 12.0]
    assert radius(pose, kind).item() == pytest.approx(expected)


def test_3d_poses_are_divided_by_their_own_xy_radius() -> None:
    """True and generated x, y then have the same size (row 2)."""
    poses, scale = normalise_3d(RANDOM.normal([0, 0, 5000], 400, (4, 17, 3)))
    np.testing.assert_allclose(np.linalg.norm(poses[:, 1:, :2], axis=-1).mean(-1), 1)
    assert (scale > 100).all()


def test_all_joints_in_one_point_is_no_nan() -> None:
    """A pose without size stays at the origin."""
    poses, size = normalise_2d(np.full((1, 17, 2), 7.0))
    assert (poses == 0).all()
    assert size.item() == 1
