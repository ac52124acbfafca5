"""Supervised baseline: the model's generator trained on paired depths.

Axes: B batch, J joints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

from synrep.baselines.training import BaselineModel, BaselineTraining
from synrep.model.networks import Dropout, Generator

if TYPE_CHECKING:
    from torch import nn

    from synrep.baselines.config import SupervisedConfig
    from synrep.datasets.views import Views


class Supervised(BaselineModel):
    """Generator trained on the mean squared error of its depths, without a critic."""

    def __init__(self, config: SupervisedConfig, inputs: Views, reals: Views) -> None:
        self.config = config
        super().__init__(config, inputs, reals)
        self._dropouts = [
            module for module in self.networks["generator"].modules() if isinstance(module, Dropout)
        ]

    def build(self) -> dict[str, nn.Module]:
        """Build the generator, the only network."""
        return {"generator": Generator(self.config.generator, len(self.skeleton))}

    def iterate(self, iteration: int) -> None:
        """Take one Adam step; the learning rate decays linearly to zero."""
        config = self.config
        rate = config.learning_rate * (1 - iteration / config.iterations)
        self.optimisers["generator"].param_groups[0]["lr"] = rate
        indices = self.batch_indices("input", iteration, self.inputs)
        if self._dropouts:
            masks = self.masks.at("dropout", iteration)
            for dropout in self._dropouts:
                dropout.generator = masks
        depths = self.networks["generator"](self.inputs.keypoints[indices])
        loss = functional.mse_loss(depths, self.inputs.poses[indices][..., 2])
        self.descend(loss, "generator")
        self.add("depth_loss", loss)


class SupervisedTraining(BaselineTraining):
    """Training of the supervised baseline."""

    model_class = Supervised
