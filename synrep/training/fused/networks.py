"""Forward and backward passes of K residual networks at once, written out.

The formulas are those of `synrep.model.networks.ResidualNetwork`; tests hold them against autograd.
Axes: K members, B batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from synrep.training.fused.products import multiply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synrep.training.fused.stack import Stack

EPSILON = 1e-5
"""Of batch normalisation; PyTorch's default."""

MOMENTUM = 0.1
"""Of running statistics; likewise."""


class LeakyRelu:
    """Leaky ReLU with a slope for each member.

    Neighbours with the same slope are served by one operation, so members are best sorted by it.

    Args:
        slopes: of the negative side, for each member.
    """

    def __init__(self, slopes: Sequence[float]) -> None:
        starts = [k for k, slope in enumerate(slopes) if k == 0 or slope != slopes[k - 1]]
        ends = [*starts, len(slopes)][1:]
        self._runs = [(slice(a, b), slopes[a]) for a, b in zip(starts, ends, strict=True)]

    def apply(self, x: Tensor) -> Tensor:
        """The activation of x (K, ...), in place."""
        for run, slope in self._runs:
            functional.leaky_relu(x[run], slope, inplace=True)
        return x

    def back(self, slope: Tensor, result: Tensor, out: Tensor | None = None) -> Tensor:
        """A gradient or a direction (K, ...) through the activation that had this result.

        It changes in place unless another place is given: memory that is touched already is
        several times faster than new memory.
        """
        out = slope if out is None else out
        for run, activation in self._runs:
            torch.ops.aten.leaky_relu_backward.grad_input(
                slope[run], result[run], activation, True, grad_input=out[run]
            )
        return out


class DropoutMasks:
    """Dropout masks of K members, each from its own generator.

    Args:
        rates: for each member.
        like: gives device and type.
    """

    def __init__(self, rates: Sequence[float], like: Tensor) -> None:
        self._rates = rates
        self._keep = like.new_tensor([1 - rate for rate in rates])[:, None, None]
        self.generators: Sequence[torch.Generator] = ()

    def draw(self, shape: tuple[int, int]) -> Tensor:
        """DropoutMasks [K, *shape] that keep the mean; 1 everywhere without dropout."""
        masks = self._keep.new_zeros(len(self._rates), *shape)
        for mask, rate, generator in zip(masks, self._rates, self.generators, strict=True):
            if rate:
                torch.rand(shape, generator=generator, out=mask)
        return masks.lt_(self._keep).div_(self._keep)


@dataclass
class Passed:
    """What a layer keeps for its backward pass.

    Attributes:
        inputs: (K, B, in).
        result: (K, B, width) of the activation.
        mask: (K, B, width) of dropout.
        centred: (K, B, width) before normalisation.
        inverse: (K, 1, width) of the standard deviation.
    """

    inputs: Tensor
    result: Tensor
    mask: Tensor | None = None
    centred: Tensor | None = None
    inverse: Tensor | None = None


