"""RepNet: a generator predicts pose and camera, a critic scores pose and KCS (Wandt, Rosenhahn).

Reimplemented from the published description, with the losses of the paper and the layers of its
code. It differs where the comparison with the model requires it: poses are relative to the root
instead of their mean and in radii instead of metres; the KCS is that of the skeleton tree, without
a bone between the hips; all joints have the same weight; and poses are scored in the camera frame,
where the predicted camera places them.
Axes: B batch, J joints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from synrep.baselines.training import BaselineModel, BaselineTraining, Block, Dense
from synrep.config import KcsConfig
from synrep.model.kcs import WeightedKcs
from synrep.model.losses import norm_penalty
from synrep.weighting import Uniform

if TYPE_CHECKING:
    from synrep.baselines.config import RepNetConfig
    from synrep.datasets.views import Views
    from synrep.skeleton import Skeleton


def to_body_frame(poses: Tensor, skeleton: Skeleton) -> Tensor:
    """Rotate poses (B, J, 3) so that the trunk is upright and faces the camera.

    The x axis points from the right to the left hip and shoulder, y from the thorax to the hip, z
    to the back. The original aligns hips and shoulders with a template, which also removes the
    global rotation.
    """
    names = ("RHip", "LHip", "RShoulder", "LShoulder", "Thorax")
    right, left, right_up, left_up, thorax = poses[:, skeleton.indices(*names)].unbind(1)
    down = functional.normalize(poses[:, 0] - thorax, dim=-1)
    across = left - right + left_up - right_up
    across = functional.normalize(across - (across * down).sum(-1, keepdim=True) * down, dim=-1)
    axes = torch.stack([across, down, torch.linalg.cross(across, down)], dim=1)  # B, 3 axes, 3
    return poses @ axes.mT


def scaled_rotation(camera: Tensor) -> Tensor:
    """Extend weak-perspective cameras (B, 2, 3) to scaled rotations (B, 3, 3).

    The third row is orthogonal to the other two and has their root-mean-square norm. The result
    transforms a pose into the camera frame, with x and y equal to its projection.
    """
    scale = (camera.square().sum((1, 2)) / 2).sqrt()[:, None]
    third = functional.normalize(torch.linalg.cross(camera[:, 0], camera[:, 1]), dim=-1) * scale
    return torch.cat([camera, third[:, None]], dim=1)


def camera_loss(camera: Tensor) -> Tensor:
    """Return the mean deviation of cameras (B, 2, 3) from scaled orthonormal rows, a scalar."""
    square = camera @ camera.mT
    trace = square.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None]
    eye = torch.eye(2, dtype=camera.dtype, device=camera.device)
    return (2 / trace * square - eye).norm(dim=(1, 2)).mean()


class RepNetGenerator(nn.Module):
    """Predicts a 3D pose and a weak-perspective camera from a 2D pose.

    Args:
        config: layer sizes.
        joints: number of joints J.
    """

    def __init__(self, config: RepNetConfig, joints: int) -> None:
        super().__init__()
        width, slope = config.width, config.slope
        self.shared = nn.Sequential(Dense(2 * joints, width, slope), Block(width, slope))
        self.pose = nn.Sequential(
            *(Block(width, slope) for _ in range(config.pose_blocks)),
            Dense(width, width, slope),
            nn.Linear(width, 3 * joints),
        )
        self.camera = nn.Sequential(
            *(Block(width, slope) for _ in range(config.camera_blocks)), nn.Linear(width, 6)
        )

    def forward(self, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        """Return root-relative poses (B, J, 3) in a body frame, and cameras (B, 2, 3)."""
        shared = self.shared(keypoints.flatten(1))
        poses = self.pose(shared).unflatten(1, (-1, 3))
        return poses - poses[:, :1], self.camera(shared).unflatten(1, (2, 3))

    def lift(self, keypoints: Tensor, ray: Tensor | None = None) -> Tensor:  # noqa: ARG002 - the camera is predicted
        """Lift 2D poses (B, J, 2) to 3D poses (B, J, 3) in the camera frame, both in radii."""
        poses, camera = self(keypoints)
        return poses @ scaled_rotation(camera).mT


class RepNetCritic(nn.Module):
    """Scores a 3D pose and its kinematic chain space (KCS).

    Args:
        config: layer sizes.
        skeleton: skeleton of the poses, whose tree defines the bones.
    """

    def __init__(self, config: RepNetConfig, skeleton: Skeleton) -> None:
        super().__init__()
        width, slope = config.pose_width, config.slope
        self.kcs = WeightedKcs(KcsConfig(weighting=Uniform()), skeleton)
        self.pose_branch = nn.Sequential(
            Dense(3 * len(skeleton), width, slope), Block(width, slope), nn.Linear(width, width)
        )
        self.kcs_branch = nn.Sequential(
            Dense(self.kcs.features, config.kcs_width, slope),
            Block(config.kcs_width, slope, linear_output=True),
        )
        self.head = nn.Sequential(
            Dense(width + config.kcs_width, width, slope), nn.Linear(width, 1)
        )

    def forward(self, poses: Tensor) -> Tensor:
        """Return the scores (B,) of poses (B, J, 3)."""
        branches = [self.pose_branch(poses.flatten(1)), self.kcs_branch(self.kcs(poses))]
        scores: Tensor = self.head(torch.cat(branches, dim=1))
        return scores[:, 0]


def pose_penalty(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Return the gradient penalty between real and fake poses (B, J, 3), a scalar (row 9).

    Args:
        critic: maps poses to scores (B,), including the computation of the KCS.
        real: real poses.
        fake: fake poses.
        mix: interpolation weights (B, 1, 1) in [0, 1]; 1 selects the real pose, 0 the fake one.
    """
    interpolated = torch.lerp(fake, real, mix).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(interpolated).sum(), interpolated, create_graph=True)
    return norm_penalty(gradient.square().sum((1, 2)))


