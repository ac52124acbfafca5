"""Weighting families and the weighted kinematic chain space."""

from __future__ import annotations

import math

import pytest
import torch

from synrep.config import (
    Band,
    Exponential,
    Free,
    Gaussian,
    KcsConfig,
    Linear,
    Power,
    Tanh,
    Uniform,
    Weighting,
)
from synrep.model.kcs import WeightedKcs, bone_lengths, weight, weight_matrix
from synrep.skeleton import HUMAN36M_17

POSES = torch.randn(5, 17, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("weighting", "expected"),
    [
        (Tanh(), [0.7616, 0.4621, 0.3215, 0.2449, 0.1974, 0.1651]),
        (Tanh(scale=2.0, power=0.5), [math.tanh(2 / t**0.5) for t in range(1, 7)]),
        (Uniform(), [1.0] * 6),
        (Exponential(rate=0.5), [math.exp(-0.5 * t) for t in range(1, 7)]),
        (Power(exponent=1.0), [1 / d for d in range(2, 8)]),
        (Gaussian(sigma=2.0), [math.exp(-(t**2) / 8) for t in range(1, 7)]),
        (Linear(reach=4.0), [0.75, 0.5, 0.25, 0.0, 0.0, 0.0]),
        (Band(reach=3), [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]),
        (Free(weights=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6)), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
    ],
    ids=lambda value: value.family if hasattr(value, "family") else "",
)
def test_weights_by_distance(weighting: Weighting, expected: list[float]) -> None:
    """Distances 2 to 7 are weighted by the family; 0 and 1 always have weight 1 (equation 5)."""
    assert [weight(weighting, d) for d in range(2, 8)] == pytest.approx(expected, abs=1e-4)
    assert weight(weighting, 0) == weight(weighting, 1) == 1.0


def test_floor_and_diagonal() -> None:
    """The floor affects distant pairs only; the diagonal has a separate weight."""
    matrix = weight_matrix(
        KcsConfig(weighting=Band(reach=1), floor=0.25, diagonal=3.0), HUMAN36M_17
    )
    distances = torch.tensor(HUMAN36M_17.bone_distances)
    assert (matrix[distances == 0] == 3.0).all()
    assert (matrix[distances == 1] == 1.0).all()
    assert (matrix[distances > 1] == 0.25).all()


def test_entries_are_weighted_inner_products_of_bones() -> None:
    """Equation 6, written out bone by bone."""
    features = WeightedKcs(KcsConfig(), HUMAN36M_17)(POSES).view(5, 16, 16)
    bones = [POSES[:, child] - POSES[:, parent] for parent, child in HUMAN36M_17.bones]
    for i, j in ((0, 0), (0, 1), (3, 15)):
        expected = weight(Tanh(), HUMAN36M_17.bone_distances[i][j]) * (bones[i] * bones[j]).sum(-1)
        torch.testing.assert_close(features[:, i, j], expected)


def test_kcs_sees_neither_rotation_nor_mirror_image() -> None:
    """Inverting depths does not change inner products; only other branches can detect it."""
    layer = WeightedKcs(KcsConfig(), HUMAN36M_17)
    mirrored = POSES * torch.tensor([1.0, 1.0, -1.0])
    torch.testing.assert_close(layer(mirrored), layer(POSES))


def test_cosine_entries_keep_lengths_on_the_diagonal() -> None:
    """Entries are cosines off the diagonal and squared lengths on it."""
    config = KcsConfig(weighting=Uniform(), cosine=True)
    features = WeightedKcs(config, HUMAN36M_17)(POSES).view(5, 16, 16)
    squared = bone_lengths(POSES, HUMAN36M_17) ** 2
    torch.testing.assert_close(features.diagonal(dim1=1, dim2=2), squared, rtol=1e-4, atol=1e-5)
    assert features[:, 0, 1].abs().max() <= 1 + 1e-6


def test_upper_entries_hold_each_pair_once() -> None:
    """The upper triangle contains all distinct entries."""
    full = WeightedKcs(KcsConfig(), HUMAN36M_17)(POSES).view(5, 16, 16)
    upper = WeightedKcs(KcsConfig(entries="upper"), HUMAN36M_17)(POSES)
    rows, columns = torch.triu_indices(16, 16)
    torch.testing.assert_close(upper, full[:, rows, columns])


def test_rescaled_entries_have_unit_mean_square() -> None:
    """Rescaling gives all families the same initial variance."""
    config = KcsConfig(weighting=Exponential(rate=2.0), rescale=True)
    layer = WeightedKcs(config, HUMAN36M_17, POSES)
    assert layer(POSES).square().mean().item() == pytest.approx(1.0, rel=1e-5)
