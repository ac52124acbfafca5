"""Shared parts of the baselines: layers, optimisers and the training class.

Axes: B batch, J joints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from synrep.training.loop import Training
from synrep.training.protocol import MPJPE
from synrep.training.random_streams import RandomStreams, seed_of

if TYPE_CHECKING:
    from synrep.baselines.config import AnyBaseline
    from synrep.config import TrainConfig
    from synrep.datasets.views import Views
    from synrep.training.protocol import Goal
    from synrep.training.step import Gan


class Dense(nn.Module):
    """Linear layer followed by a leaky ReLU."""

    def __init__(self, inputs: int, width: int, slope: float) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, width)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs) to (B, width)."""
        return functional.leaky_relu(self.linear(x), self.slope)


class Block(nn.Module):
    """Residual block of two layers, with the last activation after the addition.

    Args:
        width: number of inputs and outputs.
        slope: negative slope of the leaky ReLU.
        linear_output: omit the last activation.
    """

    def __init__(self, width: int, slope: float, *, linear_output: bool = False) -> None:
        super().__init__()
        self.first = Dense(width, width, slope)
        self.second = nn.Linear(width, width)
        self.slope = 1.0 if linear_output else slope

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width) to (B, width)."""
        return functional.leaky_relu(x + self.second(self.first(x)), self.slope)


class Lifter(Protocol):
    """Interface of a network that can be scored, as `synrep.model.networks.Generator` can."""

    def lift(self, keypoints: Tensor, ray: Tensor | None = None) -> Tensor:
        """Lift 2D poses (B, J, 2) to 3D poses (B, J, 3) in the camera frame, both in radii."""


class BaselineModel:
    """Networks of a baseline and their optimisers; the counterpart of `synrep.training.step.Gan`.

    Args:
        config: configuration of the training.
        inputs: views whose 2D poses the generator lifts.
        reals: views that provide real 3D poses; the same as `inputs` unless the data are split.

    Attributes:
        networks: 'generator' and, if there is one, 'critic'.
        optimisers: optimisers by the name of the network they update.
        sums: losses summed since they were last cleared.
        streams: random streams of everything but dropout.
        masks: random streams of dropout, separate because its generator stays in use during a
            forward pass.
    """

    weight_decay: float = 0.0
    """Weight decay of Adam (L2 penalty)."""

    def __init__(self, config: AnyBaseline, inputs: Views, reals: Views) -> None:
        self.inputs = inputs
        self.reals = reals
        self.skeleton = inputs.skeleton
        self.sums: dict[str, Tensor] = {}
        self.batch_size = config.batch_size
        device, dtype = inputs.poses.device, inputs.poses.dtype
        self.streams = RandomStreams(config.seed, device)
        self.masks = RandomStreams(config.seed, device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(config.seed, "weights", 0))
            self.networks = self.build()
        for network in self.networks.values():
            network.to(device, dtype)
        self.optimisers = {
            name: torch.optim.Adam(
                network.parameters(),
                lr=config.learning_rate,
                betas=(config.beta1, config.beta2),
                weight_decay=self.weight_decay,
                fused=True,
            )
            for name, network in self.networks.items()
        }

    def build(self) -> dict[str, nn.Module]:
        """Build the networks, initialised from PyTorch's global random generator."""
        raise NotImplementedError

    def iterate(self, iteration: int) -> None:
        """Run one iteration; `iteration` determines all random numbers."""
        raise NotImplementedError

    @property
    def scored(self) -> Lifter:
        """The generator to score."""
        return cast("Lifter", self.networks["generator"])

    def batch_indices(self, stream: str, iteration: int, views: Views) -> Tensor:
        """Return the indices (B,) of a batch."""
        return self.streams.batch(stream, iteration, self.batch_size, len(views))

    def descend(self, loss: Tensor, name: str, *, retain_graph: bool = False) -> None:
        """Take one optimiser step for one network; other weights get no gradients.

        Args:
            loss: a scalar.
            name: name of the network.
            retain_graph: keep the graph of the loss for another call.
        """
        weights = list(self.networks[name].parameters())
        gradients = torch.autograd.grad(loss, weights, retain_graph=retain_graph)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        self.optimisers[name].step()

    def add(self, name: str, value: Tensor) -> None:
        """Add a loss to the sums of the next report."""
        self.sums[name] = self.sums.get(name, torch.zeros_like(value)) + value.detach()


class BaselineTraining(Training):
    """Training of a baseline, with the loop, scoring and checkpoints of the model.

    Args:
        config: configuration; fully determines the result on a given kind of device.
        device: device to train on.
        threads: number of CPU threads; all cores if omitted.
        dtype: type of weights and poses.
        goal: what selects the best generator.

    Raises:
        InputError: the poses can't be used, or there are fewer views than a batch needs.
    """

    model_class: ClassVar[type[BaselineModel]]
    """Class of the networks to train."""

    def __init__(
        self,
        config: AnyBaseline,
        *,
        device: str = "cpu",
        threads: int | None = None,
        dtype: torch.dtype = torch.float32,
        goal: Goal = MPJPE,
    ) -> None:
        # The loop reads only fields that all configurations have in common.
        train_config = cast("TrainConfig", config)
        super().__init__(train_config, device=device, threads=threads, dtype=dtype, goal=goal)

    def _networks(self) -> Gan:
        config, training_data = cast("AnyBaseline", self.config), self.training_data
        return cast("Gan", self.model_class(config, training_data.inputs, training_data.reals))
