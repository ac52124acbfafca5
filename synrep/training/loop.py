"""A training, from report to report (sections 3.4 and 3.6).

`Training` holds all state of the loop; `run` drives it with one outward call a report.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from synrep.datasets import open_poses
from synrep.datasets.views import load_views
from synrep.errors import InputError
from synrep.evaluation.tables import BodyScale, errors, predict
from synrep.training import divergence as guard
from synrep.training import state
from synrep.training.protocol import Best, never_pause
from synrep.training.step import Gan

if TYPE_CHECKING:
    from synrep.config import TrainConfig
    from synrep.datasets.views import Views
    from synrep.model.networks import Generator
    from synrep.training.checkpoint import TrainingState
    from synrep.training.protocol import PauseCheck, Progress

GOAL = "mpjpe_mm"
"""The error by which the best generator of a training is chosen, on validation subjects."""


OnReport = Callable[[dict[str, float], "Callable[[], TrainingState]"], None]


def run(training: Training, on_report: OnReport) -> None:
    """Train to the end.

    Args:
        training: at its start, or restored from a checkpoint.
        on_report: called with the metrics of each report and a function that gives the state.

    Raises:
        Diverged: the training can't recover.
    """
    while not training.finished:
        metrics = training.advance()
        assert metrics is not None, "nobody asked for a pause"
        on_report(metrics, training.state)


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The views that a training learns from and is scored on; trainings may share them.

    Attributes:
        inputs: views whose 2D poses the generator lifts.
        reals: views that the critic sees as real.
        validation: views that score the generator: of validation subjects or, where the store has
            none, of the training subjects.
        body: sizes of the training poses.
        spread: standard deviation of the validation views' depths, in radii.
        held_out: whether the validation views are of people who are not trained on. Else nothing
            may be chosen by their errors: these are named `training/...`, and the last generator
            of a training is its result (row 33).
    """

    inputs: Views
    reals: Views
    validation: Views
    body: BodyScale
    spread: float
    held_out: bool

    @property
    def scored(self) -> str:
        """The subjects that the errors of a report are of, as in the errors' names."""
        return "validation" if self.held_out else "training"

    @classmethod
    def load(cls, config: TrainConfig, device: torch.device, dtype: torch.dtype) -> TrainingData:
        """The views that a configuration names, memory-mapped where they can be.

        Raises:
            InputError: the poses can't be used.
        """
        store = open_poses(config.data.poses)
        if config.data.sh_map != "geometric" and "keypoints_px" in store.header.columns:
            rule = "has no effect here: the 2D joints of this store were mapped when it was made"
            raise InputError("data.sh_map", rule, "leave it out")
        train = load_views(config.data, "train")
        held_out = "validation" in store.splits
        validation = load_views(config.data, "validation") if held_out else train
        validation = validation.evenly_spaced(config.evaluation.views).to(device, dtype)
        inputs, reals = _halves(train) if config.data.unpaired_split else (train, train)
        inputs = inputs.to(device, dtype)
        return cls(
            inputs=inputs,
            reals=reals.to(device, dtype) if config.data.unpaired_split else inputs,
            validation=validation,
            body=BodyScale.of(train),
            spread=float(validation.poses[..., 2].std()),
            held_out=held_out,
        )

    def report(
        self, progress: Progress, generator: Generator, sums: dict[str, float], iterations: int
    ) -> dict[str, float]:
        """The metrics of one report; keeps the generator if it is the best on held-out subjects.

        Args:
            progress: of the training.
            generator: to score.
            sums: of the losses over the last iterations.
            iterations: how many those were; none if the training went on beyond its end.

        Raises:
            Diverged: the training can't recover.
        """
        config, iteration = progress.config, progress.iteration
        done = sums if iterations else {}
        metrics = {f"train/{name}": total / iterations for name, total in done.items()}
        guard.check_losses(metrics, iteration, config.guard)
        predicted = predict(generator, self.validation)
        spread = float(predicted[..., 2].std()) / self.spread
        guard.check_depths(spread, iteration, config.guard)
        found = errors(predicted, self.validation, config.evaluation, self.body)
        metrics |= {f"{self.scored}/{name}": float(value.mean()) for name, value in found.items()}
        metrics[f"{self.scored}/depth_spread"] = spread
        value = metrics[f"{self.scored}/{GOAL}"]
        if self.held_out and value < progress.best.value:
            weights = {k: v.detach().clone() for k, v in generator.state_dict().items()}
            progress.best = Best(value=value, iteration=iteration, weights=weights)
        return metrics


def settle_memory() -> None:
    """Have the C library keep the memory of a step for the next one.

    By default glibc gives it back to the system at the end of each step, and getting it again
    costs a page fault for every 4 KiB. It learns from the largest block freed so far (at most
    32 MiB) how much to keep: twice as much. Elsewhere this does nothing.
    """
    torch.empty((32 << 20) - (64 << 10), dtype=torch.uint8)


def next_report(config: TrainConfig, iteration: int) -> int:
    """The iteration of the next report: they are evenly spaced, the last one at the end.

    A training whose length was reduced can be beyond its end: then it trains no more, and its next
    report is made where it is.
    """
    total, reports = config.iterations, min(config.reports, config.iterations)
    done = iteration * reports // total
    return min(total, -(-(done + 1) * total // reports))


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
        settle_memory()
        self.config = config
        self.iteration = 0
        self.since = 0
        self.best = Best()
        self.training_data = TrainingData.load(config, torch.device(device), dtype)
        self.gan = self._networks()

    def _networks(self) -> Gan:
        """What is iterated; another training of this form has its own."""
        return Gan(self.config, self.training_data.inputs, self.training_data.reals)

    @property
    def body(self) -> BodyScale:
        """Sizes of the training poses."""
        return self.training_data.body

    @property
    def validation(self) -> Views:
        """The views that score the generator."""
        return self.training_data.validation

    @property
    def finished(self) -> bool:
        """Whether all iterations are done."""
        return self.iteration >= self.config.iterations

    def advance(self, should_pause: PauseCheck = never_pause) -> dict[str, float] | None:
        """Train to the next report and score the generator on validation subjects.

        Args:
            should_pause: called before each iteration; true ends the call there. The state that the
                training is in can be saved and gone on from like any other.

        Returns:
            Means of the losses since the last report (`train/...`) and errors
            (`validation/...`, names as in `synrep.evaluation.tables.errors`); None after a pause.

        Raises:
            Diverged: the training can't recover.
        """
        while self.iteration < next_report(self.config, self.since):
            if should_pause():
                return None
            self.gan.iterate(self.iteration)
            self.iteration += 1
        sums = {name: float(total) for name, total in self.gan.sums.items()}
        self.gan.sums.clear()
        iterations, self.since = self.iteration - self.since, self.iteration
        return self.training_data.report(self, self.gan.scored, sums, iterations)

    def state(self) -> TrainingState:
        """Everything needed to go on from here, bit for bit on the same kind of device."""
        return state.collect(self, self.gan, self.body)

    def restore(self, saved: TrainingState) -> None:
        """Go on from a state.

        Raises:
            InputError: the state belongs to a different configuration.
        """
        state.apply(self, self.gan, saved)


def _halves(train: Views) -> tuple[Views, Views]:
    """2D poses from every other subject, 3D poses from the rest (row 26)."""
    odd = train.subject % 2 == 1
    if not odd.any():
        raise InputError("data.unpaired_split", "the training split has only one subject")
    return train.select(~odd), train.select(odd)
