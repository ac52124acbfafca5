"""Scores of K critics at once, and all derivatives that their training needs, in closed form.

A critic with leaky ReLUs is linear between its kinks. With the factors of its activations fixed,
its gradient by its inputs is a product of weights and factors, and the derivative of a gradient
penalty by a weight is the outer product of two things: the backward signal behind that weight,
and the direction of the penalty's gradient pushed forward to it. So one backward pass serves the
Wasserstein loss and the penalty, and one product a layer gives both gradients: the rows of the
interpolated samples hold pushed-forward directions in place of activations.

The formulas are those of `synrep.model.networks.Critic`; tests hold them against autograd.
Axes: K members, N samples, J joints, F features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from synrep.training.fused.products import multiply

if TYPE_CHECKING:
    from synrep.config import CriticConfig
    from synrep.training.fused.features import Features
    from synrep.training.fused.networks import LeakyRelu
    from synrep.training.fused.stack import Stack

BRANCHES = ("pose_out", "keypoints_in", "kcs_in")
"""The layers whose outputs are joined."""


@dataclass
class CriticInputs:
    """What critics look at, or the gradient of it, or a direction to move it in.

    Attributes:
        poses: (K, N, 3J).
        keypoints: (K, N, 2J).
        features: (K, N, F).
    """

    poses: Tensor
    keypoints: Tensor
    features: Tensor


class StackedCritic:
    """K critics with the weights of a stack.

    Args:
        stack: of critics.
        config: head and Lipschitz constraint.
    """

    def __init__(self, stack: Stack, config: CriticConfig) -> None:
        self.stack = stack
        self._head = ["head.0"] if config.head == "mlp" else []
        self._spectral = config.lipschitz == "spectral_norm"
        self._layers = ["pose_in", "pose_block.0", "pose_block.1", *BRANCHES, *self._head, "output"]
        self._weights: dict[str, Tensor] = {}
        self._inputs: dict[str, Tensor] = {}
        self._results: dict[str, Tensor] = {}
        self._slopes: dict[str, Tensor] = {}
        self._scales: dict[str, tuple[Tensor, ...]] = {}

    def forward(self, seen: CriticInputs, features: Features, activation: LeakyRelu) -> Tensor:
        """Scores (K, N)."""
        self._features, self._activation = features, activation
        self._weights = {layer: self._weight(layer) for layer in self._layers}
        self._weights["kcs_in"] = features.layer(self._weights["kcs_in"])
        first = self._layer("pose_in", seen.poses)
        inner = self._layer("pose_block.0", first)
        second = self._layer("pose_block.1", inner)
        width = first.shape[2]
        joined = first.new_empty(*first.shape[:2], 3 * width)
        inputs = (first + second, seen.keypoints, seen.features)
        for layer, x, part in zip(BRANCHES, inputs, joined.chunk(3, 2), strict=True):
            self._linear(layer, x, part)
            self._results[layer] = part
        self._activation.apply(joined)
        for layer in self._head:
            joined = self._layer(layer, joined)
        self._inputs["output"] = joined
        # Weights first: faster, and the other way round one member rounds otherwise than several.
        scores = multiply(self._weights["output"], joined.mT)
        return scores[:, 0] + self.stack.weights["output.bias"]

    def backward(self, slope: Tensor) -> None:
        """Prepare gradients, from those of the scores (K, N)."""
        weights, slopes = self._weights, self._slopes
        slopes["output"] = slope[..., None]
        joined = torch.mul(slopes["output"], weights["output"])
        for layer in self._head:
            joined = multiply(self._through(layer, joined), weights[layer])
        for layer, part in zip(BRANCHES, joined.chunk(3, 2), strict=True):
            self._through(layer, part)
        both = multiply(slopes["pose_out"], weights["pose_out"])
        second = self._through("pose_block.1", both, torch.empty_like(both))
        inner = multiply(second, weights["pose_block.1"])
        first = multiply(self._through("pose_block.0", inner), weights["pose_block.0"])
        self._through("pose_in", first.add_(both))

    def inputs(self, rows: slice) -> CriticInputs:
        """Gradients of the inputs of some samples; that of the features not yet pulled back."""
        slopes = {layer: self._slopes[layer][:, rows] for layer in ("pose_in", *BRANCHES)}
        weights = self._weights
        return CriticInputs(
            multiply(slopes["pose_in"], weights["pose_in"]),
            multiply(slopes["keypoints_in"], weights["keypoints_in"]),
            # Samples innermost, as the features want them.
            multiply(weights["kcs_in"].mT, slopes["kcs_in"].mT).mT,
        )

    def jvp(self, direction: CriticInputs, rows: slice) -> None:
        """Put the changes that a direction causes in place of the activations of some samples."""
        first = self._pushed("pose_in", direction.poses, rows)
        inner = self._pushed("pose_block.0", first, rows)
        second = self._pushed("pose_block.1", inner, rows)
        inputs = (first + second, direction.keypoints, direction.features)
        parts = [self._pushed(layer, x, rows) for layer, x in zip(BRANCHES, inputs, strict=True)]
        joined = torch.cat(parts, dim=2)
        for layer in self._head:
            joined = self._pushed(layer, joined, rows)
        self._inputs["output"][:, rows] = joined

    def release(self) -> None:
        """Let go of what the passes kept: memory in use is memory that caches can't hold."""
        for kept in (self._weights, self._inputs, self._results, self._slopes, self._scales):
            kept.clear()

    def gradients(self, rows: slice) -> None:
        """Write the gradients of all weights; biases get theirs from some samples only.

        A bias shifts no gradient of a score, so pushed-forward samples have no part in it.
        """
        for layer in self._layers:
            slope, out = self._slopes[layer], self.stack.gradients
            torch.sum(slope[:, rows], 1, out=out[f"{layer}.bias"])
            target = out[self._name(layer)]
            if layer == "kcs_in":
                # Outputs innermost, as the features want them.
                self._features.gradient(multiply(self._inputs[layer].mT, slope).mT, target)
            elif layer == "output":
                # A product of matrices would round otherwise for one member than for several.
                torch.sum(slope * self._inputs[layer], 1, keepdim=True, out=target)
            else:
                torch.bmm(slope.mT, self._inputs[layer], out=target)
            if self._spectral:
                target.copy_(self._unscaled(layer, target))

    def _layer(self, layer: str, x: Tensor) -> Tensor:
        result = self._results[layer] = self._activation.apply(self._linear(layer, x))
        return result

    def _linear(self, layer: str, x: Tensor, out: Tensor | None = None) -> Tensor:
        self._inputs[layer] = x
        product = multiply(x, self._weights[layer].mT)
        bias = self.stack.weights[f"{layer}.bias"][:, None]
        return torch.add(product, bias, out=product if out is None else out)

    def _through(self, layer: str, slope: Tensor, out: Tensor | None = None) -> Tensor:
        found = self._slopes[layer] = self._activation.back(slope, self._results[layer], out)
        return found

    def _pushed(self, layer: str, direction: Tensor, rows: slice) -> Tensor:
        # The input of this layer is the result of one before it, whose sides of its kinks are no
        # longer asked for.
        self._inputs[layer][:, rows] = direction
        moved = multiply(direction, self._weights[layer].mT)
        return self._activation.back(moved, self._results[layer][:, rows])

    def _name(self, layer: str) -> str:
        return f"{layer}.parametrizations.weight.original" if self._spectral else f"{layer}.weight"

    def _weight(self, layer: str) -> Tensor:
        """Weights (K, out, in); under spectral normalisation after one more power iteration."""
        weight = self.stack.weights[self._name(layer)]
        if not self._spectral:
            return weight
        running = self.stack.statistics
        u, v = (running[f"{layer}.parametrizations.weight.0.{name}"] for name in ("_u", "_v"))
        u.copy_(functional.normalize(multiply(v[:, None], weight.mT)[:, 0], dim=1, eps=1e-12))
        v.copy_(functional.normalize(multiply(u[:, None], weight)[:, 0], dim=1, eps=1e-12))
        outer = u[:, :, None] * v[:, None]
        scale = (outer * weight).sum((1, 2), keepdim=True)
        scaled = weight / scale
        self._scales[layer] = (outer, scale, scaled)
        return scaled

    def _unscaled(self, layer: str, gradient: Tensor) -> Tensor:
        """The gradient of weights from that of the same weights divided by their norm."""
        outer, scale, scaled = self._scales[layer]
        return (gradient - (gradient * scaled).sum((1, 2), keepdim=True) * outer) / scale
