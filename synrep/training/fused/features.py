"""What the critics of K members see of the bones: values, and gradients both ways.

A critic's gradient penalty needs the pullback of a gradient from the features to the poses, and
the pushforward of a direction from the poses to the features.
Axes: K members, N samples, J joints, b = J - 1 bones, F features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from synrep.model.kcs import incidence
from synrep.training.fused.products import multiply

if TYPE_CHECKING:
    from synrep.model.kcs import WeightedKcs
    from synrep.skeleton import Skeleton


class Features(Protocol):
    """The part of K critics between poses and the first linear layer on bones.

    A linear layer with weights W on the wKCS is a linear layer with weights `layer(W)` on the
    features given here. F is the number of these features, or of entries of the wKCS.
    """

    def layer(self, weights: Tensor) -> Tensor:
        """Weights (K, out, F) on the features, of weights on the wKCS."""
        ...

    def gradient(self, slope: Tensor, out: Tensor) -> None:
        """Write the gradient of the weights on the wKCS, from that of `layer`."""
        ...

    def values(self, poses: Tensor) -> Tensor:
        """Features (K, N, F) of poses (K, N, 3J)."""
        ...

    def vjp(self, poses: Tensor, slope: Tensor) -> Tensor:
        """Gradient (K, N, 3J) of poses, from that of their features (K, N, F)."""
        ...

    def jvp(self, poses: Tensor, direction: Tensor) -> Tensor:
        """Change (K, N, F) of the features of poses moved in a direction (K, N, 3J)."""
        ...


class GramFeatures:
    """Inner products of bones, each pair once; the weights of the wKCS go into the layer.

    Pairs are ordered by how far apart their numbers are, around a circle: bone i with bone i + d,
    for d up to half of them. Then all products of one d are one product of shifted arrays, and
    samples lie innermost, where they make long vectors. If b is even, the pairs half a circle
    apart come twice and count half.

    Args:
        skeleton: of the poses.
        kept: numbers (F,) of the entries that the wKCS keeps, of all b * b.
        weights: (K, F) of the wKCS.
    """

    def __init__(self, skeleton: Skeleton, kept: Tensor, weights: Tensor) -> None:
        self._bones = len(skeleton.bones)
        self._shifts = self._bones // 2 + 1
        bones = incidence(skeleton).T.to(weights)
        around = torch.cat([bones, bones[: self._shifts - 1]])
        # From coordinates of joints to coordinates of bones, those at the start once more.
        matrix = torch.einsum("bj,cd->dbjc", around, torch.eye(3).to(weights))
        self._matrix = matrix.reshape(3 * len(around), -1)
        self._weights = weights[:, None]
        self._number(kept.cpu(), weights.device)

    def _number(self, kept: Tensor, device: torch.device) -> None:
        """Find the pair of each kept entry, and the kept entries of each pair."""
        count = self._bones
        shift = torch.arange(self._shifts).repeat_interleave(count)
        first = torch.arange(count).repeat(self._shifts)
        second = (first + shift) % count
        entries = (first * count + second, second * count + first)
        pairs, where = torch.zeros(2, count**2, dtype=torch.long) - 1
        for entry in entries:
            pairs[entry] = torch.arange(len(entry))
        where[kept] = torch.arange(len(kept))
        ends = [where[entry] for entry in entries]
        share = torch.where(2 * shift == count, 0.5, 1.0)
        shares = (share * (ends[0] >= 0), share * (ends[1] >= 0) * (shift > 0))
        self._pairs = pairs[kept].to(device)
        self._ends = [end.clamp_min(0).to(device) for end in ends]
        self._shares = [part.to(self._weights)[:, None] for part in shares]

    def layer(self, weights: Tensor) -> Tensor:
        """Weights (K, out, pairs) on the inner product of each pair."""
        # With outputs innermost, entries are taken by the row.
        rows = weights.new_empty(weights.mT.shape)
        torch.mul(weights.mT, self._weights.mT, out=rows)
        one, other = (
            rows.index_select(1, end).mul_(share)
            for end, share in zip(self._ends, self._shares, strict=True)
        )
        return one.add_(other).mT

    def gradient(self, slope: Tensor, out: Tensor) -> None:
        """Write the gradient of the weights on the wKCS, from that of `layer`."""
        torch.mul(slope.mT.index_select(1, self._pairs).mT, self._weights, out=out)

    def values(self, poses: Tensor) -> Tensor:
        """Inner products (K, N, pairs)."""
        bones = self._vectors(poses)
        return self._products([(bones, bones)])

    def vjp(self, poses: Tensor, slope: Tensor) -> Tensor:
        """Gradient of poses from that of the inner products."""
        bones = self._vectors(poses)
        found = torch.zeros_like(bones)
        count = self._bones
        by_shift = slope.mT.reshape(len(poses), self._shifts, 1, count, -1)
        for shift in range(self._shifts):
            ahead = slice(shift, shift + count)
            found[:, :, :count].addcmul_(bones[:, :, ahead], by_shift[:, shift])
            found[:, :, ahead].addcmul_(bones[:, :, :count], by_shift[:, shift])
        matrix = self._matrix.expand(len(poses), -1, -1)
        return multiply(found.flatten(1, 2).mT, matrix)

    def jvp(self, poses: Tensor, direction: Tensor) -> Tensor:
        """Change of the inner products."""
        bones, moved = self._vectors(poses), self._vectors(direction)
        return self._products([(bones, moved), (moved, bones)])

    def _vectors(self, poses: Tensor) -> Tensor:
        """Bones (K, 3, around, N) of poses (K, N, 3J)."""
        matrix = self._matrix.expand(len(poses), -1, -1)
        return multiply(matrix, poses.mT).view(len(poses), 3, -1, poses.shape[1])

    def _products(self, factors: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Sum of products of each bone of one with the bones ahead of it of the other."""
        count, total = self._bones, None
        for one, other in factors:
            ahead = other.unfold(2, count, 1).mT  # K, 3, shifts, b, N
            for axis in range(3):
                bone, bones = one[:, axis, None, :count], ahead[:, axis]
                total = bone * bones if total is None else total.addcmul_(bone, bones)
        assert total is not None
        return total.flatten(1, 2).mT


