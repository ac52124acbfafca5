"""Depths that look right from every side: lifting without any 3D pose (Kudo et al.).

Written anew after the published description. Where this differs, it is to measure both on the same
data: the depth of the root is 0.
Axes: B batch, J joints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from synrep.baselines.training import Adversaries, BaselineTraining, Block, Dense
from synrep.model.losses import angle_loss
from synrep.model.networks import lift_depths

if TYPE_CHECKING:
    from synrep.baselines.config import KudoConfig
    from synrep.datasets.views import Views


def seen_from(poses: Tensor, angle_rad: Tensor) -> Tensor:
    """2D poses (B, J, 2) of poses (B, J, 3) turned about the vertical by angles (B,).

    The projection is parallel, and the vertical is the y axis of the camera.
    """
    cos, sin = angle_rad.cos()[:, None], angle_rad.sin()[:, None]
    return torch.stack([poses[..., 0] * cos + poses[..., 2] * sin, poses[..., 1]], dim=-1)


class KudoNetwork(nn.Sequential):
    """Generator and critic have the same hidden layers: one, and a residual block.

    Args:
        config: shape.
        joints: J.
        outputs: numbers for each 2D pose.
    """

    def __init__(self, config: KudoConfig, joints: int, outputs: int) -> None:
        super().__init__(
            nn.Flatten(),
            Dense(2 * joints, config.width, config.slope),
            Block(config.width, config.slope),
            nn.Linear(config.width, outputs),
        )


class KudoGenerator(KudoNetwork):
    """Predicts the depth of each joint from its 2D pose.

    Args:
        config: shape.
        joints: J.
    """

    def __init__(self, config: KudoConfig, joints: int) -> None:
        super().__init__(config, joints, joints)

    def lift(self, keypoints: Tensor, ray: Tensor | None = None) -> Tensor:  # noqa: ARG002 - it has no use for the direction
        """3D poses (B, J, 3) in radii from 2D poses (B, J, 2) in radii: x and y are copied."""
        depths = self(keypoints)
        return lift_depths(depths - depths[:, :1], keypoints, ray=None, distance=None)


class Kudo(Adversaries):
    """A critic tells 2D poses from those of lifted and turned ones."""

    def __init__(self, config: KudoConfig, inputs: Views, reals: Views) -> None:
        self.config = config
        self.weight_decay = config.weight_decay
        super().__init__(config, inputs, reals)

    def build(self) -> dict[str, nn.Module]:
        """Both networks; weights from N(0, 0.02), biases 0."""
        joints = len(self.skeleton)
        networks: dict[str, nn.Module] = {
            "generator": KudoGenerator(self.config, joints),
            "critic": KudoNetwork(self.config, joints, 1),
        }
        for network in networks.values():
            for module in network.modules():
                if isinstance(module, nn.Linear):
                    nn.init.normal_(module.weight, std=0.02)
                    nn.init.zeros_(module.bias)
        return networks

    def iterate(self, iteration: int) -> None:
        """Both sides are updated by the scores of one batch, unless one is too far ahead."""
        config = self.config
        keypoints = self.inputs.keypoints[self.chosen("input", iteration, self.inputs)]
        poses = cast("KudoGenerator", self.networks["generator"]).lift(keypoints)
        turn = self.streams.uniform("turn", iteration, (len(poses),), poses.dtype) * 2 * torch.pi
        scores = self.networks["critic"](torch.cat([keypoints, seen_from(poses, turn)]))
        real, fake = scores[:, 0].chunk(2)
        accuracy = ((real >= 0).to(real).mean() + (fake < 0).to(fake).mean()) / 2
        adversarial = functional.softplus(-fake).mean()
        angle = angle_loss(poses, self.skeleton)
        critic = functional.softplus(-real).mean() + functional.softplus(fake).mean()
        right = float(accuracy)
        if right >= 1 - config.accuracy_cap:
            self.descend(adversarial + config.lambda_angle * angle, "generator", keep=True)
        if right <= config.accuracy_cap:
            self.descend(critic, "critic")
        self.add("critic_loss", critic)
        self.add("critic_accuracy", accuracy)
        self.add("generator_loss", adversarial)
        self.add("angle_loss", angle)


class KudoTraining(BaselineTraining):
    """Trains Kudo et al.'s generator."""

    adversaries = Kudo
