"""One attempt of a trial in a worker process: its checkpoints and its reports.

Independent of Ray.
"""

from __future__ import annotations

import json
import math
import resource
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from synrep.errors import DamagedError, Diverged
from synrep.storage import Storage
from synrep.training.checkpoint import (
    load_checkpoint,
    newest_checkpoints,
    save_checkpoint,
)
from synrep.training.protocol import Goal, never_pause
from synrep_search.durability.retry import StorageUnavailable, with_retries
from synrep_search.messages import KEPT, REPORT_HISTORY, TrialReport
from synrep_search.trainers import trainer_named
from synrep_search.workers.saving import saving

if TYPE_CHECKING:
    from collections.abc import Callable

    from synrep.schema import Section
    from synrep.training.checkpoint import CheckpointRef, TrainingState
    from synrep.training.protocol import PauseCheck, ResumableTraining
    from synrep_search.messages import End, TrialJob

T = TypeVar("T")

LONGEST_HISTORY = 50
"""Reports that a checkpoint carries; the ledger has the older ones."""


class Reporter:
    """Saves checkpoints of one attempt and builds its reports.

    Args:
        job: of the attempt.
    """

    def __init__(self, job: TrialJob) -> None:
        self.job = job
        self._storage: Storage | None = None
        self._kept = list(job.resume_from)
        self._history: list[dict[str, Any]] = []
        self._note = ""

    def config(self) -> Section:
        """Return the configuration of the training."""
        model = trainer_named(self.job.trainer).config_model()
        return model.model_validate_json(json.dumps(self.job.config))

    def goal(self) -> Goal:
        """Return what selects the best generator of the training: the goal of the search."""
        metric = self.job.goal.rpartition("/")[2]
        return Goal(metric=metric, maximize=self.job.maximize)

    def saved(self) -> TrainingState | None:
        """Return the state to resume from, or None to start anew.

        A damaged checkpoint is skipped in favour of the one before it.

        Raises:
            StorageUnavailable: the storage can't be read.
        """
        job, damaged = self.job, []
        for ref in [job.paused, *job.resume_from] if job.paused else job.resume_from:
            try:
                state = self._with_retries(load_checkpoint, ref)
            except DamagedError as error:
                damaged.append(str(error))
                continue
            if ref == job.paused:
                self._drop_older_pauses(ref)
            self._history = state.meta.pop(REPORT_HISTORY, [])
            self._note_damage(damaged, f"resumed from iteration {ref.iteration}")
            return state
        self._note_damage(damaged, "started anew")
        return None

    def reached(
        self, state: TrainingState, metrics: dict[str, float], *, finished: bool
    ) -> TrialReport:
        """Save a checkpoint and return the report of it.

        Raises:
            Diverged: a metric is not finite.
            StorageUnavailable: the storage can't be written.
        """
        iteration = state.meta["iteration"]
        _check_finite(metrics, iteration)
        row = {"iteration": iteration, "metrics": metrics}
        self._history = [*self._history[1 - LONGEST_HISTORY :], row]
        ref = self._save(state)
        # Delete only files that this attempt knows: an abandoned attempt may still write here.
        paused = [self.job.paused] if self.job.paused else []
        self._kept, gone = [ref, *self._kept][:KEPT], [*self._kept[KEPT - 1 :], *paused]
        for old in gone:
            if old.file != ref.file:
                self._with_retries(Storage.delete, old.file)
        ended: End = "completed" if finished else ""
        return self._report(iteration, metrics=metrics, checkpoint=ref, ended=ended)

    def paused(self, state: TrainingState) -> TrialReport:
        """Save the progress since the last report, and return the report of the pause.

        Raises:
            StorageUnavailable: the storage can't be written.
        """
        iteration = state.meta["iteration"]
        done = max((ref.iteration for ref in self._kept), default=0)
        ref = self._save(state) if iteration > done else None
        return self._report(iteration, checkpoint=ref, ended="paused", cause="paused")

    def failed(self, error: Exception, iteration: int = 0) -> TrialReport:
        """Return the report of an attempt that ended with an exception.

        Args:
            error: the exception.
            iteration: of the last report.
        """
        if isinstance(error, Diverged):
            return self._report(error.iteration, ended="diverged", cause=error.reason)
        if isinstance(error, StorageUnavailable):
            ended: End = "full" if error.full else "deferred"
            return self._report(iteration, ended=ended, cause=str(error))
        return self._report(iteration, ended="died", cause=f"{type(error).__name__}: {error}"[:300])

    def _save(self, state: TrainingState) -> CheckpointRef:
        state.meta[REPORT_HISTORY] = self._history
        return self._with_retries(save_checkpoint, state, state.meta["iteration"])

    def _drop_older_pauses(self, paused: CheckpointRef) -> None:
        """Delete checkpoints of pauses older than the verified one that the ledger knows.

        Only abandoned attempts can have written checkpoints between the newest report and that
        pause, and no ledger refers to them.
        """
        reported = max((ref.iteration for ref in self._kept), default=0)
        for name in self._with_retries(newest_checkpoints):
            iteration = name.partition("-")[0]
            if iteration.isdecimal() and reported < int(iteration) < paused.iteration:
                self._with_retries(Storage.delete, name)

    def _with_retries(self, act: Callable[..., T], *rest: Any) -> T:
        """Call `act` on the storage. The storage is opened here, since that can fail, too."""
        if self._storage is None:
            self._storage = with_retries(partial(Storage.at, self.job.checkpoints))
        return with_retries(partial(act, self._storage, *rest))

    def _note_damage(self, damaged: list[str], what: str) -> None:
        if damaged:
            self._note = f"trial {self.job.number} {what}: {'; '.join(damaged)}"

    def _report(self, iteration: int, **rest: Any) -> TrialReport:
        note, self._note = self._note, ""
        return TrialReport(
            number=self.job.number,
            attempt=self.job.attempt,
            iteration=iteration,
            note=note,
            time_ms=int(time.time() * 1000),
            memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            **{"metrics": {}, **rest},
        )


class Attempt:
    """One attempt of a trial, trained alone. The training is built by the first `advance`.

    Args:
        job: the attempt to run.
        device: where to train.
        threads: CPU threads to train with.
        should_pause: called before each iteration.
    """

    def __init__(
        self, job: TrialJob, device: str, threads: int, should_pause: PauseCheck = never_pause
    ) -> None:
        self._reporter = Reporter(job)
        self._device = device
        self._threads = threads
        self._should_pause = should_pause
        self._training: ResumableTraining | None = None

    def advance(self) -> TrialReport:
        """Train to the next report and save a checkpoint. Exceptions become reports."""
        reporter, before = self._reporter, 0
        try:
            self._training = training = self._training or self._begin()
            before = training.iteration
            metrics = training.advance(self._should_pause)
            with saving():
                if metrics is None:
                    return reporter.paused(training.state())
                return reporter.reached(training.state(), metrics, finished=training.finished)
        except Exception as error:  # noqa: BLE001 - one trial's failure must not stop the others
            return reporter.failed(error, before)

    def _begin(self) -> ResumableTraining:
        build = trainer_named(self._reporter.job.trainer).training_class()
        reporter, placement = self._reporter, {"device": self._device, "threads": self._threads}
        training: ResumableTraining = build(reporter.config(), goal=reporter.goal(), **placement)
        saved = self._reporter.saved()
        if saved is not None:
            training.restore(saved)
        return training


def _check_finite(metrics: dict[str, float], iteration: int) -> None:
    """Raise Diverged if a metric is NaN or infinite, since no comparison would stop the trial."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise Diverged(f"{name} is {value}", iteration)
