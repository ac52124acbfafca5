"""Explicit forward and backward passes of the residual networks of K members.

The formulas are those of `synrep.model.networks.ResidualNetwork`; tests compare them with autograd.
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
"""Epsilon of batch normalisation; PyTorch's default."""

MOMENTUM = 0.1
"""Momentum of running statistics; PyTorch's default."""


class LeakyRelu:
    """Leaky ReLU with an individual negative slope for each member.

    Adjacent members with the same slope share one operation, so members should be sorted by slope.

    Args:
        slopes: negative slope of each member.
    """

    def __init__(self, slopes: Sequence[float]) -> None:
        starts = [k for k, slope in enumerate(slopes) if k == 0 or slope != slopes[k - 1]]
        ends = [*starts, len(slopes)][1:]
        self._runs = [(slice(a, b), slopes[a]) for a, b in zip(starts, ends, strict=True)]

    def apply(self, x: Tensor) -> Tensor:
        """Apply the activation to x (K, ...) in place."""
        for run, slope in self._runs:
            functional.leaky_relu(x[run], slope, inplace=True)
        return x

    def backward(self, grad: Tensor, result: Tensor, out: Tensor | None = None) -> Tensor:
        """Multiply a gradient or tangent (K, ...) by the derivative of the activation.

        Args:
            grad: gradient of the output, or tangent of the input; overwritten unless `out` is
                given, because reusing memory is several times faster than allocating it.
            result: output of the activation (K, ...).
            out: tensor for the result.
        """
        out = grad if out is None else out
        for run, negative_slope in self._runs:
            torch.ops.aten.leaky_relu_backward.grad_input(
                grad[run], result[run], negative_slope, True, grad_input=out[run]
            )
        return out


class DropoutMasks:
    """Dropout masks of K members, each drawn from the member's generator.

    Args:
        rates: dropout rate of each member.
        template: tensor with the device and dtype of the masks.

    Attributes:
        generators: random generator of each member; set before each forward pass.
    """

    def __init__(self, rates: Sequence[float], template: Tensor) -> None:
        self._rates = rates
        self._keep = template.new_tensor([1 - rate for rate in rates])[:, None, None]
        self.generators: Sequence[torch.Generator] = ()

    def draw(self, shape: tuple[int, int]) -> Tensor:
        """Draw masks (K, *shape) that preserve the mean; 1 for members without dropout."""
        masks = self._keep.new_zeros(len(self._rates), *shape)
        for mask, rate, generator in zip(masks, self._rates, self.generators, strict=True):
            if rate:
                torch.rand(shape, generator=generator, out=mask)
        return masks.lt_(self._keep).div_(self._keep)


@dataclass
class LayerCache:
    """Tensors that a layer saves for its backward pass.

    Attributes:
        inputs: inputs (K, B, in).
        result: output of the activation (K, B, width).
        mask: dropout mask (K, B, width).
        centred: centred input of batch normalisation (K, B, width).
        inverse_std: inverse standard deviation (K, 1, width).
    """

    inputs: Tensor
    result: Tensor
    mask: Tensor | None = None
    centred: Tensor | None = None
    inverse_std: Tensor | None = None


