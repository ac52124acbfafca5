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
    """Dropout whose masks come from a given random stream, so that a training can be replayed."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Zero each unit with the rate's probability while training; keep the mean."""
        if not self.training or self.rate == 0:
            return x
        mask = torch.rand(x.shape, generator=self.generator, dtype=x.dtype, device=x.device)
        # Comparing uniform numbers costs a third of drawing from the Bernoulli distribution.
        return x * mask.lt_(1 - self.rate).div_(1 - self.rate)


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

    def cancelled(self) -> Tensor | None:
        """The bias that batch normalisation takes out again, if there is any."""
        linear = self[0]
        assert isinstance(linear, nn.Linear)
        return linear.bias if isinstance(self[1], nn.BatchNorm1d) else None


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
        distance = self.config.distance if self.config.lift == "perspective" else None
        return lift_depths(self(keypoints), keypoints, ray, distance)


def lift_depths(
    depths: Tensor, keypoints: Tensor, ray: Tensor | None, distance: float | Tensor | None
) -> Tensor:
    """3D poses (..., J, 3) of depths (..., J) and 2D poses (..., J, 2) (row 39).

    Args:
        depths: root-relative, in radii.
        keypoints: in radii.
        ray: (..., 2) direction of the root, 0 if omitted.
        distance: of the root from the camera in radii, for the perspective lift; the weak one
            if omitted.
    """
    depths = depths[..., None]
    plane = keypoints
    if distance is not None:
        plane = keypoints * (1 + depths / distance)
        if ray is not None:
            plane = plane + ray[..., None, :] * depths
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

    def forward(
        self,
        poses: Tensor,
        keypoints: Tensor,
        features: Tensor | None = None,
        *,
        straight: bool = False,
    ) -> Tensor:
        """Scores (B,) of poses (B, J, 3) with 2D poses (B, J, 2).

        Args:
            poses: (B, J, 3).
            keypoints: (B, J, 2).
            features: in place of the wKCS computed from the poses (row 10).
            straight: the same values and first derivatives, but no second derivatives of the
                activations. They are 0, and autograd would carry the zeros through the network.
        """
        act = self._straight if straight else self._act
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

    def _act(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(x, self.slope)

    def _straight(self, x: Tensor) -> Tensor:
        """The activation as a product with its factor, 1 or the slope, which is a constant."""
        middle, half = (1 + self.slope) / 2, (1 - self.slope) / 2
        return x * x.detach().sign().mul_(half).add_(middle)


def cancelled_biases(network: nn.Module) -> set[Tensor]:
    """Weights that change nothing: the biases that batch normalisation takes out again.

    Their gradient is 0 but for rounding, which Adam would blow up to steps of full size.
    """
    layers = [module for module in network.modules() if isinstance(module, Layer)]
    return {bias for layer in layers if (bias := layer.cancelled()) is not None}


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
