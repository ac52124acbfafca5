"""Errors between predicted and true poses, in millimetres (docs/model.md: Errors).

All functions take root-relative poses (V, J, 3) in millimetres; metrics return one value per view.
Axes: V views, J joints.
"""

from __future__ import annotations

import torch
from torch import Tensor


def mpjpe(predicted: Tensor, true: Tensor) -> Tensor:
    """Return the mean per-joint position error (V,), root included (protocol 1)."""
    return (predicted - true).norm(dim=-1).mean(-1)


def n_mpjpe(predicted: Tensor, true: Tensor) -> Tensor:
    """Return the MPJPE (V,) after least-squares scaling of each prediction."""
    return mpjpe(align_scale(predicted, true), true)


def align_scale(predicted: Tensor, true: Tensor) -> Tensor:
    """Return predictions (V, J, 3), each scaled by the factor with the least squared error."""
    product = (predicted * true).sum((-2, -1))
    square = predicted.square().sum((-2, -1))
    factor = torch.where(square > 0, product / square.clamp_min(1e-12), 1.0)
    return predicted * factor[:, None, None]


def p_mpjpe(
    predicted: Tensor, true: Tensor, *, scale: bool = True, reflection: bool = False
) -> Tensor:
    """Return the MPJPE (V,) after Procrustes alignment, by default no reflection; see `align`."""
    return mpjpe(align(predicted, true, scale=scale, reflection=reflection), true)


def align(
    predicted: Tensor, true: Tensor, *, scale: bool = True, reflection: bool = False
) -> Tensor:
    """Align predictions to true poses by Procrustes analysis with det(R) = +1; (V, J, 3).

    A pose whose joints coincide has no orientation or size and is only translated.

    Args:
        predicted: poses to align.
        true: ground truth.
        scale: also fit a scale factor; otherwise the alignment is rigid.
        reflection: also allow det(R) = -1, a mirror image, where it fits better.
    """
    mean_p, mean_t = predicted.mean(1, keepdim=True), true.mean(1, keepdim=True)
    p, t = (predicted - mean_p).double(), (true - mean_t).double()
    u, singular, vh = torch.linalg.svd(p.mT @ t)
    signs = torch.ones_like(singular)
    if not reflection:
        signs[:, 2] = torch.where(torch.linalg.det(u @ vh) < 0, -1.0, 1.0).to(singular)
    rotated = p @ ((u * signs[:, None]) @ vh)
    if scale:
        square = p.square().sum((1, 2))
        factor = torch.where(square > 0, (singular * signs).sum(1) / square.clamp_min(1e-12), 1.0)
        rotated = rotated * factor[:, None, None]
    return rotated.to(predicted) + mean_t


def z_error(predicted: Tensor, true: Tensor) -> Tensor:
    """Return the mean absolute depth error (V,) (the '-z' rows, row 36)."""
    return (predicted[..., 2] - true[..., 2]).abs().mean(-1)


def only_z(predicted: Tensor, true: Tensor) -> Tensor:
    """Return the rigid P-MPJPE (V,) of true x, y with predicted z (the 'only z' rows, row 36)."""
    return p_mpjpe(torch.cat([true[..., :2], predicted[..., 2:]], -1), true, scale=False)


def flipped(predicted: Tensor, true: Tensor) -> Tensor:
    """Return 1 where inverting the predicted depths would lower the MPJPE, else 0; (V,)."""
    mirror = predicted * predicted.new_tensor([1.0, 1.0, -1.0])
    return (mpjpe(mirror, true) < mpjpe(predicted, true)).to(predicted)
