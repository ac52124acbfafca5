"""Kinematic chain space and its weighting by bone distance (section 3.3, equations 1-6).

Axes: B batch, J joints, b = J - 1 bones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from synrep.config import KcsConfig
    from synrep.skeleton import Skeleton


def weight_matrix(config: KcsConfig, skeleton: Skeleton) -> Tensor:
    """The (b, b) matrix W of equation 6, float64."""
    rows = [
        [config.weighting.weight(distance) for distance in row] for row in skeleton.bone_distances
    ]
    adjacent = torch.tensor(skeleton.bone_distances) <= 1
    weights = torch.tensor(rows, dtype=torch.float64)
    mixed = config.floor + (1 - config.floor) * weights
    return torch.where(adjacent, weights, mixed).fill_diagonal_(config.diagonal)


def incidence(skeleton: Skeleton) -> Tensor:
    """The (J, b) matrix C of equation 3: child minus parent for each bone, float64."""
    matrix = torch.zeros(len(skeleton), len(skeleton.bones), dtype=torch.float64)
    for bone, (parent, child) in enumerate(skeleton.bones):
        matrix[child, bone], matrix[parent, bone] = 1, -1
    return matrix


def bone_lengths(poses: Tensor, skeleton: Skeleton) -> Tensor:
    """Lengths (..., b) of the bones of poses (..., J, 3)."""
    parent, child = torch.tensor(skeleton.bones, device=poses.device).T
    return (poses[..., child, :] - poses[..., parent, :]).norm(dim=-1)


class WeightedKcs(torch.nn.Module):
    """Maps poses (B, J, 3) to the entries of their weighted KCS matrix, (B, features).

    Args:
        config: weighting and which entries are kept.
        skeleton: the tree that gives bones and their distances.
        reference: real poses (N, J, 3) that fix the scale if `config.rescale` asks for one.
    """

    bones: Tensor
    weights: Tensor
    kept: Tensor

    def __init__(
        self, config: KcsConfig, skeleton: Skeleton, reference: Tensor | None = None
    ) -> None:
        super().__init__()
        count = len(skeleton.bones)
        weights = weight_matrix(config, skeleton)
        # Functions of the configuration, so no part of a checkpoint.
        self.register_buffer("bones", incidence(skeleton).T.contiguous().float(), persistent=False)
        upper = torch.triu_indices(count, count)
        kept = upper[0] * count + upper[1] if config.entries == "upper" else torch.arange(count**2)
        self.register_buffer("kept", kept, persistent=False)
        self.register_buffer("weights", weights.flatten()[kept].float(), persistent=False)
        self.cosine = config.cosine
        self.full = config.entries == "full"
        self.features = len(kept)
        if config.rescale and reference is not None:
            self.weights /= self(reference.to(self.weights)).square().mean().sqrt()

    def forward(self, poses: Tensor) -> Tensor:
        """Weighted inner products of bones (equation 6)."""
        return self.products(poses) * self.weights

    def products(self, poses: Tensor) -> Tensor:
        """The same entries without their weights (equations 2-4)."""
        bones = self.bones @ poses  # B, b, 3
        gram = bones @ bones.mT  # B, b, b
        if self.cosine:
            squared = gram.diagonal(dim1=-2, dim2=-1)
            norms = (squared + 1e-12).sqrt()
            gram = gram / (norms[:, :, None] * norms[:, None]) + torch.diag_embed(squared - 1)
        flat = gram.flatten(1)
        return flat if self.full else flat[:, self.kept]
