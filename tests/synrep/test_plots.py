"""Pictures: what is drawn, in which colour, seen from where."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib.image import imread

from synrep import plots
from synrep.skeleton import HUMAN36M_16, HUMAN36M_17, Skeleton

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.fixture
def poses() -> NDArray[np.float64]:
    """Six random poses (6, 17, 3) of about 1 m."""
    return np.random.default_rng(0).uniform(-500, 500, (6, 17, 3))


def image(png: bytes) -> NDArray[np.float64]:
    """Pixels (height, width, 3) in [0, 1]."""
    return np.asarray(imread(io.BytesIO(png)))[..., :3]


def has_colour(png: bytes, code: str) -> bool:
    """Whether some pixels have exactly this colour."""
    wanted = np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return bool((np.abs(image(png) - wanted).max(-1) < 1e-3).any())


def test_rows_are_at_most_four(poses: NDArray[np.float64]) -> None:
    """A long video gives a picture of four frames, a single frame one of one."""
    one = image(plots.draw(HUMAN36M_17, poses[:1, :, :2], poses[:1]))
    four = image(plots.draw(HUMAN36M_17, poses[..., :2], poses))
    assert one.shape[1] == four.shape[1]
    assert 3 * one.shape[0] < four.shape[0] < 4 * one.shape[0]


def test_sides_have_their_colours(poses: NDArray[np.float64]) -> None:
    """Right is red and left is blue."""
    drawn = plots.draw(HUMAN36M_17, poses[:1, :, :2], poses[:1])
    assert has_colour(drawn, plots.RIGHT)
    assert has_colour(drawn, plots.LEFT)


@pytest.mark.parametrize("skeleton", [HUMAN36M_17, HUMAN36M_16])
def test_colours_follow_joint_names(skeleton: Skeleton) -> None:
    """By name, whatever the number of joints."""
    colours = {joint: plots.colour(skeleton, skeleton.index(joint)) for joint in skeleton.joints}
    assert colours["LWrist"] == colours["LHip"] == plots.LEFT
    assert colours["RWrist"] == colours["RHip"] == plots.RIGHT
    assert colours["Hip"] == colours["Head"] == plots.MIDDLE


def test_look_from_the_right() -> None:
    """From the camera's right, what is away is to the right and what is right is near."""
    right, down, away = np.eye(3)
    seen, depth = plots._look(np.stack([right, down, away]), 90)
    np.testing.assert_allclose(seen, [[0, 0], [0, -1], [1, 0]], atol=1e-12)
    np.testing.assert_allclose(depth, [-1, 0, 0], atol=1e-12)


def test_a_point_can_be_drawn() -> None:
    """A pose without size does not break the picture."""
    assert plots.draw(HUMAN36M_17, np.zeros((1, 17, 2)), np.zeros((1, 17, 3)), note="none")
