"""A training, from report to report (sections 3.4 and 3.6).

`Training` holds all state of the loop; `run` drives it with one outward call a report.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from synrep import guard, state
from synrep.errors import InputError
from synrep.evaluation import Body, errors, predict
from synrep.gan import Gan
from synrep.views import open_views

if TYPE_CHECKING:
    from synrep.checkpoint import State
    from synrep.config import TrainConfig
    from synrep.views import Views

GOAL = "mpjpe_mm"
"""The error by which the best generator of a training is chosen, on validation subjects."""


class Decision(Enum):
    """What the caller of a training wants after a report."""

    CONTINUE = "continue"
    STOP = "stop"


OnReport = Callable[[dict[str, float], "Callable[[], State]"], Decision]


def run(training: Training, on_report: OnReport) -> None:
    """Train to the end, or until a report is answered with STOP.

    Args:
        training: at its start, or restored from a checkpoint.
        on_report: called with the metrics of each report and a function that gives the state.

    Raises:
        Diverged: the training can't recover.
    """
    while not training.finished:
        if on_report(training.advance(), training.state) is Decision.STOP:
            return


@dataclass(kw_only=True)
class Best:
    """The best report so far, with the generator's weights at that point."""

    value: float = float("inf")
    iteration: int = 0
    weights: dict[str, Tensor] | None = None


class Training:
    """One training, advanced from report to report.

    Args:
        config: decides the result completely, on one kind of device.
        device: where to train.
        threads: CPU threads; all of the machine's if omitted.
        dtype: of weights and poses; float64 for comparisons.

    Raises:
        InputError: the poses can't be used, or are fewer than a batch.
    """

    def __init__(
        self,
        config: TrainConfig,
        *,
        device: str = "cpu",
        threads: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.config = config
        self.iteration = 0
        self.best = Best()
        train = open_views(config.data, "train")
        self.body = Body.of(train)
        validation = open_views(config.data, "validation").evenly(config.evaluation.views)
        self.validation = validation.to(torch.device(device), dtype)
        self._real_spread = float(self.validation.poses[..., 2].std())
        inputs, reals = _halves(train) if config.data.unpaired_split else (train, train)
        inputs = inputs.to(torch.device(device), dtype)
        reals = reals.to(torch.device(device), dtype) if config.data.unpaired_split else inputs
        self.gan = Gan(config, inputs, reals)

    @property
    def finished(self) -> bool:
        """Whether all iterations are done."""
        return self.iteration >= self.config.iterations

    def advance(self) -> dict[str, float]:
        """Train to the next report and score the generator on validation subjects.

        Returns:
            Means of the losses since the last report (`train/...`) and errors
            (`validation/...`, names as in `synrep.evaluation.errors`).

        Raises:
            Diverged: the training can't recover.
        """
        start = self.iteration
        self.gan.sums.clear()
        while self.iteration < self._next_report(start):
            self.gan.iterate(self.iteration)
            self.iteration += 1
        metrics = {
            f"train/{name}": float(total) / (self.iteration - start)
            for name, total in self.gan.sums.items()
        }
        guard.check_losses(metrics, self.iteration, self.config.guard)
        predicted = predict(self.gan.scored, self.validation)
        spread = float(predicted[..., 2].std()) / self._real_spread
        guard.check_depths(spread, self.iteration, self.config.guard)
        found = errors(predicted, self.validation, self.config.evaluation, self.body)
        metrics |= {f"validation/{name}": float(value.mean()) for name, value in found.items()}
        metrics["validation/depth_spread"] = spread
        self._keep_best(metrics[f"validation/{GOAL}"])
        return metrics

    def state(self) -> State:
        """Everything needed to go on from here, bit for bit on the same kind of device."""
        return state.collect(self)

    def restore(self, saved: State) -> None:
        """Go on from a state.

        Raises:
            InputError: the state belongs to a different configuration.
        """
        state.apply(self, saved)

    def _next_report(self, iteration: int) -> int:
        """Iterations at which reports fall: evenly spaced, the last one at the end."""
        total, reports = self.config.iterations, min(self.config.reports, self.config.iterations)
        done = iteration * reports // total
        return -(-(done + 1) * total // reports)

    def _keep_best(self, value: float) -> None:
        if value < self.best.value:
            weights = {k: v.detach().clone() for k, v in self.gan.scored.state_dict().items()}
            self.best = Best(value=value, iteration=self.iteration, weights=weights)


def _halves(train: Views) -> tuple[Views, Views]:
    """2D poses from every other subject, 3D poses from the rest (row 26)."""
    odd = train.subject % 2 == 1
    if not odd.any():
        raise InputError("data.unpaired_split", "the training split has only one subject")
    return train.select(~odd), train.select(odd)