class RepNet(BaselineModel):
    """Generator and critic, updated alternately on the same batch, as published."""

    def __init__(self, config: RepNetConfig, inputs: Views, reals: Views) -> None:
        self.config = config
        super().__init__(config, inputs, reals)

    def build(self) -> dict[str, nn.Module]:
        """Build both networks, with Glorot-uniform weights and zero biases."""
        joints = len(self.skeleton)
        networks: dict[str, nn.Module] = {
            "generator": RepNetGenerator(self.config, joints),
            "critic": RepNetCritic(self.config, self.skeleton),
        }
        for network in networks.values():
            for module in network.modules():
                if isinstance(module, nn.Linear):
                    nn.init.xavier_uniform_(module.weight)
                    nn.init.zeros_(module.bias)
        return networks

    def iterate(self, iteration: int) -> None:
        """Update the critic, then the generator."""
        config = self.config
        drops = iteration * (config.drops + 1) // config.iterations
        for optimiser in self.optimisers.values():
            optimiser.param_groups[0]["lr"] = config.learning_rate * 0.1**drops
        keypoints = self.inputs.keypoints[self.batch_indices("input", iteration, self.inputs)]
        real = self.reals.poses[self.batch_indices("real", iteration, self.reals)]
        if config.frame == "body":
            real = to_body_frame(real, self.skeleton)
        poses, camera = cast("RepNetGenerator", self.networks["generator"])(keypoints)
        self._update_critic(iteration, real, poses.detach())
        self._update_generator(keypoints, poses, camera)

    def _update_critic(self, iteration: int, real: Tensor, fake: Tensor) -> None:
        critic = self.networks["critic"]
        p_fake, p_real = critic(torch.cat([fake, real])).chunk(2)
        gap = p_fake.mean() - p_real.mean()
        mix = self.streams.uniform("mix", iteration, (len(real), 1, 1), real.dtype)
        penalty = pose_penalty(critic, real, fake, mix)
        self.descend(gap + self.config.gp_weight * penalty, "critic")
        self.add("critic_loss", gap)
        self.add("gradient_penalty", penalty)

    def _update_generator(self, keypoints: Tensor, poses: Tensor, camera: Tensor) -> None:
        config = self.config
        adversarial = -self.networks["critic"](poses).mean()
        reprojection = (poses @ camera.mT - keypoints).norm(dim=(1, 2)).mean()
        weak = camera_loss(camera)
        loss = adversarial + config.lambda_reprojection * reprojection + config.lambda_camera * weak
        self.descend(loss, "generator")
        self.add("generator_loss", adversarial)
        self.add("reprojection_loss", reprojection)
        self.add("camera_loss", weak)


class RepNetTraining(BaselineTraining):
    """Training of RepNet."""

    model_class = RepNet
