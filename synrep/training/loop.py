"""The training loop (sections 3.4 and 3.6).

`Training` holds the state of the loop; `run` advances it to the end and calls back at each report.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from synrep.datasets import open_poses
from synrep.datasets.origin import Origin
from synrep.datasets.views import load_views
from synrep.errors import InputError
from synrep.evaluation.tables import BodyScale, errors, predict
from synrep.training import divergence as guard
from synrep.training import state
from synrep.training.protocol import MPJPE, Best, never_pause
from synrep.training.step import Gan

if TYPE_CHECKING:
    from synrep.config import TrainConfig
    from synrep.datasets.views import Views
    from synrep.model.networks import Generator
    from synrep.training.checkpoint import TrainingState
    from synrep.training.protocol import Goal, PauseCheck, Progress

OnReport = Callable[[dict[str, float], "Callable[[], TrainingState]"], None]


def run(training: Training, on_report: OnReport) -> None:
    """Train to the end.

    Args:
        training: a new training, or one restored from a checkpoint.
        on_report: called with the metrics of each report and a function that returns the state.

    Raises:
        Diverged: the training cannot recover.
    """
    while not training.finished:
        metrics = training.advance()
        assert metrics is not None, "no pause was requested"
        on_report(metrics, training.state)


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Views for training and validation, which several trainings can share.

    Attributes:
        inputs: views whose 2D poses the generator lifts.
        reals: views that provide the critic's real samples.
        validation: views on which the generator is scored, of validation subjects or, if the store
            has none, of training subjects.
        body: sizes of the training poses.
        spread: standard deviation of the depths of the validation views, in radii.
        held_out: whether the validation views show subjects that are not trained on. If not, their
            errors select nothing: they are reported as `training/...`, and the last generator of
            the training is its result (row 33).
        origin: the pose store, and the subjects of each of its splits.
    """

    inputs: Views
    reals: Views
    validation: Views
    body: BodyScale
    spread: float
    held_out: bool
    origin: Origin

    @property
    def scored(self) -> str:
        """Prefix of error names: the subjects scored, 'validation' or 'training'."""
        return "validation" if self.held_out else "training"

    @classmethod
    def load(cls, config: TrainConfig, device: torch.device, dtype: torch.dtype) -> TrainingData:
        """Load the views that a configuration selects, memory-mapped where possible.

        Raises:
            InputError: the poses can't be used.
        """
        store = open_poses(config.data.poses)
        defaults = {"fitted", "geometric"}  # today's and that of earlier configurations
        if config.data.sh_map not in defaults and "keypoints_px" in store.header.columns:
            rule = "has no effect here: the 2D joints of this store were mapped when it was created"
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
            spread=_spread(validation, config.data.poses),
            held_out=held_out,
            origin=Origin.of(store),
        )

    def report(
        self, progress: Progress, generator: Generator, sums: dict[str, float], iterations: int
    ) -> dict[str, float]:
        """Compute the metrics of one report and update the best generator.

        Args:
            progress: progress of the training; its best generator changes only if the validation
                subjects are held out.
            generator: generator to score.
            sums: losses summed over the iterations since the last report.
            iterations: number of those iterations; 0 if the training was already past its end.

        Raises:
            Diverged: the training cannot recover.
        """
        config, iteration = progress.config, progress.iteration
        summed = sums if iterations else {}
        metrics = {f"train/{name}": total / iterations for name, total in summed.items()}
        guard.check_losses(metrics, iteration, config.guard)
        predicted = predict(generator, self.validation)
        spread = float(predicted[..., 2].std()) / self.spread
        guard.check_depths(spread, iteration, config.guard)
        values = errors(predicted, self.validation, config.evaluation, self.body)
        metrics |= {f"{self.scored}/{name}": float(value.mean()) for name, value in values.items()}
        metrics[f"{self.scored}/depth_spread"] = spread
        value, best = metrics[f"{self.scored}/{progress.goal.metric}"], progress.best
        first = best.weights is None and math.isfinite(value)
        if self.held_out and (first or progress.goal.better(value, best.value)):
            weights = {k: v.detach().clone() for k, v in generator.state_dict().items()}
            progress.best = Best(value=value, iteration=iteration, weights=weights)
        return metrics


