"""What the baselines share: layers, optimisers, and the training that runs from report to report.

Axes: B batch, J joints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from synrep.training.loop import Training
from synrep.training.random_streams import RandomStreams, seed_of

if TYPE_CHECKING:
    from synrep.baselines.config import AnyBaseline
    from synrep.config import TrainConfig
    from synrep.datasets.views import Views
    from synrep.training.step import Gan


class Dense(nn.Module):
    """A linear layer and a leaky ReLU."""

    def __init__(self, inputs: int, width: int, slope: float) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, width)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) to (B, width)."""
        return functional.leaky_relu(self.linear(x), self.slope)


class Block(nn.Module):
    """Two layers whose result is added to the input, before the last activation.

    Args:
        width: of input and output.
        slope: of the leaky ReLU.
        open_end: whether the last activation is left out.
    """

    def __init__(self, width: int, slope: float, *, open_end: bool = False) -> None:
        super().__init__()
        self.first = Dense(width, width, slope)
        self.second = nn.Linear(width, width)
        self.slope = 1.0 if open_end else slope

    def forward(self, x: Tensor) -> Tensor:
        """(B, width) to (B, width)."""
        return functional.leaky_relu(x + self.second(self.first(x)), self.slope)


class Lifter(Protocol):
    """A network that is scored: as much of `synrep.model.networks.Generator` as that needs."""

    def lift(self, keypoints: Tensor, ray: Tensor | None = None) -> Tensor:
        """3D poses (B, J, 3) in the camera frame, in radii, from 2D poses (B, J, 2) in radii."""


class Adversaries:
    """Generator and critic of a baseline with their optimisers; takes the place of `Gan`.

    Args:
        config: of the training.
        inputs: views whose 2D poses the generator lifts.
        reals: views whose 3D poses may be seen; the same ones unless data are split.

    Attributes:
        networks: 'generator' and, if there is one, 'critic'.
        optimisers: by name of the network they update.
        sums: losses summed since they were last cleared.
        streams: what is drawn.
        masks: the same for dropout, whose generator is in use while others draw.
    """

    weight_decay: float = 0.0
    """Added to each gradient, as a multiple of the weight."""

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
        """Generator and critic with initial weights from torch's own random numbers."""
        raise NotImplementedError

    def iterate(self, iteration: int) -> None:
        """One update of both sides; `iteration` decides all that is drawn."""
        raise NotImplementedError

    @property
    def scored(self) -> Lifter:
        """The generator, as it is scored."""
        return cast("Lifter", self.networks["generator"])

    def chosen(self, stream: str, iteration: int, views: Views) -> Tensor:
        """Positions (B,) of a batch."""
        return self.streams.batch(stream, iteration, self.batch_size, len(views))

    def descend(self, loss: Tensor, name: str, *, keep: bool = False) -> None:
        """One step of one network; no gradient is computed for any other weight.

        Args:
            loss: a scalar.
            name: of the network.
            keep: whether the graph of the loss is needed again.
        """
        weights = list(self.networks[name].parameters())
        gradients = torch.autograd.grad(loss, weights, retain_graph=keep)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        self.optimisers[name].step()

    def add(self, name: str, value: Tensor) -> None:
        """Sum up a loss for the next report."""
        self.sums[name] = self.sums.get(name, torch.zeros_like(value)) + value.detach()


class BaselineTraining(Training):
    """A baseline, advanced from report to report, scored and kept by the model's own code.

    Args:
        config: decides the result completely, on one kind of device.
        device: where to train.
        threads: CPU threads; all of the machine's if omitted.
        dtype: of weights and poses.

    Raises:
        InputError: the poses can't be used, or are fewer than a batch.
    """

    adversaries: ClassVar[type[Adversaries]]
    """What is trained."""

    def __init__(
        self,
        config: AnyBaseline,
        *,
        device: str = "cpu",
        threads: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        # The loop reads only the sections and fields that all configurations have.
        same = cast("TrainConfig", config)
        super().__init__(same, device=device, threads=threads, dtype=dtype)

    def _networks(self) -> Gan:
        config, training_data = cast("AnyBaseline", self.config), self.training_data
        return cast("Gan", self.adversaries(config, training_data.inputs, training_data.reals))
