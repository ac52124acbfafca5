"""Generator, reprojection network and critic (sections 3.1-3.3; rows 12-17, 21, 23).

Axes: B batch, J joints. All poses are root-centred; joint 0 is the root.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

if TYPE_CHECKING:
    from synrep.config import CriticConfig, GeneratorConfig, ReprojectionNetworkConfig
    from synrep.kcs import WeightedKcs
    from synrep.skeleton import Skeleton


class Dropout(nn.Module):
    """Dropout whose masks come from a given random stream, so that a training can be replayed."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Zero each unit with the rate's probability while training; keep the mean."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        mask = torch.empty_like(x).bernoulli_(keep, generator=self.generator)
        return x * mask.div_(keep)


class Layer(nn.Sequential):
    """Linear, batch normalisation, leaky ReLU, dropout: the layer of Martinez et al."""

    def __init__(self, inputs: int, width: int, config: GeneratorConfig) -> None:
        parts: list[nn.Module] = [nn.Linear(inputs, width)]
        if config.batch_norm:
            parts.append(nn.BatchNorm1d(width))
        parts.append(nn.LeakyReLU(config.slope))
        if config.dropout:
            parts.append(Dropout(config.dropout))
        super().__init__(*parts)


class ResidualBlock(nn.Module):
    """Two layers whose result is added to the input."""

    def __init__(self, width: int, config: GeneratorConfig) -> None:
        super().__init__()
        self.layers = nn.Sequential(Layer(width, width, config), Layer(width, width, config))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width) to (B, width)."""
        return x + self.layers(x)


class ResidualNetwork(nn.Sequential):
    """An input layer, residual blocks, and a linear output layer (Fig. 2)."""

    def __init__(
        self, inputs: int, outputs: int, *, width: int, blocks: int, config: GeneratorConfig
    ) -> None:
        super().__init__(
            Layer(inputs, width, config),
            *(ResidualBlock(width, config) for _ in range(blocks)),
            nn.Linear(width, outputs),
        )
        initialise(self, config)


class Generator(nn.Module):
    """Predicts the depth of each joint from its 2D pose (section 3.1).

    Args:
        config: shape and options.
        joints: J.
    """

    def __init__(self, config: GeneratorConfig, joints: int) -> None:
        super().__init__()
        self.config = config
        self.network = ResidualNetwork(
            2 * joints, joints, width=config.width, blocks=config.blocks, config=config
        )
        with torch.no_grad():
            output = self.network[-1]
            assert isinstance(output, nn.Linear)
            output.weight.mul_(config.output_gain)

    def forward(self, keypoints: Tensor) -> Tensor:
        """Root-relative depths (B, J) in radii of 2D poses (B, J, 2) in radii (row 23)."""
        depths: Tensor = self.network(keypoints.flatten(1))
        return depths - depths[:, :1]

    def lift(self, keypoints: Tensor, ray: Tensor | None = None) -> Tensor:
        """3D poses (B, J, 3) in radii from 2D poses (B, J, 2) in radii (row 39).

        The weak lift copies x and y. The perspective lift places each joint on its line of sight:
        x = u (1 + z / distance) + ray z, where `ray` (B, 2) is the direction of the root, 0 if
        unknown.
        """
        depths = self(keypoints)[..., None]
        plane = keypoints
        if self.config.lift == "perspective":
            plane = keypoints * (1 + depths / self.config.distance)
            if ray is not None:
                plane = plane + ray[:, None] * depths
        return torch.cat([plane, depths], dim=-1)


class ReprojectionNetwork(nn.Module):
    """Maps 3D poses back to 2D without camera parameters (section 3.2).

    Args:
        config: activation, normalisation and dropout, shared with the generator.
        joints: J.
        shape: width and blocks.
    """

    def __init__(
        self, config: GeneratorConfig, joints: int, shape: ReprojectionNetworkConfig
    ) -> None:
        super().__init__()
        self.network = ResidualNetwork(
            3 * joints, 2 * joints, width=shape.width, blocks=shape.blocks, config=config
        )

    def forward(self, poses: Tensor) -> Tensor:
        """2D poses (B, J, 2) in radii of 3D poses (B, J, 3) in radii."""
        keypoints: Tensor = self.network(poses.flatten(1)).unflatten(1, (-1, 2))
        return keypoints - keypoints[:, :1]


class Critic(nn.Module):
    """Scores a 3D pose, a 2D pose and the wKCS of the 3D pose (Fig. 3; rows 12-14).

    Args:
        config: width, head, Lipschitz constraint.
        kcs: the weighted kinematic chain space.
        skeleton: gives the number of joints.
        shared: slope of the leaky ReLU and initial weights, the same in all networks.
    """

    def __init__(
        self, config: CriticConfig, kcs: WeightedKcs, skeleton: Skeleton, shared: GeneratorConfig
    ) -> None:
        super().__init__()
        width, joints = config.branch_width, len(skeleton)
        self.kcs = kcs
        self.slope = shared.slope
        self.pose_in = nn.Linear(3 * joints, width)
        self.pose_block = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width)])
        self.pose_out = nn.Linear(width, width)
        self.keypoints_in = nn.Linear(2 * joints, width)
        self.kcs_in = nn.Linear(kcs.features, width)
        self.head = nn.ModuleList([nn.Linear(3 * width, width)] if config.head == "mlp" else [])
        self.output = nn.Linear(width if config.head == "mlp" else 3 * width, 1)
        initialise(self, shared)
        if config.lipschitz == "spectral_norm":
            for module in list(self.modules()):
                if isinstance(module, nn.Linear):
                    spectral_norm(module)

    def forward(self, poses: Tensor, keypoints: Tensor, features: Tensor | None = None) -> Tensor:
        """Scores (B,) of poses (B, J, 3) with 2D poses (B, J, 2).

        `features` replaces the wKCS computed from the poses (row 10).
        """
        features = self.kcs(poses) if features is None else features
        first = self._act(self.pose_in(poses.flatten(1)))
        second = first
        for layer in self.pose_block:
            second = self._act(layer(second))
        branches = [
            self._act(self.pose_out(first + second)),
            self._act(self.keypoints_in(keypoints.flatten(1))),
            self._act(self.kcs_in(features)),
        ]
        joined = torch.cat(branches, dim=1)
        for layer in self.head:
            joined = self._act(layer(joined))
        scores: Tensor = self.output(joined)
        return scores[:, 0]

    def _act(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(x, self.slope)


def initialise(network: nn.Module, config: GeneratorConfig) -> None:
    """Set the weights of all linear layers; biases start at 0 (row 21)."""
    for module in network.modules():
        if not isinstance(module, nn.Linear):
            continue
        bound = module.in_features**-0.5
        match config.init:
            case "uniform":
                nn.init.uniform_(module.weight, -bound, bound)
            case "kaiming":
                nn.init.kaiming_normal_(module.weight, a=config.slope)
            case "normal":
                nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