def retain_freed_memory() -> None:
    """Make glibc retain the memory that a step frees, for reuse by the next step.

    By default glibc returns it to the system after each step, and reallocating it costs a page
    fault for every 4 KiB. glibc retains up to twice the size of the largest block freed so far
    (of at most 32 MiB), so this allocates and frees one such block. It has no effect with other C
    libraries.
    """
    torch.empty((32 << 20) - (64 << 10), dtype=torch.uint8)


def next_report(config: TrainConfig, iteration: int) -> int:
    """Return the iteration of the next report; reports are evenly spaced, the last at the end.

    A training whose total was reduced can be past its end. It then trains no further, and reports
    at its current iteration.
    """
    total, reports = config.iterations, min(config.reports, config.iterations)
    done = iteration * reports // total
    return min(total, -(-(done + 1) * total // reports))


class Training:
    """A single training.

    Args:
        config: configuration; fully determines the result on a given kind of device.
        device: device to train on.
        threads: number of CPU threads; all cores if omitted.
        dtype: type of weights and poses; float64 for comparisons.
        goal: what selects the best generator.

    Raises:
        InputError: the poses can't be used, or there are fewer views than a batch needs.
    """

    def __init__(
        self,
        config: TrainConfig,
        *,
        device: str = "cpu",
        threads: int | None = None,
        dtype: torch.dtype = torch.float32,
        goal: Goal = MPJPE,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        retain_freed_memory()
        self.config = config
        self.iteration = 0
        self.last_report = 0
        self.best = Best()
        self.goal = goal
        self.training_data = TrainingData.load(config, torch.device(device), dtype)
        self.origin: Origin | None = self.training_data.origin
        self.gan = self._networks()

    def _networks(self) -> Gan:
        """Build the networks and their optimisers; subclasses override this."""
        return Gan(self.config, self.training_data.inputs, self.training_data.reals)

    @property
    def body(self) -> BodyScale:
        """Sizes of the training poses."""
        return self.training_data.body

    @property
    def validation(self) -> Views:
        """The views on which the generator is scored."""
        return self.training_data.validation

    @property
    def finished(self) -> bool:
        """Whether all iterations are done."""
        return self.iteration >= self.config.iterations

    def advance(self, should_pause: PauseCheck = never_pause) -> dict[str, float] | None:
        """Train until the next report and score the generator on the validation views.

        Args:
            should_pause: called before each iteration; if it returns true, this method returns
                None. The state can then be saved and resumed like any other.

        Returns:
            Mean losses since the last report (`train/...`) and errors (`validation/...`, with the
            names of `synrep.evaluation.tables.errors`; `training/...` if no validation subjects
            are held out), or None after a pause.

        Raises:
            Diverged: the training cannot recover.
        """
        while self.iteration < next_report(self.config, self.last_report):
            if should_pause():
                return None
            self.gan.iterate(self.iteration)
            self.iteration += 1
        sums = {name: float(total) for name, total in self.gan.sums.items()}
        self.gan.sums.clear()
        iterations, self.last_report = self.iteration - self.last_report, self.iteration
        return self.training_data.report(self, self.gan.scored, sums, iterations)

    def state(self) -> TrainingState:
        """Return the state needed to resume; bit-exact on the same kind of device."""
        return state.collect(self, self.gan, self.body)

    def restore(self, saved: TrainingState) -> None:
        """Resume from a state.

        Raises:
            InputError: the state belongs to a different configuration or to other poses.
        """
        state.apply(self, self.gan, saved)


def _spread(validation: Views, poses: str) -> float:
    """Return the standard deviation of the depths of the validation views, in radii.

    Raises:
        InputError: it is 0: against flat poses, no predicted depth is right or wrong.
    """
    spread = float(validation.poses[..., 2].std())
    if not spread > 0:
        rule = "the poses to validate on are flat: all their joints are at one depth"
        raise InputError(poses, rule, "use poses in 3D")
    return spread


def _halves(train: Views) -> tuple[Views, Views]:
    """Split the views by subject: half for 2D inputs, half for real 3D poses (row 26)."""
    odd = train.subject % 2 == 1
    if not odd.any():
        raise InputError("data.unpaired_split", "the training split has only one subject")
    return train.select(~odd), train.select(odd)
