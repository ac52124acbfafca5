"""Keypoints that would give wrong poses: refused, warned of, or read right."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from synrep.cli.reading import warnings_as_lines
from synrep.datasets import open_poses
from synrep.errors import InputError, InputWarning, tell
from synrep.inference.keypoints.geometry import broken_rules
from synrep.inference.keypoints.keypoints import (
    Keypoints,
    keypoints_of,
    read_keypoints,
    to_skeleton,
)
from synrep.inference.lift import lift
from synrep.keypoint_sets import COCO_17, HALPE_26, KEYPOINT_SETS, MPII_16, OPENPOSE_25, KeypointSet
from synrep.skeleton import HUMAN36M_16, HUMAN36M_17

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.inference.lifter import Lifter

    Body = Callable[..., NDArray[np.float64]]

HUMAN36M = KEYPOINT_SETS[HUMAN36M_17.name]
DETECTED = [entry for entry in KEYPOINT_SETS.values() if "LEye" in entry.joints]


pytestmark = pytest.mark.filterwarnings("error::synrep.errors.InputWarning")


def human36m(body: Body) -> NDArray[np.float64]:
    """The person in Human3.6M's joints (F, 17, 2)."""
    given = body(COCO_17.joints)
    return to_skeleton(Keypoints(joints=COCO_17, points_px=given, source="test"))


@pytest.mark.parametrize("confidence", [None, 0.4])
@pytest.mark.parametrize("value", [0, -1])
def test_places_of_joints_that_were_not_found(
    body: Body, lifter: Lifter, confidence: float | None, value: int
) -> None:
    """(0, 0) and (-1, -1) are missing, whatever the confidence, and told with joint and frame."""
    points = body(COCO_17.joints)
    points[1, [COCO_17.index("LWrist"), COCO_17.index("LEye")]] = value
    if confidence:
        points = np.concatenate([points, np.full((3, 17, 1), confidence)], -1)
    said = rf"2 joints at \({value}, {value}\) taken as not detected: LEye, LWrist in frame 1"
    with pytest.warns(InputWarning, match=said):
        found = keypoints_of(points, "coco", "test")
    assert np.isnan(found.points_px[1, COCO_17.index("LWrist")]).all()
    with (
        pytest.warns(InputWarning, match=said),
        pytest.raises(InputError, match="missing joints: frame 1: LWrist"),
    ):
        lifter.lift(points, skeleton="coco")
    with pytest.warns(InputWarning, match=said):
        assert lifter.lift(points, skeleton="coco", skip_missing_joints=True).frames == (0, 2)


def test_zeros_without_confidence_are_not_told(body: Body) -> None:
    """OpenPose writes three zeros: that they are missing is no news."""
    points = np.concatenate([body(COCO_17.joints), np.ones((3, 17, 1))], -1)
    points[1, 9] = 0
    assert np.isnan(keypoints_of(points, "coco", "test").points_px[1, 9]).all()


def test_a_root_may_lie_at_zero(body: Body, lifter: Lifter) -> None:
    """Where the others lie around it in all frames; in one frame alone, it is missing."""
    points = human36m(body)
    centred = points - points[:, :1]
    np.testing.assert_allclose(
        lifter.lift(centred).poses, lifter.lift(points).poses, atol=0.01, rtol=0
    )
    points[2, 0] = 0
    with (
        pytest.warns(InputWarning, match="1 joints at"),
        pytest.raises(InputError, match="frame 2: Hip"),
    ):
        lifter.lift(points)


@pytest.mark.parametrize("centred", [False, True])
def test_fractions_need_the_size_of_the_image(body: Body, lifter: Lifter, *, centred: bool) -> None:
    """From 0 to 1 or from -1 to 1, a few of them outside; poses are then those of the pixels."""
    points = body(COCO_17.joints)
    size = (1280, 720)  # the feet are below the picture
    fractions = points / size * 2 - 1 if centred else points / size
    for given in (fractions, np.concatenate([fractions, np.ones((3, 17, 1))], -1)):
        with pytest.raises(InputError, match=r"normalised .* --image-size W H, .*image_size="):
            lifter.lift(given, skeleton="coco")
        found = lifter.lift(given, skeleton="coco", image_size=size)
        expected = lifter.lift(points, skeleton="coco")
        np.testing.assert_allclose(found.poses, expected.poses, atol=0.01, rtol=0)
        np.testing.assert_allclose(found.keypoints_px, expected.keypoints_px, atol=1e-6)


def test_sizes_that_have_no_use(body: Body) -> None:
    """For pixels, and sizes that are none."""
    points = body(COCO_17.joints)
    with pytest.raises(InputError, match="test is in pixels already, up to"):
        keypoints_of(points, "coco", "test", image_size=(1920, 1080))
    for size in ((0, 3), (float("nan"), 1)):
        with pytest.raises(InputError, match="no width and height"):
            keypoints_of(points / 2000, "coco", "test", image_size=size)


def test_zeros_among_fractions_are_missing(body: Body) -> None:
    """They are not made a corner or the middle of the picture."""
    points = body(COCO_17.joints) / 2000
    points[0, 9] = 0
    with pytest.warns(InputWarning, match="1 joints at"):
        found = keypoints_of(points, "coco", "test", image_size=(2000, 2000))
    assert np.argwhere(np.isnan(found.points_px[..., 0])).tolist() == [[0, 9]]


