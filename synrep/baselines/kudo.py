"""The method of Kudo et al.: lifting whose rotated projections look real, without any 3D poses.

Reimplemented from the published description. It differs where the comparison with the model
requires it: the depth of the root is 0.
Axes: B batch, J joints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from synrep.baselines.training import BaselineModel, BaselineTraining, Block, Dense
from synrep.model.losses import angle_loss
from synrep.model.networks import lift_depths

if TYPE_CHECKING:
    from synrep.baselines.config import KudoConfig
    from synrep.datasets.views import Views


def project_rotated(poses: Tensor, angle_rad: Tensor) -> Tensor:
    """Rotate poses (B, J, 3) about the vertical axis and project them to 2D (B, J, 2).

    The projection is orthographic, and the vertical axis is the y axis of the camera.

    Args:
        poses: 3D poses.
        angle_rad: rotation angles (B,) in radians.
    """
    cos, sin = angle_rad.cos()[:, None], angle_rad.sin()[:, None]
    return torch.stack([poses[..., 0] * cos + poses[..., 2] * sin, poses[..., 1]], dim=-1)


class KudoNetwork(nn.Sequential):
    """Network with one hidden layer and a residual block, used as generator and as critic.

    Args:
        config: layer sizes.
        joints: number of joints J.
        outputs: number of outputs.
    """

    def __init__(self, config: KudoConfig, joints: int, outputs: int) -> None:
        super().__init__(
            nn.Flatten(),
            Dense(2 * joints, config.width, config.slope),
            Block(config.width, config.slope),
            nn.Linear(config.width, outputs),
        )


class KudoGenerator(KudoNetwork):
    """Predicts the depth of each joint from the 2D pose.

    Args:
        config: layer sizes.
        joints: number of joints J.
    """

    def __init__(self, config: KudoConfig, joints: int) -> None:
        super().__init__(config, joints, joints)

    def lift(self, keypoints: Tensor, ray: Tensor | None = None) -> Tensor:  # noqa: ARG002 - the lift is weak-perspective
        """Lift 2D poses (B, J, 2) to 3D poses (B, J, 3), both in radii; copies x and y."""
        depths = self(keypoints)
        return lift_depths(depths - depths[:, :1], keypoints, ray=None, distance=None)


class Kudo(BaselineModel):
    """Generator, and critic that discriminates real 2D poses from rotated projections."""

    def __init__(self, config: KudoConfig, inputs: Views, reals: Views) -> None:
        self.config = config
        self.weight_decay = config.weight_decay
        super().__init__(config, inputs, reals)

    def build(self) -> dict[str, nn.Module]:
        """Build both networks; weights are drawn from N(0, 0.02), biases are 0."""
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
        """Update both networks on one batch; skip a network that is too far ahead."""
        config = self.config
        keypoints = self.inputs.keypoints[self.batch_indices("input", iteration, self.inputs)]
        poses = cast("KudoGenerator", self.networks["generator"]).lift(keypoints)
        angle_rad = (
            self.streams.uniform("turn", iteration, (len(poses),), poses.dtype) * 2 * torch.pi
        )
        scores = self.networks["critic"](torch.cat([keypoints, project_rotated(poses, angle_rad)]))
        real, fake = scores[:, 0].chunk(2)
        accuracy = ((real >= 0).to(real).mean() + (fake < 0).to(fake).mean()) / 2
        adversarial = functional.softplus(-fake).mean()
        angle = angle_loss(poses, self.skeleton)
        critic = functional.softplus(-real).mean() + functional.softplus(fake).mean()
        accuracy_value = float(accuracy)
        if accuracy_value >= 1 - config.accuracy_cap:
            self.descend(adversarial + config.lambda_angle * angle, "generator", retain_graph=True)
        if accuracy_value <= config.accuracy_cap:
            self.descend(critic, "critic")
        self.add("critic_loss", critic)
        self.add("critic_accuracy", accuracy)
        self.add("generator_loss", adversarial)
        self.add("angle_loss", angle)


class KudoTraining(BaselineTraining):
    """Training of the baseline of Kudo et al."""

    model_class = Kudo
