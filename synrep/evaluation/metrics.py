"""Errors between predicted and true poses, in millimetres (docs/model.md: Errors).

Every function takes root-relative poses (V, J, 3) in millimetres and returns one number a view.
Axes: V views, J joints.
"""

from __future__ import annotations

import torch
from torch import Tensor


def mpjpe(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean distance of the joints, root included (protocol 1), (V,)."""
    return (predicted - true).norm(dim=-1).mean(-1)


def n_mpjpe(predicted: Tensor, true: Tensor) -> Tensor:
    """MPJPE after scaling each prediction by the factor that fits best, (V,)."""
    return mpjpe(best_scaled(predicted, true), true)


def best_scaled(predicted: Tensor, true: Tensor) -> Tensor:
    """Each prediction times the factor with the least squared error, (V, J, 3)."""
    product = (predicted * true).sum((-2, -1))
    square = predicted.square().sum((-2, -1))
    factor = torch.where(square > 0, product / square.clamp_min(1e-12), 1.0)
    return predicted * factor[:, None, None]


def p_mpjpe(predicted: Tensor, true: Tensor, *, scale: bool = True) -> Tensor:
    """MPJPE after the rigid motion (and scale) that fits best, never a mirror image, (V,)."""
    return mpjpe(align(predicted, true, scale=scale), true)


def align(predicted: Tensor, true: Tensor, *, scale: bool = True) -> Tensor:
    """Procrustes alignment (V, J, 3) of predictions to true poses, with det(R) = +1.

    A pose with all joints in one point has no orientation or size; it is only moved.
    """
    mean_p, mean_t = predicted.mean(1, keepdim=True), true.mean(1, keepdim=True)
    p, t = (predicted - mean_p).double(), (true - mean_t).double()
    u, singular, vh = torch.linalg.svd(p.mT @ t)
    sign = torch.where(torch.linalg.det(u @ vh) < 0, -1.0, 1.0).to(singular)
    signs = torch.ones_like(singular)
    signs[:, 2] = sign
    rotated = p @ ((u * signs[:, None]) @ vh)
    if scale:
        square = p.square().sum((1, 2))
        factor = torch.where(square > 0, (singular * signs).sum(1) / square.clamp_min(1e-12), 1.0)
        rotated = rotated * factor[:, None, None]
    return rotated.to(predicted) + mean_t


def z_error(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean distance in depth alone (the '-z' rows, row 36), (V,)."""
    return (predicted[..., 2] - true[..., 2]).abs().mean(-1)


def only_z(predicted: Tensor, true: Tensor) -> Tensor:
    """P-MPJPE without scale of true x and y with predicted z (the 'only z' rows, row 36), (V,)."""
    return p_mpjpe(torch.cat([true[..., :2], predicted[..., 2:]], -1), true, scale=False)


def flipped(predicted: Tensor, true: Tensor) -> Tensor:
    """1 where the prediction with inverted depths would be better, else 0, (V,)."""
    mirror = predicted * predicted.new_tensor([1.0, 1.0, -1.0])
    return (mpjpe(mirror, true) < mpjpe(predicted, true)).to(predicted)
