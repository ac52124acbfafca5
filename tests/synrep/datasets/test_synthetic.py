"""The built-in motion: repeatable, within the limits of human joints, on a floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from synrep.datasets import open_poses
from synrep.datasets.store import checks
from synrep.datasets.synthetic.actions import ACTIONS, AngleCurves
from synrep.datasets.synthetic.body import ANGLES, LIMITS_DEG, Body, angles_within_limits, joints_mm
from synrep.datasets.synthetic.generate import FPS, description, generate
from synrep.errors import InputError
from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.datasets.store.header import Split
    from synrep.datasets.store.store import Poses

at = HUMAN36M_17.index


@pytest.fixture(scope="module")
def splits() -> dict[Split, Poses]:
    """The default poses with shorter clips."""
    return generate(seed=0, clip_s=3.0)


@pytest.fixture(scope="module")
def train(splits: dict[Split, Poses]) -> Poses:
    """The training split."""
    return splits["train"]


def posed(**angles: float) -> NDArray[np.float64]:
    """(J, 3) joints of a body that faces +x, with all other angles zero."""
    row = np.array([[angles.get(name, 0.0) for name in ANGLES]])
    joints: NDArray[np.float64] = joints_mm(Body(), row, np.zeros(1))[0]
    return joints


def test_body_at_rest() -> None:
    """At zero angles the body stands upright: arms and legs hang, left is +y, the nose ahead."""
    body, joints = Body(), posed()
    np.testing.assert_allclose(joints[at("LHip")], [0, body.hip, 0], atol=1e-9)
    np.testing.assert_allclose(joints[at("RFoot")], [0, -body.hip, -body.thigh - body.shin])
    assert joints[at("LShoulder"), 1] > 0 > joints[at("RShoulder"), 1]
    assert joints[at("Nose"), 0] > joints[at("Thorax"), 0]
    wrist = joints[at("LWrist")] - joints[at("LShoulder")]
    np.testing.assert_allclose(wrist, [0, 0, -body.upper_arm - body.forearm], atol=1e-9)


@pytest.mark.parametrize(
    ("angle", "joint", "relative_to", "expected"),
    [
        ("left_hip_flexion", "LKnee", "LHip", (432, 0, 0)),
        ("right_hip_abduction", "RKnee", "RHip", (0, -432, 0)),
        ("left_hip_abduction", "LKnee", "LHip", (0, 432, 0)),
        ("left_knee_flexion", "LFoot", "LKnee", (-438, 0, 0)),
        ("right_elbow_flexion", "RWrist", "RElbow", (246, 0, 0)),
        ("right_shoulder_flexion", "RElbow", "RShoulder", (288, 0, 0)),
        ("left_shoulder_abduction", "LElbow", "LShoulder", (0, 288, 0)),
    ],
)
def test_right_angles_known_by_hand(
    angle: str, joint: str, relative_to: str, expected: tuple[float, float, float]
) -> None:
    """Each angle at 90 degrees puts its bone where anatomy says, on either side."""
    joints = posed(**{angle: 90.0})
    np.testing.assert_allclose(joints[at(joint)] - joints[at(relative_to)], expected, atol=1e-9)


@pytest.mark.parametrize(("side", "sign"), [("left", 1), ("right", -1)])
def test_outward_twist_swings_a_bent_forearm_outward(side: str, sign: int) -> None:
    """Twist is positive outward on both sides."""
    joints = posed(**{f"{side}_elbow_flexion": 90.0, f"{side}_shoulder_twist": 90.0})
    prefix = side[0].upper()
    forearm = joints[at(f"{prefix}Wrist")] - joints[at(f"{prefix}Elbow")]
    np.testing.assert_allclose(forearm, [0, sign * 246, 0], atol=1e-9)


def test_bones_keep_their_length_in_any_pose() -> None:
    """Forward kinematics is rigid."""
    random = np.random.default_rng(0)
    low, high = np.array([LIMITS_DEG[name] for name in ANGLES]).T
    angles = random.uniform(low, high, (200, len(ANGLES)))
    joints = joints_mm(Body(), angles, random.uniform(-180, 180, 200))
    for parent, child in HUMAN36M_17.bones:
        lengths = np.linalg.norm(joints[:, child] - joints[:, parent], axis=1)
        assert np.ptp(lengths) < 1e-9


def test_equal_seeds_give_equal_poses_and_others_do_not() -> None:
    """Equal seeds give equal poses, other seeds other poses."""
    first, again, other = (generate(seed, clip_s=1.0)["test"] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.joints_mm, again.joints_mm)
    assert not np.array_equal(first.joints_mm, other.joints_mm)


def test_splits_have_their_own_actors_and_all_actions(splits: dict[Split, Poses]) -> None:
    """No actor is in two splits, and every split shows every action."""
    actors = [set(poses.subject.tolist()) for poses in splits.values()]
    assert [len(names) for names in actors] == [8, 2, 2]
    assert len(set.union(*actors)) == 12
    for poses in splits.values():
        assert set(poses.action.tolist()) == set(ACTIONS)


def test_default_size() -> None:
    """About 20,000 poses by default, as the documentation says."""
    assert sum(len(poses) for poses in generate().values()) == 20160


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_check_of_a_store_passes(splits: dict[Split, Poses], split: Split) -> None:
    """Units, up axis, bone lengths, knees and noses are those of people, in every split."""
    every = checks.REQUIRED | checks.THOROUGH
    outcomes = list(checks.run(every, splits[split], description(), split))
    assert len(outcomes) >= 6
    assert [check for check in outcomes if check.status != "passed"] == []


@pytest.mark.parametrize("action", ACTIONS)
def test_limits_hold_without_much_cutting(action: str) -> None:
    """Most angles are within the limits before they are clipped."""
    motion = AngleCurves(np.random.default_rng(1), 240, FPS)
    ACTIONS[action](motion)
    curves = np.stack([motion.angles[name] for name in ANGLES], axis=1)
    limited = angles_within_limits(curves)
    low, high = np.array([LIMITS_DEG[name] for name in ANGLES]).T
    assert ((limited >= low) & (limited <= high)).all()
    assert np.abs(curves - limited).mean() < 3


def test_motion_beyond_a_limit_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A knee angle of 300 degrees is clipped to its limit."""
    monkeypatch.setitem(ACTIONS, "talk", lambda motion: motion.add("left_knee_flexion", 300.0))
    poses = generate(clip_s=1.0)["test"]
    joints = poses.joints_mm[poses.action == "talk"].astype(np.float64)
    thigh = joints[:, at("LKnee")] - joints[:, at("LHip")]
    shin = joints[:, at("LFoot")] - joints[:, at("LKnee")]
    cosine = (thigh * shin).sum(1) / np.linalg.norm(thigh, axis=1) / np.linalg.norm(shin, axis=1)
    np.testing.assert_allclose(
        np.degrees(np.arccos(cosine)), LIMITS_DEG["left_knee_flexion"][1], atol=0.1
    )