def test_least_confidence(tmp_path: Path, body: Body) -> None:
    """Joints below are missing; without confidences the option has no effect."""
    points = np.concatenate([body(COCO_17.joints), np.ones((3, 17, 1))], -1)
    points[0, 9, 2], points[1, 9, 2] = 0.29, 0.3
    path = tmp_path / "a.json"
    path.write_text(json.dumps(points.tolist()))
    assert np.isfinite(read_keypoints(path, "coco").points_px).all()
    found = read_keypoints(path, "coco", min_confidence=0.3)
    assert np.argwhere(np.isnan(found.points_px[..., 0])).tolist() == [[0, 9]]
    with pytest.raises(InputError, match="min_confidence: test holds no confidences"):
        keypoints_of(points[..., :2], "coco", "test", min_confidence=0.3)
    with pytest.raises(InputError, match="-1 is no confidence"):
        keypoints_of(points, "coco", "test", min_confidence=-1)


@pytest.mark.parametrize("joints", DETECTED, ids=lambda joints: joints.name)
def test_bodies_keep_the_rules(body: Body, joints: KeypointSet) -> None:
    """In every set, also from behind, in a mirror, small, and with gaps."""
    points = body(joints.joints)
    for given in (points, points * [-1, 1] + [2000, 0], points * 0.05):
        assert broken_rules(given, joints) == []
        gaps = given.copy()
        gaps[0, ::3] = np.nan
        keypoints_of(gaps, joints.name, "test")


def test_motions_keep_the_rules() -> None:
    """Walking, sitting, bowing: from four sides, every clip, as Human3.6M's joints."""
    poses = open_poses("synthetic").read("test")
    for clip in dict.fromkeys(poses.clip.tolist()):
        joints = poses.joints_mm[poses.clip == clip].astype(float)
        for angle in np.radians([0, 45, 90, 200]):
            across = joints[..., 0] * np.cos(angle) + joints[..., 1] * np.sin(angle)
            points = np.stack([across, -joints[..., 2]], -1)
            assert broken_rules(points, HUMAN36M) == [], (clip, angle)


def swap(joints: KeypointSet, *names: str) -> list[int]:
    """The order of joints in which some are exchanged in turn."""
    order = list(range(len(joints.joints)))
    numbers = [joints.index(name) for name in names]
    for number, other in zip(numbers, numbers[1:] + numbers[:1], strict=True):
        order[number] = other
    return order


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("LHip", "RHip"), "left and right of hips and shoulders differ"),
        (("LKnee", "RKnee"), "left and right of knees and hips differ"),
        (("LElbow", "RElbow"), "left and right of elbows and shoulders differ"),
        (("LHip", "LKnee", "RHip", "RKnee"), "the hips do not lie between"),
        (("LEye", "LWrist"), "the eyes are far from the nose"),
        (("Nose", "LFoot"), "the nose is nearer to the hips"),
    ],
)
def test_joints_in_a_wrong_order_are_told(body: Body, names: tuple[str, ...], message: str) -> None:
    """It fits by count; most frames break a rule."""
    points = body(COCO_17.joints)[:, swap(COCO_17, *names)]
    with pytest.warns(InputWarning, match=f"hardly coco-17 keypoints: .*{message}.*--skeleton"):
        keypoints_of(points, "coco", "test")


def test_one_odd_frame_is_not_told(body: Body) -> None:
    """Of three."""
    points = body(COCO_17.joints)
    points[0] = points[0, swap(COCO_17, "LHip", "RHip")]
    keypoints_of(points, "coco", "test")


@pytest.mark.parametrize(("said", "true"), [("human36m-17", "coco-17"), ("coco-17", "human36m-17")])
def test_another_set_of_as_many_joints_is_named(
    tmp_path: Path, body: Body, said: str, true: str
) -> None:
    """The one whose rules all are kept."""
    points = human36m(body) if true == "human36m-17" else body(COCO_17.joints)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(points.tolist()))
    with pytest.warns(InputWarning, match=f"hardly {said} keypoints.*would fit {true}"):
        read_keypoints(path, said)
    read_keypoints(path, true)


def test_y_upwards_is_told(body: Body) -> None:
    """A person on their head in most frames."""
    with pytest.warns(InputWarning, match="the head is below the hips.*y must point down"):
        keypoints_of(body(COCO_17.joints) * [1, -1], "coco", "test")


@pytest.mark.parametrize(
    ("joints", "expected"),
    [
        (COCO_17, ("Spine", "Nose", "Head")),
        (OPENPOSE_25, ("Spine", "Nose", "Head")),
        (HALPE_26, ("Spine", "Nose")),
        (MPII_16, ("Spine", "Nose")),
        (KEYPOINT_SETS[HUMAN36M_16.name], ("Nose",)),
        (HUMAN36M, ()),
    ],
)
def test_estimated_joints_are_named(
    lifter: Lifter, joints: KeypointSet, expected: tuple[str, ...]
) -> None:
    """Those that a detector does not see; they are made of others, or stand for others."""
    points = np.random.default_rng(3).uniform(10, 1000, (2, len(joints.joints), 2))
    given = Keypoints(joints=joints, points_px=points, source="test")
    assert lift(lifter, given).estimated == expected


def test_strange_estimates_are_refused() -> None:
    """By the set that names them."""
    with pytest.raises(ValueError, match=r"Human3\.6M has no Tail"):
        KeypointSet(
            name="x",
            help="",
            joints=HUMAN36M_17.joints,
            to_human36m=HUMAN36M.to_human36m,
            estimated=("Tail",),
        )


def test_warnings_become_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Each once, with control characters escaped; other warnings stay what they are."""
    with warnings_as_lines():
        for _ in range(2):
            tell("a\x1b[31m.json", "odd", "look")
        with pytest.warns(UserWarning, match="other"):
            warnings.warn("other", UserWarning, stacklevel=1)
    shown: Any = capsys.readouterr().err
    assert shown == "Warning: a\\x1b[31m.json: odd (look)\n"
