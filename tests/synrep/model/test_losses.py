"""Losses: the sign of L_angle on real poses, the critic's loss, the gradient penalty."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from synrep.config import CriticConfig, DataConfig, GeneratorConfig, KcsConfig
from synrep.datasets.views import load_views
from synrep.model.kcs import WeightedKcs
from synrep.model.losses import angle_loss, critic_gap, facing_sine, gradient_penalty
from synrep.model.networks import Critic
from synrep.skeleton import HUMAN36M_16, HUMAN36M_17, Skeleton

FLIP = torch.tensor([1.0, 1.0, -1.0])
real_poses = pytest.mark.skipif(
    "SYNREP_DATA" not in os.environ, reason="SYNREP_DATA names no real poses"
)


def facing(skeleton: Skeleton, turned_rad: float) -> Tensor:
    """A person who faces the camera (towards -z), turned around the vertical axis."""
    pose = torch.zeros(1, len(skeleton), 3, dtype=torch.float64)
    pose[0, skeleton.index("Thorax")] = torch.tensor([0.0, -1.0, 0.0])
    face = "Nose" if "Nose" in skeleton.joints else "Head"
    pose[0, skeleton.index(face)] = torch.tensor([0.0, -1.2, -0.3])
    # Facing the camera, a person's right shoulder is on the camera's left.
    pose[0, skeleton.index("RShoulder")] = torch.tensor([-0.4, -0.9, 0.0])
    pose[0, skeleton.index("LShoulder")] = torch.tensor([0.4, -0.9, 0.0])
    cos, sin = np.cos(turned_rad), np.sin(turned_rad)
    turn = torch.tensor([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], dtype=torch.float64)
    return pose @ turn.T


@pytest.mark.parametrize("skeleton", [HUMAN36M_17, HUMAN36M_16], ids=str)
@pytest.mark.parametrize("turned", np.linspace(0, 2 * np.pi, 7))
def test_people_have_positive_sine_from_every_side(skeleton: Skeleton, turned: float) -> None:
    """The sine is 1 for a face at right angles to the shoulders, -1 with inverted depths."""
    pose = facing(skeleton, turned)
    assert facing_sine(pose, skeleton).item() == pytest.approx(1, abs=1e-3)
    mirror = facing(skeleton, 0.0) * FLIP.double()
    assert facing_sine(mirror, skeleton).item() == pytest.approx(-1, abs=1e-3)
    assert angle_loss(pose, skeleton).item() == 0
    assert angle_loss(mirror, skeleton).item() == pytest.approx(1, abs=1e-3)


def test_degenerate_pose_has_finite_gradient() -> None:
    """The gradient is finite where all joints coincide."""
    pose = torch.zeros(1, 17, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(facing_sine(pose, HUMAN36M_17).sum(), pose)
    assert torch.isfinite(gradient).all()


@real_poses
def test_true_poses_have_almost_no_angle_loss() -> None:
    """On real motion the loss is near 0 for ground truth and near 1 for inverted depths."""
    views = load_views(DataConfig(poses=os.environ["SYNREP_DATA"]), "validation")
    assert angle_loss(views.poses, HUMAN36M_17).item() < 0.02
    assert angle_loss(views.poses * FLIP, HUMAN36M_17).item() > 0.7
    assert (facing_sine(views.poses, HUMAN36M_17) > 0).double().mean().item() > 0.95


def test_critic_gap_is_fake_minus_real() -> None:
    """Equation 9, with a critic that simply sums its inputs."""

    def critic(poses: Tensor, keypoints: Tensor) -> Tensor:
        return poses.sum((1, 2)) + keypoints.sum((1, 2))

    real = (torch.ones(4, 17, 3), torch.ones(4, 17, 2))
    fake = (torch.zeros(4, 17, 3), torch.ones(4, 17, 2))
    assert critic_gap(critic, real, fake).item() == -51


class LinearCritic(nn.Module):
    """A critic with a constant, known gradient."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, poses: Tensor, keypoints: Tensor, *, linearised: bool) -> Tensor:  # noqa: ARG002 - it has no kinks
        """Proportional to the sum of all coordinates."""
        return self.slope * (poses.sum((1, 2)) + keypoints.sum((1, 2)))


@pytest.mark.parametrize("slope", [0.0, 0.5, 85**-0.5])
def test_gradient_penalty_of_a_known_gradient(slope: float) -> None:
    """The norm is taken jointly over the 51 + 34 inputs: slope * sqrt(85)."""
    pair = (torch.rand(4, 17, 3), torch.rand(4, 17, 2))
    penalty = gradient_penalty(LinearCritic(slope), pair, pair, torch.rand(4, 1, 1))  # type: ignore[arg-type]
    assert penalty.item() == pytest.approx((slope * 85**0.5 - 1) ** 2, abs=1e-3)


@pytest.mark.parametrize("inputs", ["pose", "pose+features"])
def test_gradient_penalty_matches_finite_differences(inputs: str) -> None:
    """The penalty's inner gradient norm equals that of numerical differentiation."""
    torch.manual_seed(0)
    kcs = WeightedKcs(KcsConfig(), HUMAN36M_17)
    critic = Critic(CriticConfig(branch_width=8), kcs, HUMAN36M_17, GeneratorConfig()).double()
    poses = torch.rand(1, 17, 3, dtype=torch.float64)
    points = torch.rand(1, 17, 2, dtype=torch.float64)
    features = critic.kcs(poses)
    given = [poses, points] + ([features] if inputs == "pose+features" else [])
    squares = 0.0
    for index, part in enumerate(given):
        for position in range(part.numel()):
            moved = [value.clone() for value in given]
            moved[index].view(-1)[position] += 1e-6
            back = [value.clone() for value in given]
            back[index].view(-1)[position] -= 1e-6
            squares += ((critic(*moved) - critic(*back)).item() / 2e-6) ** 2
    pair = (poses, points)
    penalty = gradient_penalty(critic, pair, pair, torch.ones(1, 1, 1).double(), inputs)
    assert penalty.item() == pytest.approx((squares**0.5 - 1) ** 2, rel=1e-4)


@pytest.mark.parametrize("inputs", ["pose", "pose+features"])
def test_linearised_activations_change_no_gradient(inputs: str) -> None:
    """Linearised activations give the same gradients as plain autograd."""
    torch.manual_seed(0)
    kcs = WeightedKcs(KcsConfig(), HUMAN36M_17)
    critic = Critic(CriticConfig(branch_width=8), kcs, HUMAN36M_17, GeneratorConfig()).double()
    pairs = [tuple(torch.rand(2, 6, 17, d, dtype=torch.float64).unbind()) for d in (3, 2)]
    real, fake = (pairs[0][0], pairs[1][0]), (pairs[0][1], pairs[1][1])
    mix = torch.rand(6, 1, 1, dtype=torch.float64)

    class Kinked(nn.Module):
        kcs = critic.kcs

        def forward(self, *samples: Tensor, linearised: bool) -> Tensor:
            assert linearised
            return critic(*samples)

    weights = [weight for name, weight in critic.named_parameters() if "bias" not in name]
    for mine, plain in zip(
        *(
            torch.autograd.grad(gradient_penalty(one, real, fake, mix, inputs), weights)  # type: ignore[arg-type]
            for one in (critic, Kinked())
        ),
        strict=True,
    ):
        torch.testing.assert_close(mine, plain)
