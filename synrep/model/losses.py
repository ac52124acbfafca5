"""Losses of the three networks (section 3.4; rows 6-10, 28).

Axes: B batch, J joints; ... any leading axes, such as the slices of a fused training.
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
    """Sine (..., B) of the angle from the shoulders to the face on the z-x plane (equation 11).

    It is positive for people whose depths are not inverted. The paper takes the shoulder vector
    from right to left; in a frame whose z points away from the camera that makes true poses
    negative, so it runs from left to right here (row 6). Without a nose the face direction is
    that of the head (row 4).

    Args:
        poses: (..., B, J, 3).
        skeleton: joints of the poses.
        norm: 'zx' for vector lengths in the plane, which gives a true sine; 'xyz' for full ones.
    """
    # Taken in one go: each selection by itself has a gradient of the size of all poses.
    joints = poses.index_select(-2, _facing_joints(skeleton, poses.device))
    face, thorax, right, left = joints.unbind(-2)
    v, w = face - thorax, right - left
    cross = v[..., 2] * w[..., 0] - v[..., 0] * w[..., 2]
    if norm == "zx":
        v, w = v[..., ::2], w[..., ::2]
    # The square root of a sum that can be 0 has no gradient there, so the bound goes inside.
    squares = v.square().sum(-1) * w.square().sum(-1)
    return cross / (squares + EPSILON).sqrt()


@functools.cache
def _facing_joints(skeleton: Skeleton, device: torch.device) -> Tensor:
    face = "Nose" if "Nose" in skeleton.joints else "Head"
    names = (face, "Thorax", "RShoulder", "LShoulder")
    return torch.tensor([skeleton.index(name) for name in names], device=device)


def angle_loss(poses: Tensor, skeleton: Skeleton, norm: str = "zx") -> Tensor:
    """L_angle (...) of poses (..., B, J, 3): how far faces point backwards (equation 12)."""
    return torch.relu(-facing_sine(poses, skeleton, norm)).mean(-1)


def reprojection_distance(reprojected: Tensor, keypoints: Tensor) -> Tensor:
    """Mean distance (...) in radii between 2D poses (..., B, J, 2) (row 28)."""
    return ((reprojected - keypoints).square().sum(-1) + EPSILON).sqrt().mean((-2, -1))


def norm_penalty(squared: Tensor) -> Tensor:
    """Mean squared deviation (...) from 1 of gradient norms given as squares (..., B) (row 9)."""
    return ((squared + EPSILON).sqrt() - 1).square().mean(-1)


def gradient_penalty(
    critic: Critic,
    real: tuple[Tensor, Tensor],
    fake: tuple[Tensor, Tensor],
    mix: Tensor,
    inputs: str = "pose",
) -> Tensor:
    """Mean squared deviation of the critic's gradient norm from 1, a scalar (rows 9, 10).

    The gradient is taken between real and fake samples, jointly with respect to the 3D and the
    2D pose, through the wKCS that the critic computes.

    Args:
        critic: the network to penalise.
        real: poses (B, J, 3) and keypoints (B, J, 2).
        fake: the same shapes.
        mix: (B, 1, 1) in [0, 1]: 1 takes the real sample, 0 the fake one.
        inputs: 'pose', or 'pose+features' to interpolate the wKCS as an input of its own.
    """
    between = [torch.lerp(f, r, mix).requires_grad_() for r, f in zip(real, fake, strict=True)]
    if inputs == "pose+features":
        features = torch.lerp(critic.kcs(fake[0]), critic.kcs(real[0]), mix[:, 0])
        between.append(features.requires_grad_())
    gradients = torch.autograd.grad(
        critic(*between, straight=True).sum(), between, create_graph=True
    )
    squared = sum(g.flatten(1).square().sum(1) for g in gradients)
    assert isinstance(squared, Tensor)
    return norm_penalty(squared)


def critic_gap(
    critic: Callable[[Tensor, Tensor], Tensor],
    real: tuple[Tensor, Tensor],
    fake: tuple[Tensor, Tensor],
) -> Tensor:
    """p_fake - p_real, a scalar: the Wasserstein loss of the critic (equation 9).

    Both go through the critic in one pass: it has no batch normalisation.
    """
    both = [torch.cat([f, r]) for f, r in zip(fake, real, strict=True)]
    p_fake, p_real = critic(both[0], both[1]).chunk(2)
    return p_fake.mean() - p_real.mean()
