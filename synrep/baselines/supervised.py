"""The model's own generator, trained on paired depths: what the architecture can do.

Axes: B batch, J joints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

from synrep.baselines.training import Adversaries, BaselineTraining
from synrep.model.networks import Dropout, Generator

if TYPE_CHECKING:
    from torch import nn

    from synrep.baselines.config import SupervisedConfig
    from synrep.datasets.views import Views


class Supervised(Adversaries):
    """A generator without an adversary: the mean squared error of its depths."""

    def __init__(self, config: SupervisedConfig, inputs: Views, reals: Views) -> None:
        self.config = config
        super().__init__(config, inputs, reals)
        self._dropouts = [
            module for module in self.networks["generator"].modules() if isinstance(module, Dropout)
        ]

    def build(self) -> dict[str, nn.Module]:
        """The generator alone."""
        return {"generator": Generator(self.config.generator, len(self.skeleton))}

    def iterate(self, iteration: int) -> None:
        """One step of Adam; the learning rate falls linearly to zero."""
        config = self.config
        rate = config.learning_rate * (1 - iteration / config.iterations)
        self.optimisers["generator"].param_groups[0]["lr"] = rate
        chosen = self.chosen("input", iteration, self.inputs)
        if self._dropouts:
            masks = self.masks.at("dropout", iteration)
            for dropout in self._dropouts:
                dropout.generator = masks
        depths = self.networks["generator"](self.inputs.keypoints[chosen])
        loss = functional.mse_loss(depths, self.inputs.poses[chosen][..., 2])
        self.descend(loss, "generator")
        self.add("depth_loss", loss)


class SupervisedTraining(BaselineTraining):
    """The supervised generator, from report to report."""

    adversaries = Supervised