def test_knees_and_elbows_bend_one_way(train: Poses) -> None:
    """The angle at a knee or elbow, measured on the joints, is never beyond straight."""
    joints = train.joints_mm.astype(np.float64)
    for side in "LR":
        for upper, middle, lower in (
            (f"{side}Hip", f"{side}Knee", f"{side}Foot"),
            (f"{side}Shoulder", f"{side}Elbow", f"{side}Wrist"),
        ):
            above = joints[:, at(middle)] - joints[:, at(upper)]
            below = joints[:, at(lower)] - joints[:, at(middle)]
            cosine = (above * below).sum(1) / np.linalg.norm(above, axis=1)
            bend = np.degrees(np.arccos(cosine / np.linalg.norm(below, axis=1)))
            assert bend.min() > 1
            assert bend.max() < 145


def test_motion_is_smooth(train: Poses) -> None:
    """No joint is faster than 13 m/s or accelerates by more than 150 m/s2."""
    for clip in np.unique(train.clip):
        joints = train.joints_mm[train.clip == clip].astype(np.float64) / 1000
        velocity = np.diff(joints, axis=0) * FPS
        assert np.linalg.norm(velocity, axis=2).max() < 13
        assert np.linalg.norm(np.diff(velocity, axis=0) * FPS, axis=2).max() < 150


def test_feet_are_on_the_floor(train: Poses) -> None:
    """The lower ankle is near its height when standing, but in a run it leaves the floor."""
    lower = train.joints_mm[:, [at("LFoot"), at("RFoot")], 2].min(axis=1)
    assert lower.min() > 40
    assert np.quantile(lower[train.action != "run"], 0.99) < 110
    assert lower[train.action == "run"].max() > 110
    assert train.joints_mm[..., 2].min() > 30


def test_walking_goes_where_the_body_faces(train: Poses) -> None:
    """Walkers move forward at about a metre a second, not sideways or backward."""
    for clip in np.unique(train.clip[train.action == "walk"]):
        joints = train.joints_mm[train.clip == clip].astype(np.float64)
        left = joints[:, at("LHip")] - joints[:, at("RHip")]
        forward = np.stack([left[:, 1], -left[:, 0]], axis=1)
        forward /= np.linalg.norm(forward, axis=1, keepdims=True)
        velocity = np.diff(joints[:, 0, :2], axis=0) * FPS
        ahead = (velocity * forward[1:]).sum(axis=1)
        assert 500 < ahead.mean() < 2000
        assert ahead.mean() > 3 * np.abs((velocity - ahead[:, None] * forward[1:]).mean())


def test_people_and_poses_differ(train: Poses) -> None:
    """Actors differ in size, and actions in pose."""
    thigh = np.linalg.norm(train.joints_mm[:, at("LKnee")] - train.joints_mm[:, at("LHip")], axis=1)
    sizes = [np.median(thigh[train.subject == name]) for name in np.unique(train.subject)]
    assert np.ptp(sizes) > 30
    height = train.joints_mm[:, at("Hip"), 2]
    assert np.median(height[train.action == "sit"]) < 0.75 * np.median(
        height[train.action == "talk"]
    )
    wrist = train.joints_mm[:, [at("LWrist"), at("RWrist")], 2].max(axis=1)
    head = train.joints_mm[:, at("Head"), 2]
    assert np.median((wrist - head)[train.action == "wave"]) > -100
    assert np.median((wrist - head)[train.action == "walk"]) < -400


@pytest.mark.parametrize("clip_s", [0.5, float("nan"), float("inf")])
def test_impossible_clips_are_refused(clip_s: float) -> None:
    """Less than a second, or no number, is an error that says so."""
    with pytest.raises(InputError, match=f"--clip-s: {clip_s} .give 1 to 600 seconds"):
        generate(clip_s=clip_s)


def test_cached_store_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`synthetic` opens a store in the cache folder; the second time the same files are used."""
    monkeypatch.setenv("SYNREP_CACHE", str(tmp_path))
    monkeypatch.setattr("synrep.datasets.synthetic.generate.generate", lambda: generate(clip_s=1.0))
    first = open_poses("synthetic")
    written = first.path("train").stat().st_mtime_ns
    again = open_poses("synthetic")
    assert first.folder.is_relative_to(tmp_path)
    assert again.folder == first.folder
    assert again.path("train").stat().st_mtime_ns == written
    assert len(again.read("train")) == 8 * len(ACTIONS) * 24