class StackedNetwork:
    """K residual networks with the weights of a stack.

    Args:
        stack: of the network that holds the residual network as `network`.
        blocks: residual blocks of two layers.
        normed: whether layers have batch normalisation.
    """

    def __init__(self, stack: Stack, *, blocks: int, normed: bool) -> None:
        self.stack = stack
        self.blocks = blocks
        self.normed = normed
        self._first = "network.0"
        self._pairs = [
            (f"network.{block + 1}.layers.0", f"network.{block + 1}.layers.1")
            for block in range(blocks)
        ]
        self._last = f"network.{blocks + 1}"
        self._passed: dict[str, Passed] = {}
        self._activation = LeakyRelu([])
        self._hidden = torch.empty(0)

    def forward(self, x: Tensor, activation: LeakyRelu, masks: DropoutMasks | None) -> Tensor:
        """Outputs (K, B, out) of inputs (K, B, in); updates running statistics."""
        self._activation = activation
        hidden = self._layer(self._first, x, masks)
        for first, second in self._pairs:
            inner = self._layer(first, hidden, masks)
            hidden = self._layer(second, inner, masks) + hidden
        if self.normed:
            self.stack.count_update()
        self._hidden = hidden
        weights = self.stack.weights
        bias = weights[f"{self._last}.bias"][:, None]
        return multiply(hidden, weights[f"{self._last}.weight"].mT).add_(bias)

    def backward(self, slope: Tensor, *, weights: bool = True, inputs: bool = True) -> Tensor:
        """The gradient (K, B, in) of the inputs, from that of the outputs (K, B, out).

        Args:
            slope: gradient of the outputs of the last forward pass.
            weights: also write the gradients of the weights.
            inputs: whether the gradient of the inputs is needed; something else is returned if
                not.
        """
        own, gradients = self.stack.weights, self.stack.gradients
        if weights:
            torch.bmm(slope.mT, self._hidden, out=gradients[f"{self._last}.weight"])
            torch.sum(slope, 1, out=gradients[f"{self._last}.bias"])
        slope = multiply(slope, own[f"{self._last}.weight"])
        for first, second in reversed(self._pairs):
            inner = self._layer_back(second, slope.clone(), weights=weights)
            slope = self._layer_back(first, inner, weights=weights).add_(slope)
        found = self._layer_back(self._first, slope, weights=weights, inputs=inputs)
        self._passed.clear()
        return found

    def _names(self, layer: str) -> tuple[str, str]:
        return f"{layer}.0", f"{layer}.1"

    def _layer(self, layer: str, x: Tensor, masks: DropoutMasks | None) -> Tensor:
        weights = self.stack.weights
        linear, norm = self._names(layer)
        y = multiply(x, weights[f"{linear}.weight"].mT)
        if self.normed:
            inverse = self._normalise(norm, y, weights[f"{linear}.bias"])
            scale = inverse * weights[f"{norm}.weight"][:, None]
            z = torch.addcmul(weights[f"{norm}.bias"][:, None], y, scale)
        else:
            z = y.add_(weights[f"{linear}.bias"][:, None])
        kept = self._passed[layer] = Passed(inputs=x, result=self._activation.apply(z))
        if self.normed:
            kept.centred, kept.inverse = y, inverse
        if masks is None:
            return z
        kept.mask = masks.draw((z.shape[1], z.shape[2]))
        return z * kept.mask

    def _normalise(self, norm: str, y: Tensor, bias: Tensor) -> Tensor:
        """Centre y (K, B, width) in place; the inverse (K, 1, width) of its deviation."""
        batch = y.shape[1]
        mean = y.mean(1, keepdim=True)
        y.sub_(mean)
        variance = y.square().mean(1, keepdim=True)
        running = self.stack.statistics
        # The layer's bias would only be taken out again, except from the running mean.
        running[f"{norm}.running_mean"].lerp_(mean[:, 0] + bias, MOMENTUM)
        unbiased = variance[:, 0] * (batch / (batch - 1))
        running[f"{norm}.running_var"].lerp_(unbiased, MOMENTUM)
        return variance.add_(EPSILON).rsqrt_()

    def _layer_back(
        self, layer: str, slope: Tensor, *, weights: bool, inputs: bool = True
    ) -> Tensor:
        """The gradient of a layer's inputs; that of its outputs is used up."""
        own, gradients, passed = self.stack.weights, self.stack.gradients, self._passed[layer]
        linear, norm = self._names(layer)
        if passed.mask is not None:
            slope.mul_(passed.mask)
        self._activation.back(slope, passed.result)
        total = slope.sum(1, keepdim=True)
        if passed.centred is not None and passed.inverse is not None:
            centred, inverse, batch = passed.centred, passed.inverse, slope.shape[1]
            product = (slope * centred).sum(1, keepdim=True)
            if weights:
                gradients[f"{norm}.bias"].copy_(total[:, 0])
                torch.mul(product[:, 0], inverse[:, 0], out=gradients[f"{norm}.weight"])
            scale = inverse * own[f"{norm}.weight"][:, None]
            slope.addcmul_(centred, product * inverse.square(), value=-1 / batch)
            torch.addcmul(total * scale / -batch, slope, scale, out=slope)
        elif weights:
            gradients[f"{linear}.bias"].copy_(total[:, 0])
        if weights:
            torch.bmm(slope.mT, passed.inputs, out=gradients[f"{linear}.weight"])
        return multiply(slope, own[f"{linear}.weight"]) if inputs else slope