class GeneralFeatures:
    """The weighted entries themselves, for any kind of entry; derivatives by autograd.

    Args:
        kcs: gives the entries.
        weights: (K, F) of the wKCS.
    """

    def __init__(self, kcs: WeightedKcs, weights: Tensor) -> None:
        self._kcs, self._weights = kcs, weights[:, None]

    def layer(self, weights: Tensor) -> Tensor:
        """The weights themselves."""
        return weights

    def gradient(self, slope: Tensor, out: Tensor) -> None:
        """Write the gradient as it is."""
        out.copy_(slope)

    def values(self, poses: Tensor) -> Tensor:
        """Weighted entries (K, N, F)."""
        entries = self._kcs.products(poses.reshape(-1, poses.shape[2] // 3, 3))
        return entries.view(*poses.shape[:2], -1) * self._weights

    def vjp(self, poses: Tensor, slope: Tensor) -> Tensor:
        """Gradient of poses from that of the entries."""
        with torch.enable_grad():
            leaf = poses.detach().requires_grad_()
            # In one order: for another, one member would take other kernels than several.
            (found,) = torch.autograd.grad(self.values(leaf), leaf, slope.contiguous())
        return found

    def jvp(self, poses: Tensor, direction: Tensor) -> Tensor:
        """Change of the entries: the pullback is linear, and its own pullback is this."""
        with torch.enable_grad():
            leaf = poses.detach().requires_grad_()
            values = self.values(leaf)
            dual = torch.zeros_like(values, requires_grad=True)
            (pulled,) = torch.autograd.grad(values, leaf, dual, create_graph=True)
            (found,) = torch.autograd.grad(pulled, dual, direction)
        return found