class StackedNetwork:
    """The residual networks of K members, with the weights of a stack.

    Args:
        stack: stack of a module that contains the residual network as `network`.
        blocks: number of residual blocks, of two layers each.
        batch_norm: whether layers have batch normalisation.
    """

    def __init__(self, stack: Stack, *, blocks: int, batch_norm: bool) -> None:
        self.stack = stack
        self.blocks = blocks
        self.batch_norm = batch_norm
        self._first = "network.0"
        self._pairs = [
            (f"network.{block + 1}.layers.0", f"network.{block + 1}.layers.1")
            for block in range(blocks)
        ]
        self._last = f"network.{blocks + 1}"
        self._caches: dict[str, LayerCache] = {}
        self._activation = LeakyRelu([])
        self._hidden = torch.empty(0)

    def forward(self, x: Tensor, activation: LeakyRelu, masks: DropoutMasks | None) -> Tensor:
        """Map inputs (K, B, in) to outputs (K, B, out) and update running statistics."""
        self._activation = activation
        hidden = self._layer(self._first, x, masks)
        for first, second in self._pairs:
            inner = self._layer(first, hidden, masks)
            hidden = self._layer(second, inner, masks) + hidden
        if self.batch_norm:
            self.stack.count_update()
        self._hidden = hidden
        weights = self.stack.weights
        bias = weights[f"{self._last}.bias"][:, None]
        return multiply(hidden, weights[f"{self._last}.weight"].mT).add_(bias)

    def backward(self, grad: Tensor, *, weights: bool = True, inputs: bool = True) -> Tensor:
        """Backpropagate through the last forward pass.

        Args:
            grad: gradient of the outputs (K, B, out).
            weights: whether to write the gradients of the weights into the stack.
            inputs: whether to compute the gradient of the inputs.

        Returns:
            The gradient (K, B, in) of the inputs; unspecified if `inputs` is false.
        """
        params, gradients = self.stack.weights, self.stack.gradients
        if weights:
            torch.bmm(grad.mT, self._hidden, out=gradients[f"{self._last}.weight"])
            torch.sum(grad, 1, out=gradients[f"{self._last}.bias"])
        grad = multiply(grad, params[f"{self._last}.weight"])
        for first, second in reversed(self._pairs):
            inner = self._layer_backward(second, grad.clone(), weights=weights)
            grad = self._layer_backward(first, inner, weights=weights).add_(grad)
        input_grad = self._layer_backward(self._first, grad, weights=weights, inputs=inputs)
        self._caches.clear()
        return input_grad

    def _names(self, layer: str) -> tuple[str, str]:
        return f"{layer}.0", f"{layer}.1"

    def _layer(self, layer: str, x: Tensor, masks: DropoutMasks | None) -> Tensor:
        weights = self.stack.weights
        linear, norm = self._names(layer)
        y = multiply(x, weights[f"{linear}.weight"].mT)
        if self.batch_norm:
            inverse_std = self._normalise(norm, y, weights[f"{linear}.bias"])
            scale = inverse_std * weights[f"{norm}.weight"][:, None]
            z = torch.addcmul(weights[f"{norm}.bias"][:, None], y, scale)
        else:
            z = y.add_(weights[f"{linear}.bias"][:, None])
        cache = self._caches[layer] = LayerCache(inputs=x, result=self._activation.apply(z))
        if self.batch_norm:
            cache.centred, cache.inverse_std = y, inverse_std
        if masks is None:
            return z
        cache.mask = masks.draw((z.shape[1], z.shape[2]))
        return z * cache.mask

    def _normalise(self, norm: str, y: Tensor, bias: Tensor) -> Tensor:
        """Centre y (K, B, width) in place; return the inverse standard deviation (K, 1, width)."""
        batch = y.shape[1]
        mean = y.mean(1, keepdim=True)
        y.sub_(mean)
        variance = y.square().mean(1, keepdim=True)
        running = self.stack.statistics
        # Batch normalisation cancels the layer's bias, which only shifts the running mean.
        running[f"{norm}.running_mean"].lerp_(mean[:, 0] + bias, MOMENTUM)
        unbiased = variance[:, 0] * (batch / (batch - 1))
        running[f"{norm}.running_var"].lerp_(unbiased, MOMENTUM)
        return variance.add_(EPSILON).rsqrt_()

    def _layer_backward(
        self, layer: str, grad: Tensor, *, weights: bool, inputs: bool = True
    ) -> Tensor:
        """Backpropagate through a layer; overwrites `grad`, the gradient of its outputs."""
        params, gradients, cache = self.stack.weights, self.stack.gradients, self._caches[layer]
        linear, norm = self._names(layer)
        if cache.mask is not None:
            grad.mul_(cache.mask)
        self._activation.backward(grad, cache.result)
        total = grad.sum(1, keepdim=True)
        if cache.centred is not None and cache.inverse_std is not None:
            centred, inverse_std, batch = cache.centred, cache.inverse_std, grad.shape[1]
            product = (grad * centred).sum(1, keepdim=True)
            if weights:
                gradients[f"{norm}.bias"].copy_(total[:, 0])
                torch.mul(product[:, 0], inverse_std[:, 0], out=gradients[f"{norm}.weight"])
            scale = inverse_std * params[f"{norm}.weight"][:, None]
            grad.addcmul_(centred, product * inverse_std.square(), value=-1 / batch)
            torch.addcmul(total * scale / -batch, grad, scale, out=grad)
        elif weights:
            gradients[f"{linear}.bias"].copy_(total[:, 0])
        if weights:
            torch.bmm(grad.mT, cache.inputs, out=gradients[f"{linear}.weight"])
        return multiply(grad, params[f"{linear}.weight"]) if inputs else grad
