"""Scores of the critics of K members, and closed-form derivatives for their training.

A critic with leaky ReLUs is piecewise linear. With the derivatives of its activations held fixed,
its gradient with respect to the inputs is a product of weights and these derivatives. The gradient
of the gradient penalty with respect to a layer's weights is then an outer product of the gradient
of the layer's output, from the backward pass, and the tangent of the layer's input, from a forward
pass (JVP) of the penalty's gradient. One backward pass therefore serves both the Wasserstein loss
and the penalty, and one matrix product per layer gives both weight gradients: for interpolated
samples, the tangents replace the activations.

The formulas are those of `synrep.model.networks.Critic`; tests compare them with autograd.
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
"""Layers whose outputs are concatenated."""


@dataclass
class CriticInputs:
    """Inputs of the critics; also used for gradients and tangents of the inputs.

    Attributes:
        poses: 3D poses (K, N, 3J).
        keypoints: 2D poses (K, N, 2J).
        features: wKCS features (K, N, F).
    """

    poses: Tensor
    keypoints: Tensor
    features: Tensor


class StackedCritic:
    """The critics of K members, with the weights of a stack.

    Args:
        stack: stack of critics.
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
        self._output_grads: dict[str, Tensor] = {}
        self._scales: dict[str, tuple[Tensor, ...]] = {}

    def forward(self, inputs: CriticInputs, features: Features, activation: LeakyRelu) -> Tensor:
        """Return the scores (K, N) and cache what the backward pass needs."""
        self._features, self._activation = features, activation
        self._weights = {layer: self._weight(layer) for layer in self._layers}
        self._weights["kcs_in"] = features.layer(self._weights["kcs_in"])
        first = self._layer("pose_in", inputs.poses)
        inner = self._layer("pose_block.0", first)
        second = self._layer("pose_block.1", inner)
        width = first.shape[2]
        joined = first.new_empty(*first.shape[:2], 3 * width)
        branch_inputs = (first + second, inputs.keypoints, inputs.features)
        for layer, x, part in zip(BRANCHES, branch_inputs, joined.chunk(3, 2), strict=True):
            self._linear(layer, x, part)
            self._results[layer] = part
        self._activation.apply(joined)
        for layer in self._head:
            joined = self._layer(layer, joined)
        self._inputs["output"] = joined
        # With the weights on the left, this is faster, and rounding is independent of K.
        scores = multiply(self._weights["output"], joined.mT)
        return scores[:, 0] + self.stack.weights["output.bias"]

    def backward(self, score_grad: Tensor) -> None:
        """Backpropagate a gradient of the scores (K, N) to the outputs of all layers."""
        weights, output_grads = self._weights, self._output_grads
        output_grads["output"] = score_grad[..., None]
        joined = torch.mul(output_grads["output"], weights["output"])
        for layer in self._head:
            joined = multiply(self._activation_backward(layer, joined), weights[layer])
        for layer, part in zip(BRANCHES, joined.chunk(3, 2), strict=True):
            self._activation_backward(layer, part)
        both = multiply(output_grads["pose_out"], weights["pose_out"])
        second = self._activation_backward("pose_block.1", both, torch.empty_like(both))
        inner = multiply(second, weights["pose_block.1"])
        first = multiply(self._activation_backward("pose_block.0", inner), weights["pose_block.0"])
        self._activation_backward("pose_in", first.add_(both))

    def input_gradients(self, samples: slice) -> CriticInputs:
        """Return the gradients of the inputs of a range of samples.

        The gradient of the poses does not include the path through the features.
        """
        output_grads = {
            layer: self._output_grads[layer][:, samples] for layer in ("pose_in", *BRANCHES)
        }
        weights = self._weights
        return CriticInputs(
            multiply(output_grads["pose_in"], weights["pose_in"]),
            multiply(output_grads["keypoints_in"], weights["keypoints_in"]),
            # The features expect samples as the innermost axis.
            multiply(weights["kcs_in"].mT, output_grads["kcs_in"].mT).mT,
        )

    def jvp(self, tangent: CriticInputs, samples: slice) -> None:
        """Propagate a tangent of the inputs forward, for a range of samples.

        The tangents overwrite the cached layer inputs of these samples.
        """
        first = self._layer_jvp("pose_in", tangent.poses, samples)
        inner = self._layer_jvp("pose_block.0", first, samples)
        second = self._layer_jvp("pose_block.1", inner, samples)
        branch_inputs = (first + second, tangent.keypoints, tangent.features)
        parts = [
            self._layer_jvp(layer, x, samples)
            for layer, x in zip(BRANCHES, branch_inputs, strict=True)
        ]
        joined = torch.cat(parts, dim=2)
        for layer in self._head:
            joined = self._layer_jvp(layer, joined, samples)
        self._inputs["output"][:, samples] = joined

    def release(self) -> None:
        """Free the cached tensors, to keep the working set small enough for the CPU caches."""
        for cache in (self._weights, self._inputs, self._results, self._output_grads, self._scales):
            cache.clear()

    def weight_gradients(self, samples: slice) -> None:
        """Write the gradients of all weights and biases into the stack.

        Args:
            samples: range of samples that contribute to the gradients of biases: all but the
                interpolated ones, because the gradient penalty does not depend on biases.
        """
        for layer in self._layers:
            grad, out = self._output_grads[layer], self.stack.gradients
            torch.sum(grad[:, samples], 1, out=out[f"{layer}.bias"])
            target = out[self._name(layer)]
            if layer == "kcs_in":
                # The features expect outputs as the innermost axis.
                self._features.gradient(multiply(self._inputs[layer].mT, grad).mT, target)
            elif layer == "output":
                # The rounding of a matrix product would depend on the number of members.
                torch.sum(grad * self._inputs[layer], 1, keepdim=True, out=target)
            else:
                torch.bmm(grad.mT, self._inputs[layer], out=target)
            if self._spectral:
                target.copy_(self._spectral_norm_backward(layer, target))

    def _layer(self, layer: str, x: Tensor) -> Tensor:
        result = self._results[layer] = self._activation.apply(self._linear(layer, x))
        return result

    def _linear(self, layer: str, x: Tensor, out: Tensor | None = None) -> Tensor:
        self._inputs[layer] = x
        product = multiply(x, self._weights[layer].mT)
        bias = self.stack.weights[f"{layer}.bias"][:, None]
        return torch.add(product, bias, out=product if out is None else out)

    def _activation_backward(self, layer: str, grad: Tensor, out: Tensor | None = None) -> Tensor:
        grad = self._output_grads[layer] = self._activation.backward(
            grad, self._results[layer], out
        )
        return grad

    def _layer_jvp(self, layer: str, tangent: Tensor, samples: slice) -> Tensor:
        # This overwrites the result of the preceding layer, whose activation derivatives have
        # already been used.
        self._inputs[layer][:, samples] = tangent
        output_tangent = multiply(tangent, self._weights[layer].mT)
        return self._activation.backward(output_tangent, self._results[layer][:, samples])

    def _name(self, layer: str) -> str:
        return f"{layer}.parametrizations.weight.original" if self._spectral else f"{layer}.weight"

    def _weight(self, layer: str) -> Tensor:
        """Return the weights (K, out, in), spectrally normalised if configured."""
        weight = self.stack.weights[self._name(layer)]
        if not self._spectral:
            return weight
        statistics = self.stack.statistics
        u, v = (statistics[f"{layer}.parametrizations.weight.0.{name}"] for name in ("_u", "_v"))
        u.copy_(functional.normalize(multiply(v[:, None], weight.mT)[:, 0], dim=1, eps=1e-12))
        v.copy_(functional.normalize(multiply(u[:, None], weight)[:, 0], dim=1, eps=1e-12))
        outer = u[:, :, None] * v[:, None]
        scale = (outer * weight).sum((1, 2), keepdim=True)
        scaled = weight / scale
        self._scales[layer] = (outer, scale, scaled)
        return scaled

    def _spectral_norm_backward(self, layer: str, gradient: Tensor) -> Tensor:
        """Map the gradient of spectrally normalised weights to that of the original weights."""
        outer, scale, scaled = self._scales[layer]
        return (gradient - (gradient * scaled).sum((1, 2), keepdim=True) * outer) / scale
