"""One attempt of a trial, on whatever process it runs: from job to reports. Knows no Ray."""

from __future__ import annotations

import json
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
        cpu: cores of this attempt.
        gpu: GPUs, or a fraction of one.
    """

    number: int
    attempt: int
    trainer: str
    config: dict[str, Any]
    checkpoints: str
    resume_from: tuple[CheckpointRef, ...] = ()
    cpu: float = 1.0
    gpu: float = 0.0


class TrialReport(Section):
    """What an attempt tells the driver at a report.

    Attributes:
        number: of the trial.
        attempt: of the trial.
        iteration: updates done; 0 if the training diverged before any report.
        metrics: of this report; empty if the training diverged.
        checkpoint: of the state at this report.
        ended: 'completed' or 'diverged' with the last report.
        cause: why a training diverged.
        time_ms: when it was made, since 1970.
        memory_mb: largest resident memory of the process so far.
    """

    number: int
    attempt: int
    iteration: int
    metrics: dict[str, float]
    checkpoint: CheckpointRef | None = None
    ended: Literal["", "completed", "diverged"] = ""
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


class TrialRun:
    """A running attempt.

    Args:
        job: what to run. A damaged checkpoint is passed over for the one before it.
    """

    def __init__(self, job: TrialJob) -> None:
        self.job = job
        self.checkpoints = Storage.at(job.checkpoints)
        trainer = trainer_named(job.trainer)
        config = trainer.config_model().model_validate_json(json.dumps(job.config))
        self.training: Training = trainer.training_class()(
            config, device="cuda" if job.gpu else "cpu", threads=max(1, int(job.cpu))
        )
        for ref in job.resume_from:
            try:
                self.training.restore(load_checkpoint(self.checkpoints, ref))
            except DamagedError as error:
                print(f"trial {job.number}: {error}; using the one before", file=sys.stderr)  # noqa: T201 - the process's log
                continue
            break

    def advance(self) -> TrialReport:
        """Train to the next report and save a checkpoint."""
        training = self.training
        try:
            metrics = training.advance()
        except Diverged as error:
            return self._report({}, error.iteration, ended="diverged", cause=error.reason)
        ref = save_checkpoint(self.checkpoints, training.state(), training.iteration)
        # Two are kept: should the newest be damaged, the one before it serves.
        prune_checkpoints(self.checkpoints, keep=2)
        ended: Literal["", "completed"] = "completed" if training.finished else ""
        return self._report(metrics, training.iteration, checkpoint=ref, ended=ended)

    def _report(self, metrics: dict[str, float], iteration: int, **rest: Any) -> TrialReport:
        return TrialReport(
            number=self.job.number,
            attempt=self.job.attempt,
            iteration=iteration,
            metrics=metrics,
            time_ms=int(time.time() * 1000),
            memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            **rest,
        )
