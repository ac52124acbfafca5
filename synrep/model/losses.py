"""Losses of the three networks (section 3.4; rows 6-10, 28).

Axes: B batch, J joints; ... any leading axes, such as the members of a fused training.
Camera frame: x right, y down, z away from the camera.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from synrep.model.networks import Critic
    from synrep.skeleton import Skeleton

EPSILON = 1e-8


def facing_sine(poses: Tensor, skeleton: Skeleton, norm: str = "zx") -> Tensor:
    """Return the sine (..., B) of the shoulder-face angle in the z-x plane (equation 11).

    It is positive for poses whose depths are not inverted. The paper takes the shoulder vector
    from right to left; in a frame whose z axis points away from the camera, true poses would then
    be negative, so here it runs from left to right (row 6). If the skeleton has no nose, the head
    determines the face direction (row 4).

    Args:
        poses: 3D poses (..., B, J, 3).
        skeleton: skeleton of the poses.
        norm: 'zx' normalises by vector lengths in the plane, which gives a true sine; 'xyz'
            normalises by lengths in space.
    """
    # One index_select for all joints: the backward pass of each allocates a full-size gradient.
    joints = poses.index_select(-2, _facing_joints(skeleton, poses.device))
    face, thorax, right, left = joints.unbind(-2)
    v, w = face - thorax, right - left
    cross = v[..., 2] * w[..., 0] - v[..., 0] * w[..., 2]
    if norm == "zx":
        v, w = v[..., ::2], w[..., ::2]
    # The square root has no finite gradient at 0, so epsilon is added under the root.
    squares = v.square().sum(-1) * w.square().sum(-1)
    return cross / (squares + EPSILON).sqrt()


@functools.cache
def _facing_joints(skeleton: Skeleton, device: torch.device) -> Tensor:
    face = "Nose" if "Nose" in skeleton.joints else "Head"
    names = (face, "Thorax", "RShoulder", "LShoulder")
    return torch.tensor([skeleton.index(name) for name in names], device=device)


def angle_loss(poses: Tensor, skeleton: Skeleton, norm: str = "zx") -> Tensor:
    """Return L_angle (...) of poses (..., B, J, 3), a penalty on backward faces (equation 12)."""
    return torch.relu(-facing_sine(poses, skeleton, norm)).mean(-1)


def reprojection_distance(reprojected: Tensor, keypoints: Tensor) -> Tensor:
    """Return the mean joint distance (...) in radii of 2D poses (..., B, J, 2) (row 28)."""
    return ((reprojected - keypoints).square().sum(-1) + EPSILON).sqrt().mean((-2, -1))


def norm_penalty(squared: Tensor) -> Tensor:
    """Return the mean squared deviation (...) of gradient norms from 1 (row 9).

    Args:
        squared: squared gradient norms (..., B).
    """
    return ((squared + EPSILON).sqrt() - 1).square().mean(-1)


def gradient_penalty(
    critic: Critic,
    real: tuple[Tensor, Tensor],
    fake: tuple[Tensor, Tensor],
    mix: Tensor,
    inputs: str = "pose",
) -> Tensor:
    """Return the gradient penalty of the critic, a scalar (rows 9, 10).

    The gradient is evaluated at interpolations of real and fake samples, jointly with respect to
    the 3D and the 2D pose, and includes the path through the wKCS.

    Args:
        critic: network to penalise.
        real: poses (B, J, 3) and keypoints (B, J, 2).
        fake: poses and keypoints of the same shapes.
        mix: interpolation weights (B, 1, 1) in [0, 1]; 1 selects the real sample, 0 the fake one.
        inputs: 'pose', or 'pose+features' to interpolate the wKCS as a separate input.
    """
    interpolated = [torch.lerp(f, r, mix).requires_grad_() for r, f in zip(real, fake, strict=True)]
    if inputs == "pose+features":
        features = torch.lerp(critic.kcs(fake[0]), critic.kcs(real[0]), mix[:, 0])
        interpolated.append(features.requires_grad_())
    gradients = torch.autograd.grad(
        critic(*interpolated, linearised=True).sum(), interpolated, create_graph=True
    )
    squared = sum(g.flatten(1).square().sum(1) for g in gradients)
    assert isinstance(squared, Tensor)
    return norm_penalty(squared)


def critic_gap(
    critic: Callable[[Tensor, Tensor], Tensor],
    real: tuple[Tensor, Tensor],
    fake: tuple[Tensor, Tensor],
) -> Tensor:
    """Return the Wasserstein loss of the critic, p_fake - p_real, a scalar (equation 9).

    Real and fake samples share one forward pass, since the critic has no batch normalisation.
    """
    both = [torch.cat([f, r]) for f, r in zip(fake, real, strict=True)]
    p_fake, p_real = critic(both[0], both[1]).chunk(2)
    return p_fake.mean() - p_real.mean()
