"""Errors in millimetres, against an independent computation with SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from synrep.config import DataConfig, EvaluationConfig
from synrep.datasets.views import load_views
from synrep.evaluation.metrics import align, flipped, mpjpe, n_mpjpe, only_z, p_mpjpe, z_error
from synrep.evaluation.tables import BodyScale, errors, score

RANDOM = np.random.default_rng(0)
Array = NDArray[np.float64]


def poses(count: int = 6) -> Array:
    """Random root-relative poses in millimetres."""
    made = RANDOM.normal(0, 300, (count, 17, 3))
    return np.asarray(made - made[:, :1])


def independent_p_mpjpe(predicted: Array, true: Array, *, scale: bool) -> float:
    """One pose aligned by SciPy's rotation fit, then its scale in closed form."""
    p, t = predicted - predicted.mean(0), true - true.mean(0)
    rotated = Rotation.align_vectors(t, p)[0].apply(p)
    factor = (rotated * t).sum() / (rotated**2).sum() if scale else 1.0
    return float(np.linalg.norm(factor * rotated - t, axis=1).mean())


@pytest.mark.parametrize("scale", [True, False])
def test_p_mpjpe_equals_an_independent_computation(scale: bool) -> None:  # noqa: FBT001
    """Random poses, with and without scale."""
    predicted, true = poses(), poses()
    found = p_mpjpe(torch.tensor(predicted), torch.tensor(true), scale=scale)
    expected = [
        independent_p_mpjpe(p, t, scale=scale) for p, t in zip(predicted, true, strict=True)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("rank", [1, 2])
def test_alignment_of_flat_poses(rank: int) -> None:
    """Poses on a line or in a plane have several best rotations, all with the same error."""
    predicted, true = poses(), poses()
    predicted[..., rank:] = 0
    p, t = (x - x.mean(1, keepdims=True) for x in (predicted, true))
    found = align(torch.tensor(predicted), torch.tensor(true), scale=False).numpy()
    back = found - found.mean(1, keepdims=True)
    np.testing.assert_allclose(back @ back.mT, p @ p.mT, atol=1e-6)  # rigid
    singular = np.linalg.svd(p.mT @ t, compute_uv=False)
    np.testing.assert_allclose((back * t).sum((1, 2)), singular.sum(1))


def test_alignment_undoes_a_similarity_but_never_a_mirror() -> None:
    """A turned, scaled and moved pose fits exactly; a mirror image does not."""
    true = poses(3)
    turn = Rotation.random(rng=1).as_matrix()
    moved = torch.tensor(1.7 * true @ turn.T + [100.0, -50.0, 3000.0])
    torch.testing.assert_close(align(moved, torch.tensor(true)), torch.tensor(true))
    mirrored = torch.tensor(true * [1.0, 1.0, -1.0])
    assert p_mpjpe(mirrored, torch.tensor(true)).min() > 50


def test_errors_of_one_missing_joint() -> None:
    """An error of 170 mm in one of 17 joints gives an MPJPE of 10 mm."""
    true = torch.tensor(poses(1))
    predicted = true.clone()
    predicted[0, 5, 2] += 170
    assert mpjpe(predicted, true).item() == pytest.approx(10)
    assert z_error(predicted, true).item() == pytest.approx(10)


@pytest.mark.parametrize("metric", [mpjpe, n_mpjpe, p_mpjpe, only_z, flipped])
def test_all_joints_in_one_point_is_no_nan(metric) -> None:
    """Degenerate predictions and degenerate truths have finite errors."""
    true, point = torch.tensor(poses(2)), torch.zeros(2, 17, 3, dtype=torch.float64)
    for predicted, reference in ((point, true), (true, point), (point, point)):
        assert torch.isfinite(metric(predicted, reference)).all()


def test_n_mpjpe_takes_the_best_scale() -> None:
    """No other factor gives a smaller squared error, and a scaled ground truth has error 0."""
    true = torch.tensor(poses(1))
    assert n_mpjpe(true * 3, true).item() == pytest.approx(0, abs=1e-9)
    predicted = torch.tensor(poses(1))
    factor = float((predicted * true).sum() / predicted.square().sum())
    squares = [float(((predicted * f - true) ** 2).sum()) for f in (factor, factor * 1.01)]
    assert squares[0] < squares[1]
    assert n_mpjpe(predicted, true).item() == pytest.approx(mpjpe(predicted * factor, true).item())


def test_every_error_follows_the_scale_mode() -> None:
    """Under `nmpjpe` the depth error is that of the best-scaled prediction, too."""
    views = load_views(DataConfig(), "validation").evenly_spaced(50)
    body = BodyScale(bone_length_sum_mm=4000.0, scale_mm=300.0)
    predicted = 1.3 * views.poses
    found = errors(predicted, views, EvaluationConfig(scale="nmpjpe"), body)
    assert found["mpjpe_mm"].max() < 1e-2
    assert found["z_mm"].max() < 1e-2
    given = errors(predicted, views, EvaluationConfig(), body)
    assert given["z_mm"].mean() > 10
    torch.testing.assert_close(given["n_mpjpe_mm"], found["n_mpjpe_mm"], atol=1e-2, rtol=0)


def test_tables_average_over_actions_and_over_frames() -> None:
    """The score contains both means, P2 with and without scale, and the evaluation settings."""
    views = load_views(DataConfig(), "validation")
    uneven = views.select(views.action <= views.action.median())
    uneven = uneven.select(slice(0, len(uneven) - 700))
    body = BodyScale(bone_length_sum_mm=4000.0, scale_mm=300.0)
    predicted = uneven.poses * torch.tensor([1.0, 1.0, 0.5])
    found = score(predicted, uneven, EvaluationConfig(), body)
    rows = dict(found["errors"])
    frames, actions = rows.pop("mean of frames"), rows.pop("mean of actions")
    true = (uneven.poses * uneven.scale_mm[:, None, None]).double().numpy()
    made = true * [1.0, 1.0, 0.5]
    expected = np.linalg.norm(made - true, axis=-1).mean(-1)
    assert frames["mpjpe_mm"] == pytest.approx(expected.mean(), rel=1e-4)
    each = [row["mpjpe_mm"] for row in rows.values()]
    assert actions["mpjpe_mm"] == pytest.approx(np.mean(each))
    assert actions["mpjpe_mm"] != pytest.approx(frames["mpjpe_mm"], rel=1e-4)
    rigid = p_mpjpe(torch.tensor(made), torch.tensor(true), scale=False).mean()
    assert frames["rigid_mpjpe_mm"] == pytest.approx(float(rigid), rel=1e-4)
    assert frames["p_mpjpe_mm"] != pytest.approx(float(rigid), rel=1e-4)
    assert frames["reflected_mpjpe_mm"] <= frames["p_mpjpe_mm"]
    assert (found["scale"], found["alignment"]) == ("gt_xy", "similarity")
    assert (found["skeleton"], found["views"]) == ("human36m-17", len(uneven))


def test_only_z_replaces_x_and_y_by_the_truth() -> None:
    """Errors in x and y do not count."""
    true = torch.tensor(poses(2))
    predicted = true.clone()
    predicted[..., :2] += 500
    assert only_z(predicted, true).max().item() == pytest.approx(0, abs=1e-6)


def test_flipped_counts_inverted_depths() -> None:
    """A pose with inverted depths counts as flipped, the truth does not."""
    true = torch.tensor(poses(1))
    mirror = true * torch.tensor([1.0, 1.0, -1.0])
    assert flipped(mirror, true).item() == 1
    assert flipped(true, true).item() == 0


def test_a_mirror_image_is_an_error_unless_reflections_are_allowed() -> None:
    """As some published code allows; a pose that needs none is scored alike."""
    true = torch.randn(5, 17, 3, generator=torch.Generator().manual_seed(0)) * 300
    mirrored = true * torch.tensor([1.0, 1.0, -1.0])
    assert float(p_mpjpe(mirrored, true).min()) > 10
    torch.testing.assert_close(
        p_mpjpe(mirrored, true, reflection=True), torch.zeros(5), atol=1e-2, rtol=0
    )
    near = true + 1
    torch.testing.assert_close(p_mpjpe(near, true, reflection=True), p_mpjpe(near, true))
