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
    from synrep.config import (
        CriticConfig,
        GeneratorConfig,
        ReprojectionNetworkConfig,
    )
    from synrep.model.kcs import WeightedKcs
    from synrep.skeleton import Skeleton


class Dropout(nn.Module):
    """Dropout that draws its masks from an explicit generator, so that runs are reproducible.

    Args:
        rate: probability that a unit is set to zero.

    Attributes:
        generator: source of the masks; PyTorch's global generator if None.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Zero units at random in training mode and scale the rest to preserve the mean."""
        if not self.training or self.rate == 0:
            return x
        mask = torch.rand(x.shape, generator=self.generator, dtype=x.dtype, device=x.device)
        # Thresholding uniform samples takes a third of the time of `torch.bernoulli`.
        return x * mask.lt_(1 - self.rate).div_(1 - self.rate)


class Layer(nn.Sequential):
    """Linear layer, batch normalisation, leaky ReLU and dropout, as in Martinez et al."""

    def __init__(self, inputs: int, width: int, config: GeneratorConfig) -> None:
        parts: list[nn.Module] = [nn.Linear(inputs, width)]
        if config.batch_norm:
            parts.append(nn.BatchNorm1d(width))
        parts.append(nn.LeakyReLU(config.slope))
        if config.dropout:
            parts.append(Dropout(config.dropout))
        super().__init__(*parts)

    def cancelled_bias(self) -> Tensor | None:
        """Return the linear bias if batch normalisation cancels it, else None."""
        linear = self[0]
        assert isinstance(linear, nn.Linear)
        return linear.bias if isinstance(self[1], nn.BatchNorm1d) else None


class ResidualBlock(nn.Module):
    """Two layers with a skip connection."""

    def __init__(self, width: int, config: GeneratorConfig) -> None:
        super().__init__()
        self.layers = nn.Sequential(Layer(width, width, config), Layer(width, width, config))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width) to (B, width)."""
        return x + self.layers(x)


class ResidualNetwork(nn.Sequential):
    """Input layer, residual blocks and linear output layer (Fig. 2)."""

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
        config: layer sizes and options.
        joints: number of joints J.
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
        """Predict root-relative depths (B, J) from 2D poses (B, J, 2), both in radii (row 23)."""
        depths: Tensor = self.network(keypoints.flatten(1))
        return depths - depths[:, :1]

    def lift(self, keypoints: Tensor, ray: Tensor | None = None) -> Tensor:
        """Lift 2D poses (B, J, 2) to 3D poses (B, J, 3), both in radii (row 39).

        The weak-perspective lift copies x and y. The perspective lift places each joint on its
        viewing ray: x = u (1 + z / distance) + ray z.

        Args:
            keypoints: 2D poses.
            ray: (B, 2) direction from the camera to the root; 0 if omitted.
        """
        distance = self.config.distance if self.config.lift == "perspective" else None
        return lift_depths(self(keypoints), keypoints, ray, distance)


def lift_depths(
    depths: Tensor, keypoints: Tensor, ray: Tensor | None, distance: float | Tensor | None
) -> Tensor:
    """Combine depths (..., J) and 2D poses (..., J, 2) into 3D poses (..., J, 3) (row 39).

    Args:
        depths: root-relative depths in radii.
        keypoints: 2D poses in radii.
        ray: (..., 2) direction from the camera to the root; 0 if omitted.
        distance: distance of the root from the camera in radii, for the perspective lift; None
            selects the weak-perspective lift.
    """
    depths = depths[..., None]
    plane = keypoints
    if distance is not None:
        plane = keypoints * (1 + depths / distance)
        if ray is not None:
            plane = plane + ray[..., None, :] * depths
    return torch.cat([plane, depths], dim=-1)


class ReprojectionNetwork(nn.Module):
    """Projects 3D poses to 2D without camera parameters (section 3.2).

    Args:
        config: activation, normalisation and dropout, shared with the generator.
        joints: number of joints J.
        shape: width and number of residual blocks.
    """

    def __init__(
        self, config: GeneratorConfig, joints: int, shape: ReprojectionNetworkConfig
    ) -> None:
        super().__init__()
        self.network = ResidualNetwork(
            3 * joints, 2 * joints, width=shape.width, blocks=shape.blocks, config=config
        )

    def forward(self, poses: Tensor) -> Tensor:
        """Project 3D poses (B, J, 3) to 2D poses (B, J, 2), both in radii."""
        keypoints: Tensor = self.network(poses.flatten(1)).unflatten(1, (-1, 2))
        return keypoints - keypoints[:, :1]


class Critic(nn.Module):
    """Scores a 3D pose together with its wKCS and a 2D pose (Fig. 3; rows 12-14, 40).

    Args:
        config: width, head and Lipschitz constraint.
        kcs: module that computes the weighted kinematic chain space (wKCS).
        skeleton: skeleton of the poses; determines the number of joints.
        shared: negative slope of the leaky ReLU and weight initialisation, which all networks
            share.
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

    def forward(
        self,
        poses: Tensor,
        keypoints: Tensor,
        features: Tensor | None = None,
        *,
        linearised: bool = False,
    ) -> Tensor:
        """Return the scores (B,) of 3D poses and 2D poses.

        Args:
            poses: 3D poses (B, J, 3).
            keypoints: 2D poses (B, J, 2).
            features: used instead of the wKCS of the poses if given (row 10).
            linearised: treat each activation as multiplication by a constant factor. Values and
                first derivatives stay the same; the second derivatives of the activations, which
                are 0, are not propagated through the network.
        """
        act = self._linearised_activation if linearised else self._activation
        features = self.kcs(poses) if features is None else features
        first = act(self.pose_in(poses.flatten(1)))
        second = first
        for layer in self.pose_block:
            second = act(layer(second))
        branches = [
            act(self.pose_out(first + second)),
            act(self.keypoints_in(keypoints.flatten(1))),
            act(self.kcs_in(features)),
        ]
        joined = torch.cat(branches, dim=1)
        for layer in self.head:
            joined = act(layer(joined))
        scores: Tensor = self.output(joined)
        return scores[:, 0]

    def _activation(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(x, self.slope)

    def _linearised_activation(self, x: Tensor) -> Tensor:
        """Multiply x by the factor of the leaky ReLU, 1 or the slope, as a constant."""
        middle, half = (1 + self.slope) / 2, (1 - self.slope) / 2
        return x * x.detach().sign().mul_(half).add_(middle)


def cancelled_biases(network: nn.Module) -> set[Tensor]:
    """Return the biases that batch normalisation cancels, which must not be trained.

    Their gradient is 0 apart from rounding errors, which Adam would scale up to full-size steps.
    """
    layers = [module for module in network.modules() if isinstance(module, Layer)]
    return {bias for layer in layers if (bias := layer.cancelled_bias()) is not None}


def initialise(network: nn.Module, config: GeneratorConfig) -> None:
    """Initialise all linear layers: weights as configured, biases with 0 (row 21)."""
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
