"""Trials where they run: what a process is told, what it tells, and the attempt itself.

Knows no Ray, and not who listens.
"""

from __future__ import annotations

import json
import math
import resource
import sys
import time
from typing import Any, Literal, Protocol

from synrep.checkpoint import (
    CheckpointRef,
    State,
    load_checkpoint,
    prune_checkpoints,
    save_checkpoint,
)
from synrep.config import Section
from synrep.errors import DamagedError, Diverged
from synrep.storage import Storage
from synrep_search.trainers import trainer_named


class TrialJob(Section):
    """All that a process needs to run an attempt of a trial.

    Attributes:
        number: of the trial.
        attempt: 1 for the first.
        trainer: name in `synrep_search.trainers`.
        config: complete configuration of the training, with its seed.
        checkpoints: storage URI of this trial's checkpoints.
        resume_from: checkpoints to go on from, the newest first; empty to start anew.
        alone: whether no other trial may share its process.
    """

    number: int
    attempt: int
    trainer: str
    config: dict[str, Any]
    checkpoints: str
    resume_from: tuple[CheckpointRef, ...] = ()
    alone: bool = False


class TrialReport(Section):
    """What an attempt tells the driver at a report.

    Attributes:
        number: of the trial.
        attempt: of the trial.
        iteration: updates done; 0 if the training ended before any report.
        metrics: of this report; empty if the training diverged or died.
        checkpoint: of the state at this report.
        ended: why this is the last report; died is an exception of the training.
        cause: why a training diverged or died.
        time_ms: when it was made, since 1970.
        memory_mb: largest resident memory of the process so far.
    """

    number: int
    attempt: int
    iteration: int
    metrics: dict[str, float]
    checkpoint: CheckpointRef | None = None
    ended: Literal["", "completed", "diverged", "died"] = ""
    cause: str = ""
    time_ms: int
    memory_mb: float = 0.0


class Training(Protocol):
    """What a trainer's class offers; `synrep.training.Training` is the one that matters."""

    iteration: int

    @property
    def finished(self) -> bool:
        """Whether all iterations are done."""

    def advance(self) -> dict[str, float]:
        """Train to the next report; raises Diverged."""

    def state(self) -> State:
        """Everything needed to go on from here."""

    def restore(self, saved: State) -> None:
        """Go on from a state."""


class Reporter:
    """Saves the states of one attempt and words its reports.

    Args:
        job: of the attempt.
    """

    def __init__(self, job: TrialJob) -> None:
        self.job = job
        self._checkpoints = Storage.at(job.checkpoints)

    def config(self) -> Section:
        """The configuration of the training."""
        model = trainer_named(self.job.trainer).config_model()
        return model.model_validate_json(json.dumps(self.job.config))

    def saved(self) -> State | None:
        """The state to go on from; a damaged checkpoint is passed over for the one before it."""
        for ref in self.job.resume_from:
            try:
                return load_checkpoint(self._checkpoints, ref)
            except DamagedError as error:
                print(f"trial {self.job.number}: {error}; using the one before", file=sys.stderr)  # noqa: T201 - the process's log
        return None

    def reached(self, state: State, metrics: dict[str, float], *, finished: bool) -> TrialReport:
        """A report was reached: save the state.

        Raises:
            Diverged: a metric is not finite.
        """
        iteration = state.meta["iteration"]
        _check_finite(metrics, iteration)
        ref = save_checkpoint(self._checkpoints, state, iteration)
        # Two are kept: should the newest be damaged, the one before it serves.
        prune_checkpoints(self._checkpoints, keep=2)
        ended: Literal["", "completed"] = "completed" if finished else ""
        return self._report(iteration, metrics=metrics, checkpoint=ref, ended=ended)

    def diverged(self, error: Diverged) -> TrialReport:
        """The training can't recover."""
        return self._report(error.iteration, ended="diverged", cause=error.reason)

    def died(self, error: Exception, iteration: int = 0) -> TrialReport:
        """The training raised an exception, after so many iterations at its last report."""
        return self._report(iteration, ended="died", cause=f"{type(error).__name__}: {error}"[:300])

    def _report(self, iteration: int, **rest: Any) -> TrialReport:
        return TrialReport(
            number=self.job.number,
            attempt=self.job.attempt,
            iteration=iteration,
            time_ms=int(time.time() * 1000),
            memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            **{"metrics": {}, **rest},
        )


class Attempt:
    """One attempt of a trial, trained by itself. Nothing happens before the first `advance`.

    Args:
        job: what to run.
        device: where to train.
        threads: CPU threads to train with.
    """

    def __init__(self, job: TrialJob, device: str, threads: int) -> None:
        self._reporter = Reporter(job)
        self._device = device
        self._threads = threads
        self._training: Training | None = None

    def advance(self) -> TrialReport:
        """Train to the next report and save a checkpoint; an exception becomes a report."""
        reporter, before = self._reporter, 0
        try:
            self._training = training = self._training or self._begin()
            before = training.iteration
            metrics = training.advance()
            return reporter.reached(training.state(), metrics, finished=training.finished)
        except Diverged as error:
            return reporter.diverged(error)
        except Exception as error:  # noqa: BLE001 - whatever a training does, the others go on
            return reporter.died(error, before)

    def _begin(self) -> Training:
        build = trainer_named(self._reporter.job.trainer).training_class()
        config = self._reporter.config()
        training: Training = build(config, device=self._device, threads=self._threads)
        saved = self._reporter.saved()
        if saved is not None:
            training.restore(saved)
        return training


def _check_finite(metrics: dict[str, float], iteration: int) -> None:
    """Raise Diverged for a metric that no comparison could judge."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise Diverged(f"{name} is {value}", iteration)
