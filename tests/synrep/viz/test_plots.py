"""Plots: their content, colours and viewpoints."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from synrep.skeleton import HUMAN36M_16, HUMAN36M_17, Skeleton
from synrep.viz import plots
from synrep.viz.plots import Scene, SceneFigure, draw, panels, project

if TYPE_CHECKING:
    from numpy.typing import NDArray

at = HUMAN36M_17.index


def scene(frames: int = 6, *, truth: bool = False, **changes: Any) -> Scene:
    """Random poses of about 1 m."""
    poses = np.random.default_rng(0).uniform(-500, 500, (frames, 17, 3))
    values: dict[str, Any] = {
        "skeleton": HUMAN36M_17,
        "keypoints": poses[..., :2],
        "predicted": poses,
        "true": poses + 30 if truth else None,
        "frames": list(range(frames)),
    }
    return Scene(**values | changes)


def pixels(png: bytes) -> NDArray[np.uint8]:
    """(height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def rgb(code: str) -> NDArray[np.int64]:
    """Red, green and blue of `#rrggbb`."""
    return np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)])


def has_colour(png: bytes, code: str) -> bool:
    """Whether some pixels have exactly this colour."""
    return bool((np.abs(pixels(png) - rgb(code)).max(-1) == 0).any())


def standing() -> NDArray[np.float64]:
    """One pose (1, 17, 3) before a camera, facing it: y is down, the left hand is at the right."""
    pose = np.zeros((1, 17, 3))
    for name, place in {
        "Head": (0, -700, 0), "Nose": (0, -600, -100), "Thorax": (0, -500, 0),
        "Spine": (0, -250, 0), "LShoulder": (200, -480, 0), "LElbow": (450, -450, 50),
        "LWrist": (600, -480, -200), "RShoulder": (-200, -480, 0), "RElbow": (-220, -250, 50),
        "RWrist": (-230, -20, -50), "LHip": (100, 0, 0), "LKnee": (110, 400, -50),
        "LFoot": (110, 800, 0), "RHip": (-100, 0, 0), "RKnee": (-110, 400, -50),
        "RFoot": (-110, 800, 0),
    }.items():  # fmt: skip
        pose[0, at(name)] = place
    return pose


def test_rows_are_at_most_four() -> None:
    """A long video gives a picture of four frames, a single frame one of one."""
    one, four = pixels(draw(scene(1))), pixels(draw(scene(6)))
    assert one.shape[1] == four.shape[1]
    assert 2.5 * one.shape[0] < four.shape[0] < 4 * one.shape[0]


def test_truth_has_columns_of_its_own() -> None:
    """2D input, prediction and truth from one side, then from the other; else no truth."""
    titles = [panel.title.partition(",")[0] for panel in panels(scene(truth=True))]
    assert titles == ["2D input", "prediction", "truth", "prediction", "truth"]
    assert len({panel.title for panel in panels(scene(truth=True))}) == 5
    assert len(panels(scene())) == 3
    wide, narrow = pixels(draw(scene(truth=True))), pixels(draw(scene()))
    assert wide.shape[1] * 3 == narrow.shape[1] * 5


def test_sides_have_their_colours() -> None:
    """Right is red and left is blue."""
    drawn = draw(scene(1))
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
    seen, depth = project(np.stack([right, down, away]), 90)
    np.testing.assert_allclose(seen, [[0, 0], [0, -1], [1, 0]], atol=1e-12)
    np.testing.assert_allclose(depth, [-1, 0, 0], atol=1e-12)


def test_the_two_looks_are_90_degrees_apart() -> None:
    """What is depth from one side is width from the other."""
    pose = standing()
    (first, first_depth), (second, second_depth) = (
        project(pose, d) for d, _, _ in plots.VIEWPOINTS
    )
    np.testing.assert_allclose(np.abs(second[..., 0]), np.abs(first_depth), atol=1e-9)
    np.testing.assert_allclose(np.abs(first[..., 0]), np.abs(second_depth), atol=1e-9)
    np.testing.assert_allclose(first[..., 1], second[..., 1])


def test_joints_of_a_known_pose_are_where_they_must_be() -> None:
    """The head is up; each joint's pixels have its colour in every panel."""
    pose = standing()
    known = scene(1, keypoints=pose[..., :2] / 4 + 500, predicted=pose)
    half = np.sqrt(0.5)
    expected = {
        "Head": [(500, -325), (0, 700), (0, 700)],
        "RFoot": [(472.5, -700), (-110 * half, -800), (-110 * half, -800)],
        "LWrist": [(650, -380), (800 * half, 480), (400 * half, 480)],
    }
    figure = SceneFigure(known, 1)
    figure.show(0, 0, slice(0, 1))
    picture = pixels(figure.content("png"))
    for joint, places in expected.items():
        for axes, panel, place in zip(figure.axes[0], figure.panels, places, strict=True):
            np.testing.assert_allclose(panel.points[0, at(joint)], place, atol=1e-9)
            column, row = axes.transData.transform(place)
            found = picture[len(picture) - 1 - round(row), round(column)]
            assert np.abs(found - rgb(plots.colour(HUMAN36M_17, at(joint)))).max() <= 2


def test_axes_are_equal_and_shared_by_prediction_and_truth() -> None:
    """A centimetre is as long to the right as upwards, and in the truth as in the prediction."""
    figure = SceneFigure(scene(1, truth=True), 1)
    figure.show(0, 0, slice(0, 1))
    figure.content("png")
    scales = [np.diag(axes.transData.get_affine().get_matrix())[:2] for axes in figure.axes[0]]
    for right, up in scales:
        assert right == pytest.approx(up)
    np.testing.assert_allclose(scales[1], scales[2])
    np.testing.assert_allclose(scales[3], scales[4])


def test_captions_tell_frame_and_error() -> None:
    """The error is the mean distance of the joints, where the truth is known."""
    assert replace(scene(3), frames=[4, 9, 11]).caption(1) == "frame 9"
    moved = scene(1, true=np.add(scene(1).predicted, [0, 0, 40]))
    assert moved.caption(0) == "frame 0: P1 40 mm"


def test_a_point_can_be_drawn() -> None:
    """A pose with all joints at one point can be drawn."""
    png = draw(scene(1, keypoints=np.zeros((1, 17, 2)), predicted=np.zeros((1, 17, 3)), note="x"))
    assert has_colour(png, plots.MIDDLE)
