"""3DPCK and its area, against a computation in plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from synrep.errors import InputError
from synrep.evaluation.pck import auc, joint_errors_mm, pck
from synrep.skeleton import HUMAN36M_16, HUMAN36M_17

Array = NDArray[np.float64]

# The scored joints, numbered from 1 as in the data set's scripts, and the same in Human3.6M's 17.
SCORED_OF_RELEVANT = [1, 2, 3, 6, 4, 7, 5, 8, 9, 12, 10, 13, 11, 14]
PELVIS_OF_RELEVANT = 15
RELEVANT = (
    "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder",
    "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee",
    "left_ankle", "pelvis", "spine", "head",
)  # fmt: skip
HUMAN36M_FROM_RELEVANT = [14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4]


def scores_by_loops(predicted: Array, true: Array) -> tuple[float, float]:
    """PCK and AUC in percent over all frames of the 17 relevant joints."""
    root = PELVIS_OF_RELEVANT - 1
    errors = []
    for made, wanted in zip(predicted, true, strict=True):
        for number in SCORED_OF_RELEVANT:
            difference = (made[number - 1] - made[root]) - (wanted[number - 1] - wanted[root])
            errors.append(math.sqrt(sum(float(value) ** 2 for value in difference)))
    curve = []
    for threshold in range(0, 151, 5):
        right = sum(error < threshold for error in errors)
        curve.append(100 * right / len(errors))
    return curve[-1], sum(curve) / 31


def pair(count: int, spread: float, seed: int) -> tuple[Array, Array]:
    """Predicted and true poses of the relevant joints, far from the origin."""
    random = np.random.default_rng(seed)
    true = random.normal([200, -100, 3000], 300, (count, 17, 3))
    return true + random.normal(0, spread, true.shape), true


@given(
    count=st.integers(1, 20),
    spread=st.sampled_from([0.0, 3.0, 50.0, 90.0, 1e4]),
    seed=st.integers(0, 2**16),
)
def test_scores_equal_the_loops(count: int, spread: float, seed: int) -> None:
    """Any number of frames, from no error to nothing right."""
    predicted, true = pair(count, spread, seed)
    errors = joint_errors_mm(torch.tensor(predicted), torch.tensor(true), RELEVANT)
    found = float(pck(errors).mean()), float(auc(errors).mean())
    assert found == pytest.approx(scores_by_loops(predicted, true), abs=1e-6)


def test_joints_are_found_by_name_in_either_order() -> None:
    """Human3.6M's order of the same poses gives the same scores, without being told."""
    predicted, true = pair(30, 70, 1)
    errors = joint_errors_mm(
        torch.tensor(predicted[:, HUMAN36M_FROM_RELEVANT]),
        torch.tensor(true[:, HUMAN36M_FROM_RELEVANT]),
    )
    found = float(pck(errors).mean()), float(auc(errors).mean())
    assert found == pytest.approx(scores_by_loops(predicted, true), abs=1e-6)


@pytest.mark.parametrize(
    ("offset", "right"), [(149.999, True), (150.0, False), (-150.0, False), (150.001, False)]
)
def test_the_threshold_itself_is_wrong(offset: float, right: bool) -> None:  # noqa: FBT001
    """Less than 150 mm counts, 150 mm does not."""
    true = torch.zeros(1, 17, 3)
    predicted = true.clone()
    predicted[0, HUMAN36M_17.index("LFoot"), 2] = offset
    expected = 100.0 if right else 100 * 13 / 14
    assert pck(joint_errors_mm(predicted, true)).item() == pytest.approx(expected)


def test_perfect_predictions_reach_30_of_31() -> None:
    """No error is less than 0 mm, so the best area is not 100."""
    _, true = pair(4, 0, 2)
    errors = joint_errors_mm(torch.tensor(true), torch.tensor(true), RELEVANT)
    assert pck(errors).tolist() == [100.0] * 4
    assert auc(errors).numpy() == pytest.approx(np.full(4, 100 * 30 / 31))


@pytest.mark.parametrize("joint", ["Spine", "Nose"])
def test_unscored_joints_do_not_count(joint: str) -> None:
    """Spine and head may be anywhere."""
    true = torch.zeros(1, 17, 3)
    predicted = true.clone()
    predicted[0, HUMAN36M_17.index(joint)] = 1e6
    assert pck(joint_errors_mm(predicted, true)).item() == 100


def test_a_shifted_pelvis_spoils_every_joint() -> None:
    """Everything is relative to the pelvis; where the pose stands does not matter."""
    true = torch.zeros(1, 17, 3)
    moved = true + 1e5
    assert pck(joint_errors_mm(moved, true)).item() == 100
    moved[0, 0, 0] += 200
    assert pck(joint_errors_mm(moved, true)).item() == 0


def test_predictions_that_are_no_numbers_are_wrong() -> None:
    """NaN and infinity are errors, not gaps; points without size are no problem."""
    true = torch.zeros(3, 17, 3)
    predicted = true.clone()
    predicted[0] = torch.nan
    predicted[1] = torch.inf
    errors = joint_errors_mm(predicted, true)
    assert pck(errors).tolist() == [0.0, 0.0, 100.0]
    assert auc(errors).isfinite().all()


def test_what_can_not_be_scored_is_refused() -> None:
    """Other shapes, and joints that lack a scored one."""
    poses = torch.zeros(2, 17, 3)
    with pytest.raises(InputError, match=r"true are \(2, 16, 3\).*both must be \(views, 17, 3\)"):
        joint_errors_mm(poses, poses[:, :16])
    names = ("hip", *HUMAN36M_17.joints[1:])
    with pytest.raises(InputError, match="neither 'Hip' nor 'pelvis' is among them"):
        joint_errors_mm(poses, poses, names)
    assert joint_errors_mm(poses[:, :16], poses[:, :16], HUMAN36M_16.joints).shape == (2, 14)
