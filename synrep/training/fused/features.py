"""wKCS features of the critics of K members, with their derivatives.

The gradient penalty of a critic needs the vector-Jacobian product (VJP) of the features, which maps
a gradient of the features to one of the poses, and the Jacobian-vector product (JVP), which maps a
tangent of the poses to one of the features.
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
    """The part of K critics between the poses and the linear layer of the wKCS branch.

    A linear layer with weights W on the wKCS equals a linear layer with weights `layer(W)` on these
    features. F is the number of these features or, where weights on the wKCS are meant, of its
    entries.
    """

    def layer(self, weights: Tensor) -> Tensor:
        """Convert weights (K, out, F) on the wKCS to weights on the features."""
        ...

    def gradient(self, feature_grad: Tensor, out: Tensor) -> None:
        """Write the gradient of the weights on the wKCS, given that of `layer(weights)`."""
        ...

    def values(self, poses: Tensor) -> Tensor:
        """Return the features (K, N, F) of poses (K, N, 3J)."""
        ...

    def vjp(self, poses: Tensor, feature_grad: Tensor) -> Tensor:
        """Map a gradient of the features (K, N, F) to one of the poses (K, N, 3J)."""
        ...

    def jvp(self, poses: Tensor, tangent: Tensor) -> Tensor:
        """Map a tangent of the poses (K, N, 3J) to one of the features (K, N, F)."""
        ...


class GramFeatures:
    """Inner products of all pairs of bones, each pair once; `layer` absorbs the wKCS weights.

    Pairs are ordered by their cyclic index shift d: bone i with bone (i + d) mod b, for d up to
    b // 2. All products of one shift are then one elementwise product of shifted arrays, with the
    samples as the innermost axis for long vectors. If b is even, the pairs of the largest shift
    occur twice, and each has half the weight.

    Args:
        skeleton: skeleton of the poses.
        kept: indices (F,) of the entries that the wKCS keeps, out of b * b.
        weights: wKCS weights (K, F).
    """

    def __init__(self, skeleton: Skeleton, kept: Tensor, weights: Tensor) -> None:
        self._bones = len(skeleton.bones)
        self._shifts = self._bones // 2 + 1
        bones = incidence(skeleton).T.to(weights)
        wrapped = torch.cat([bones, bones[: self._shifts - 1]])
        # Maps joint coordinates to bone coordinates, with the first bones repeated at the end.
        matrix = torch.einsum("bj,cd->dbjc", wrapped, torch.eye(3).to(weights))
        self._matrix = matrix.reshape(3 * len(wrapped), -1)
        self._weights = weights[:, None]
        self._index_pairs(kept.cpu(), weights.device)

    def _index_pairs(self, kept: Tensor, device: torch.device) -> None:
        """Compute the pair of each kept entry, and the positions of each pair's two entries."""
        count = self._bones
        shift = torch.arange(self._shifts).repeat_interleave(count)
        first = torch.arange(count).repeat(self._shifts)
        second = (first + shift) % count
        entries = (first * count + second, second * count + first)
        pairs, entry_positions = torch.zeros(2, count**2, dtype=torch.long) - 1
        for entry in entries:
            pairs[entry] = torch.arange(len(entry))
        entry_positions[kept] = torch.arange(len(kept))
        positions = [entry_positions[entry] for entry in entries]
        share = torch.where(2 * shift == count, 0.5, 1.0)
        shares = (share * (positions[0] >= 0), share * (positions[1] >= 0) * (shift > 0))
        self._pairs = pairs[kept].to(device)
        self._positions = [position.clamp_min(0).to(device) for position in positions]
        self._shares = [part.to(self._weights)[:, None] for part in shares]

    def layer(self, weights: Tensor) -> Tensor:
        """Return the weights (K, out, pairs) on the inner products."""
        # With outputs as the innermost axis, index_select copies whole rows.
        transposed = weights.new_empty(weights.mT.shape)
        torch.mul(weights.mT, self._weights.mT, out=transposed)
        one, other = (
            transposed.index_select(1, position).mul_(share)
            for position, share in zip(self._positions, self._shares, strict=True)
        )
        return one.add_(other).mT

    def gradient(self, feature_grad: Tensor, out: Tensor) -> None:
        """Write the gradient of the weights on the wKCS, given that of `layer(weights)`."""
        torch.mul(feature_grad.mT.index_select(1, self._pairs).mT, self._weights, out=out)

    def values(self, poses: Tensor) -> Tensor:
        """Return the inner products (K, N, pairs)."""
        bones = self._vectors(poses)
        return self._products([(bones, bones)])

    def vjp(self, poses: Tensor, feature_grad: Tensor) -> Tensor:
        """Map a gradient of the inner products to one of the poses."""
        bones = self._vectors(poses)
        grad = torch.zeros_like(bones)
        count = self._bones
        by_shift = feature_grad.mT.reshape(len(poses), self._shifts, 1, count, -1)
        for shift in range(self._shifts):
            shifted = slice(shift, shift + count)
            grad[:, :, :count].addcmul_(bones[:, :, shifted], by_shift[:, shift])
            grad[:, :, shifted].addcmul_(bones[:, :, :count], by_shift[:, shift])
        matrix = self._matrix.expand(len(poses), -1, -1)
        return multiply(grad.flatten(1, 2).mT, matrix)

    def jvp(self, poses: Tensor, tangent: Tensor) -> Tensor:
        """Map a tangent of the poses to one of the inner products."""
        bones, tangents = self._vectors(poses), self._vectors(tangent)
        return self._products([(bones, tangents), (tangents, bones)])

    def _vectors(self, poses: Tensor) -> Tensor:
        """Return the bones (K, 3, b + b // 2, N) of poses (K, N, 3J), the first ones repeated."""
        matrix = self._matrix.expand(len(poses), -1, -1)
        return multiply(matrix, poses.mT).view(len(poses), 3, -1, poses.shape[1])

    def _products(self, factors: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Sum, over pairs of tensors, the products of each bone with the shifted bones."""
        count, total = self._bones, None
        for one, other in factors:
            shifted = other.unfold(2, count, 1).mT  # K, 3, shifts, b, N
            for axis in range(3):
                bone, bones = one[:, axis, None, :count], shifted[:, axis]
                total = bone * bones if total is None else total.addcmul_(bone, bones)
        assert total is not None
        return total.flatten(1, 2).mT


class GeneralFeatures:
    """The weighted wKCS entries themselves, of any kind, with derivatives by autograd.

    Args:
        kcs: module that computes the entries.
        weights: wKCS weights (K, F).
    """

    def __init__(self, kcs: WeightedKcs, weights: Tensor) -> None:
        self._kcs, self._weights = kcs, weights[:, None]

    def layer(self, weights: Tensor) -> Tensor:
        """Return the weights unchanged."""
        return weights

    def gradient(self, feature_grad: Tensor, out: Tensor) -> None:
        """Copy the gradient unchanged."""
        out.copy_(feature_grad)

    def values(self, poses: Tensor) -> Tensor:
        """Return the weighted entries (K, N, F)."""
        entries = self._kcs.products(poses.reshape(-1, poses.shape[2] // 3, 3))
        return entries.view(*poses.shape[:2], -1) * self._weights

    def vjp(self, poses: Tensor, feature_grad: Tensor) -> Tensor:
        """Map a gradient of the entries to one of the poses."""
        with torch.enable_grad():
            leaf = poses.detach().requires_grad_()
            # Contiguous: with other strides, the kernels would depend on the number of members.
            (grad,) = torch.autograd.grad(self.values(leaf), leaf, feature_grad.contiguous())
        return grad

    def jvp(self, poses: Tensor, tangent: Tensor) -> Tensor:
        """Map a tangent of the poses to one of the entries, as the VJP of the (linear) VJP."""
        with torch.enable_grad():
            leaf = poses.detach().requires_grad_()
            values = self.values(leaf)
            dual = torch.zeros_like(values, requires_grad=True)
            (vjp,) = torch.autograd.grad(values, leaf, dual, create_graph=True)
            (jvp,) = torch.autograd.grad(vjp, dual, tangent)
        return jvp
