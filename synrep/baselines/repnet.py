"""RepNet: a network predicts pose and camera, a critic sees pose and KCS (Wandt and Rosenhahn).

Written anew after the published description; losses are the paper's, layers those of its code.
Where this differs, it is to measure both on the same data: poses are relative to the root instead
of their mean and in radii instead of metres; the KCS is that of the skeleton tree, without a bone
between the hips; no joint is weighted down; and poses are scored in the camera's frame, where the
predicted camera places them.
Axes: B batch, J joints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from synrep.baselines.training import Adversaries, BaselineTraining, Block, Dense
from synrep.config import KcsConfig
from synrep.model.kcs import WeightedKcs
from synrep.model.losses import norm_penalty
from synrep.weighting import Uniform

if TYPE_CHECKING:
    from synrep.baselines.config import RepNetConfig
    from synrep.datasets.views import Views
    from synrep.skeleton import Skeleton


def to_body_frame(poses: Tensor, skeleton: Skeleton) -> Tensor:
    """Poses (B, J, 3) turned so that the trunk is upright and faces the camera.

    x runs from right to left hip and shoulder, y from the thorax to the hip, z to the back. The
    original aligns hips and shoulders to those of a template, which also removes all rotation.
    """
    names = ("RHip", "LHip", "RShoulder", "LShoulder", "Thorax")
    right, left, right_up, left_up, thorax = poses[:, skeleton.indices(*names)].unbind(1)
    down = functional.normalize(poses[:, 0] - thorax, dim=-1)
    across = left - right + left_up - right_up
    across = functional.normalize(across - (across * down).sum(-1, keepdim=True) * down, dim=-1)
    axes = torch.stack([across, down, torch.linalg.cross(across, down)], dim=1)  # B, 3 axes, 3
    return poses @ axes.mT


def complete(camera: Tensor) -> Tensor:
    """Scaled rotations (B, 3, 3) of weak-perspective cameras (B, 2, 3).

    The third row is at right angles to the others and as long as they are on average, so that a
    pose is moved into the camera's frame with x and y where the camera projects them.
    """
    scale = (camera.square().sum((1, 2)) / 2).sqrt()[:, None]
    third = functional.normalize(torch.linalg.cross(camera[:, 0], camera[:, 1]), dim=-1) * scale
    return torch.cat([camera, third[:, None]], dim=1)


def camera_loss(camera: Tensor) -> Tensor:
    """How far cameras (B, 2, 3) are from scaled orthonormal rows, a scalar."""
    square = camera @ camera.mT
    trace = square.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None]
    eye = torch.eye(2, dtype=camera.dtype, device=camera.device)
    return (2 / trace * square - eye).norm(dim=(1, 2)).mean()


class RepNetGenerator(nn.Module):
    """Predicts a pose and the camera that sees it, from a 2D pose.

    Args:
        config: shape.
        joints: J.
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
        """Root-relative poses (B, J, 3) in their own frame, and cameras (B, 2, 3)."""
        shared = self.shared(keypoints.flatten(1))
        poses = self.pose(shared).unflatten(1, (-1, 3))
        return poses - poses[:, :1], self.camera(shared).unflatten(1, (2, 3))

    def lift(self, keypoints: Tensor, ray: Tensor | None = None) -> Tensor:  # noqa: ARG002 - it has no use for the direction
        """3D poses (B, J, 3) in the camera's frame, in radii, from 2D poses (B, J, 2) in radii."""
        poses, camera = self(keypoints)
        return poses @ complete(camera).mT


class RepNetCritic(nn.Module):
    """Scores a 3D pose by itself and by its kinematic chain space.

    Args:
        config: shape.
        skeleton: the tree that gives bones.
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
            Block(config.kcs_width, slope, open_end=True),
        )
        self.head = nn.Sequential(
            Dense(width + config.kcs_width, width, slope), nn.Linear(width, 1)
        )

    def forward(self, poses: Tensor) -> Tensor:
        """Scores (B,) of poses (B, J, 3)."""
        branches = [self.pose_branch(poses.flatten(1)), self.kcs_branch(self.kcs(poses))]
        scores: Tensor = self.head(torch.cat(branches, dim=1))
        return scores[:, 0]


def pose_penalty(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Gradient penalty, a scalar, between real and fake poses (B, J, 3) (row 9).

    Args:
        critic: scores (B,) of poses; the KCS is computed within it.
        real: poses.
        fake: poses.
        mix: (B, 1, 1) in [0, 1]: 1 takes the real pose, 0 the fake one.
    """
    between = torch.lerp(fake, real, mix).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return norm_penalty(gradient.square().sum((1, 2)))


class RepNet(Adversaries):
    """One update of critic and generator at a time: published, both take the same batch."""

    def __init__(self, config: RepNetConfig, inputs: Views, reals: Views) -> None:
        self.config = config
        super().__init__(config, inputs, reals)

    def build(self) -> dict[str, nn.Module]:
        """Both networks; Glorot's uniform weights, biases 0."""
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
        """The critic's update, then the generator's."""
        config = self.config
        passed = iteration * (config.drops + 1) // config.iterations
        for optimiser in self.optimisers.values():
            optimiser.param_groups[0]["lr"] = config.learning_rate * 0.1**passed
        keypoints = self.inputs.keypoints[self.chosen("input", iteration, self.inputs)]
        real = self.reals.poses[self.chosen("real", iteration, self.reals)]
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
    """Trains RepNet."""

    adversaries = RepNet
