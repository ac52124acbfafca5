"""Cameras: projection, placement, and the virtual rig."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synrep.datasets.cameras import Camera, look_at, place_in_rig, virtual_rig

RIG = virtual_rig(4, seed=0)
coordinates = st.floats(-1500, 1500)


@given(x=coordinates, y=coordinates, z=st.floats(0, 2000), number=st.integers(0, 3))
def test_world_to_camera_and_back(x: float, y: float, z: float, number: int) -> None:
    """The inverse recovers the points; people in the capture area are in front of the camera."""
    world = np.array([x, y, z])
    seen = RIG[number].to_camera(world)
    back = seen @ RIG[number].rotation + RIG[number].position_mm
    np.testing.assert_allclose(back, world, atol=1e-6)
    assert seen[2] > 1000


def test_projection_of_a_known_point() -> None:
    """Projection agrees with Human3.6M's distortion formula, term by term for one point."""
    camera = Camera(
        focal_px=np.array([1000.0, 1100.0]),
        centre_px=np.array([500.0, 510.0]),
        radial=np.array([-0.2, 0.25, -0.005]),
        tangential=np.array([-0.001, -0.002]),
        rotation=np.eye(3),
        position_mm=np.zeros(3),
    )
    x, y = 0.1, -0.2
    r2 = x * x + y * y
    radial = 1 - 0.2 * r2 + 0.25 * r2**2 - 0.005 * r2**3
    tangential = -0.001 * y - 0.002 * x
    expected = [
        1000 * (x * (radial + tangential) - 0.002 * r2) + 500,
        1100 * (y * (radial + tangential) - 0.001 * r2) + 510,
    ]
    found = camera.project(np.array([[0.1, -0.2, 1.0]]) * 4000)
    np.testing.assert_allclose(found, [expected])


def test_camera_axes_point_right_down_and_away() -> None:
    """A camera on the -y side: world x is right, world z is up on the picture, y is away."""
    rotation = look_at(np.array([0.0, -5000.0, 1000.0]), np.array([0.0, 0.0, 1000.0]))
    np.testing.assert_allclose(rotation, [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_rig_is_seeded_and_like_human36m() -> None:
    """The same seed gives the same cameras; distances, heights and lenses are as documented."""
    again = virtual_rig(4, seed=0)
    for one, other in zip(RIG, again, strict=True):
        np.testing.assert_array_equal(one.rotation, other.rotation)
    assert not np.allclose(virtual_rig(4, seed=1)[0].position_mm, RIG[0].position_mm)
    for camera in RIG:
        assert 4500 < np.linalg.norm(camera.position_mm[:2]) < 5700
        assert 1300 < camera.position_mm[2] < 1700
        assert 1140 < camera.focal_px[0] < 1153
        middle = camera.project(camera.to_camera(np.array([[0.0, 0.0, 900.0]])))
        assert np.abs(middle - 500).max() < 100


def test_clips_are_placed_within_reach() -> None:
    """Distant poses are moved onto the circle; near ones and all heights do not change."""
    poses = np.zeros((3, 2, 3))
    poses[:, :, 0] = np.array([0.0, 100.0, 9000.0])[:, None]
    poses[:, 1, 2] = 500
    placed = place_in_rig(poses, root=0, reach_mm=1500)
    np.testing.assert_allclose(placed[:, 0, 0], [-100, 0, 1500])
    np.testing.assert_array_equal(placed[..., 2], poses[..., 2])
