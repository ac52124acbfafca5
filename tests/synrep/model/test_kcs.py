"""The weight matrix and the weighted kinematic chain space."""

from __future__ import annotations

import pytest
import torch

from synrep.config import KcsConfig
from synrep.model.kcs import WeightedKcs, bone_lengths, weight_matrix
from synrep.skeleton import HUMAN36M_17
from synrep.weighting import Band, Exponential, Tanh, Uniform

POSES = torch.randn(5, 17, 3, generator=torch.Generator().manual_seed(0))


def test_floor_and_diagonal() -> None:
    """The floor mixes far pairs only; the diagonal has a weight of its own."""
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
        expected = Tanh().weight(HUMAN36M_17.bone_distances[i][j]) * (bones[i] * bones[j]).sum(-1)
        torch.testing.assert_close(features[:, i, j], expected)


def test_kcs_sees_neither_rotation_nor_mirror_image() -> None:
    """Inner products do not change when depths are inverted: only other branches can see that."""
    layer = WeightedKcs(KcsConfig(), HUMAN36M_17)
    mirrored = POSES * torch.tensor([1.0, 1.0, -1.0])
    torch.testing.assert_close(layer(mirrored), layer(POSES))


def test_cosine_entries_keep_lengths_on_the_diagonal() -> None:
    """Off the diagonal angles only, on it squared lengths."""
    config = KcsConfig(weighting=Uniform(), cosine=True)
    features = WeightedKcs(config, HUMAN36M_17)(POSES).view(5, 16, 16)
    squared = bone_lengths(POSES, HUMAN36M_17) ** 2
    torch.testing.assert_close(features.diagonal(dim1=1, dim2=2), squared, rtol=1e-4, atol=1e-5)
    assert features[:, 0, 1].abs().max() <= 1 + 1e-6


def test_upper_entries_hold_each_pair_once() -> None:
    """The symmetric half carries nothing new."""
    full = WeightedKcs(KcsConfig(), HUMAN36M_17)(POSES).view(5, 16, 16)
    upper = WeightedKcs(KcsConfig(entries="upper"), HUMAN36M_17)(POSES)
    rows, columns = torch.triu_indices(16, 16)
    torch.testing.assert_close(upper, full[:, rows, columns])


def test_rescaled_entries_have_unit_mean_square() -> None:
    """Families become comparable at equal initial variance."""
    config = KcsConfig(weighting=Exponential(rate=2.0), rescale=True)
    layer = WeightedKcs(config, HUMAN36M_17, POSES)
    assert layer(POSES).square().mean().item() == pytest.approx(1.0, rel=1e-5)
