"""One search, run by one driver: what is tried next, what a report leads to, how it ends.

Launch and resume are one act: `run_search` takes a ledger that was just created or one of a
driver that died long ago. A runner (`tune.runner` on Ray, `local` without) asks a `Search` for
jobs and tells it what became of them; where trials run is the runner's alone.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from synrep_search.durability.recovery import recover
from synrep_search.durability.retry import StorageBackoff
from synrep_search.messages import TrialJob
from synrep_search.paths import trial_folder
from synrep_search.search.early_stopping import RULES
from synrep_search.search.sampling import Proposer
from synrep_search.search_file import trial_config
from synrep_search.tracking.lifecycle import LifecycleEvents

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet
    from contextlib import AbstractContextManager

    from synrep.training.checkpoint import CheckpointRef
    from synrep_search.durability.ledger import Ledger
    from synrep_search.durability.records import StateName, Trial
    from synrep_search.messages import TrialReport
    from synrep_search.paths import SearchPaths
    from synrep_search.search.early_stopping import EarlyStopping

SUSPECT_AFTER = 2
"""A trial whose process died this often while it shared it runs by itself from then on."""


class Display(Protocol):
    """Where a running search is shown."""

    def say(self, line: str) -> None:
        """Show a line that stays."""

    def ended(self, trial: Trial) -> None:
        """A trial has ended for good."""

    def showing(self, search: Search) -> AbstractContextManager[None]:
        """Keep what is shown up to date while a search runs."""


class Runner(Protocol):
    """Runs jobs somewhere until the search is finished."""

    def __call__(self, search: Search) -> None:
        """Ask `search` for jobs; tell it of reports and losses; return when it is finished."""


class Verdict(NamedTuple):
    """What a report leads to: the trial goes on (`state` is None), waits, or has ended."""

    state: StateName | None
    cause: str = ""


class Search:
    """The state of a running search that is not in the ledger: who runs, and whether to stop.

    Runners call `next_job`, `on_reports`, `on_lost` and `finished`, all from one thread.

    Args:
        ledger: opened, its lease held, reconciled.
        paths: of the search.
        display: where it is shown.
    """

    def __init__(self, ledger: Ledger, paths: SearchPaths, display: Display) -> None:
        self.ledger = ledger
        self.spec = ledger.spec
        self.display = display
        self.checkpoints = paths.storage(self.spec)
        self.copied = ledger.is_file and not paths.is_here(self.checkpoints)
        """Whether the ledger is a file that is to be copied to a storage elsewhere."""
        self.running: dict[int, TrialReport | None] = {}
        """Trials that run now, with their newest report."""
        self.stopping = ""
        """Why the search is to end before its target; empty while it is not."""
        self.trial_memory_mb = 0.0
        """Largest resident memory of a trial's process so far."""
        self.iterations = 0
        """Iterations trained by this driver."""
        self.started = time.monotonic()
        self._events = LifecycleEvents(ledger)
        self._backoff = StorageBackoff()
        self._begun = {trial.number: trial.iteration for trial in ledger.index.trials()}
        self._sign = 1 if self.spec.search.direction == "minimize" else -1
        self._stopping_rule = self._early_stopping()
        self._proposer: Proposer | None = None

    @property
    def length(self) -> int:
        """Iterations of a whole training."""
        return int(self.spec.train["iterations"])

    @property
    def finished(self) -> bool:
        """Whether nothing runs and nothing is to be begun."""
        return not self.running and (bool(self.stopping) or self.ledger.target_met)

    @property
    def open_trials(self) -> int:
        """Trials that run, wait, or are still to be made."""
        counts = self.ledger.index.counts()
        new = max(0, self.ledger.target - len(self.ledger.index))
        return counts["running"] + counts["waiting"] + new

    def next_job(self, *, alone: bool = True) -> TrialJob | None:
        """The next attempt to run; None if there is none at the moment.

        Args:
            alone: whether it would have a process to itself.
        """
        deferred = self._backoff.deferred()
        if self.stopping or (not alone and self._next_is_suspect(deferred)):
            return None
        trial = self.ledger.begin_waiting(deferred) or self._new_trial(deferred)
        if trial is None:
            return None
        if self.copied and trial.attempt == 1:  # a driver before may have lost its beginning
            with suppress(OSError):
                trial = recover(self.ledger, trial.number, self.checkpoints)
        self.running[trial.number] = None
        self._events.trial_started(trial)
        return TrialJob(
            number=trial.number,
            attempt=trial.attempt,
            trainer=self.spec.trainer,
            config=trial_config(self.spec, trial.record.values, trial.record.seed),
            checkpoints=self.checkpoints.child(trial_folder(trial.number, trial.record.key)).uri,
            resume_from=self.ledger.checkpoints(trial.number) if trial.best_by_iteration else (),
            paused=_paused(trial),
            alone=_is_suspect(trial),
            goal=self.spec.search.metric,
            maximize=self.spec.search.direction == "maximize",
        )

    def _new_trial(self, deferred: AbstractSet[int]) -> Trial | None:
        """A trial at a new point, unless there are enough, or one waits for its storage."""
        number = len(self.ledger.index)
        if deferred or number >= self.ledger.target:
            return None
        if self._proposer is None:
            self._proposer = Proposer(self.spec, self.ledger.index.trials())
        return self.ledger.begin_new(self._proposer.propose(number))

    def on_reports(self, reports: Sequence[TrialReport]) -> set[int]:
        """Record reports, and decide which of their trials go on.

        Reports, verdicts and what MLflow is told of them are one write: whatever dies, a trial
        is never judged twice, nor an end forgotten.

        Returns:
            Numbers of the trials that go on.
        """
        current = [report for report in reports if self._is_current(report)]
        verdicts = {}
        with self.ledger.outbox.together():
            for report in current:
                verdicts[report.number] = self._judge(report)
        for report in current:
            self._conclude(report, verdicts[report.number])
        return {number for number, verdict in verdicts.items() if verdict.state is None}

    def _conclude(self, report: TrialReport, verdict: Verdict) -> None:
        """What follows from a report once it is recorded."""
        number, (state, cause) = report.number, verdict
        if report.note:
            self.display.say(report.note)
        if report.metrics:
            self._backoff.release(number)
        if report.ended == "died":
            self.on_lost(number, cause)
        elif report.ended == "deferred":
            # New trials would fare no better: none is begun while one is deferred.
            pause = self._backoff.defer(number)
            self.display.say(f"trial {number} waits {pause:.0f} s for its storage ({cause})")
            self._end(number, "waiting", cause)
        elif report.ended == "paused":
            self._end(number, "waiting", cause, paused=report.checkpoint)
        elif state is not None:
            self._end(number, state, cause)
        if report.ended == "full":
            self.stop(cause)

    def on_lost(
        self, number: int, cause: str, *, alone: bool = True, preempted: bool = False
    ) -> None:
        """An attempt has died: it is tried again from its last checkpoint, unless too often.

        Args:
            number: of the trial.
            cause: of its death.
            alone: no other trial shared its process, so it was the trial's own fault.
            preempted: its machine was taken away, which was nobody's fault.
        """
        if number not in self.running:
            return
        if self.stopping or preempted:
            self._end(number, "waiting", self.stopping or cause)
            return
        record = self.ledger.trial(number).record
        failures = record.failures + alone
        if failures > self.spec.failures.retries:
            self._end(number, "failed", f"died {failures} times, at last: {cause}", failures=1)
            return
        self.display.say(f"trial {number} died ({cause}); trying again from its last checkpoint")
        self._end(number, "waiting", cause, failures=int(alone), shared_failures=int(not alone))

    def stop(self, why: str) -> None:
        """End as soon as the running trials have paused; all of them can be resumed."""
        if not self.stopping:
            self.stopping = why
            self.display.say(f"stopping ({why}): the running trials are being saved")

    def abandon(self) -> None:
        """Give up the running attempts at once; their trials go back to waiting."""
        for number in list(self.running):
            self._end(number, "waiting", self.stopping or "interrupted")

    def _next_is_suspect(self, deferred: AbstractSet[int]) -> bool:
        waiting = self.ledger.index.first_waiting(deferred)
        return waiting is not None and _is_suspect(waiting)

    def _is_current(self, report: TrialReport) -> bool:
        """Whether a report is of an attempt that runs, and not of one that was given up."""
        number = report.number
        return number in self.running and report.attempt == self.ledger.trial(number).attempt

    def _judge(self, report: TrialReport) -> Verdict:
        """Put a report into the outbox together with what it leads to."""
        number, before = report.number, self._begun.get(report.number, 0)
        self.iterations += max(0, report.iteration - before)
        self._begun[number] = max(before, report.iteration)
        self.running[number] = report
        self.trial_memory_mb = max(self.trial_memory_mb, report.memory_mb)
        if not report.metrics:
            if report.ended == "diverged":
                return Verdict("diverged", report.cause)
            return Verdict("waiting", self.stopping or report.cause)
        verdict = self._verdict(report)
        ended = None if verdict.state == "waiting" else verdict.state
        self.ledger.report(report, ended, verdict.cause)
        if ended is not None:  # in one write with the report, which `reconcile` goes by
            self._events.trial_state(self.ledger.trial(number), ended, verdict.cause)
        return verdict

    def _verdict(self, report: TrialReport) -> Verdict:
        goes_on = True
        if self._stopping_rule is not None:  # also asked about the last report: its value counts
            loss = self._sign * self.ledger.value_after(report)
            goes_on = self._stopping_rule.goes_on(report.number, report.iteration, loss)
        if report.ended == "completed":
            return Verdict("completed")
        if not goes_on and self._stopping_rule is not None:
            return Verdict("stopped_early", self._stopping_rule.reason(report.iteration))
        return Verdict("waiting", self.stopping) if self.stopping else Verdict(None)

    def _end(self, number: int, state: StateName, cause: str, **rest: Any) -> None:
        """End an attempt; `rest` as `Ledger.end` takes it."""
        # The event comes first: should the driver die here, the next one puts the trial back and
        # its new attempt overrides the event; an event that is missing would never be noticed.
        self._events.trial_state(self.ledger.trial(number), state, cause)
        ended = self.ledger.end(number, state, cause, **rest)
        del self.running[number]
        if not ended.ended:
            return
        if self._proposer is not None:  # else it will begin with this trial
            self._proposer.learn(ended)
        self.display.ended(ended)
        self._events.best()

    def _early_stopping(self) -> EarlyStopping | None:
        """The rule of the file, with what the trials have reported."""
        wanted = self.spec.search.early_stopping
        if wanted is None:
            return None
        rule = RULES[type(wanted)](wanted, self.length)
        for trial in self.ledger.index.trials():
            losses = {step: self._sign * value for step, value in trial.best_by_iteration.items()}
            rule.restore(trial.number, losses)
        return rule


def _paused(trial: Trial) -> CheckpointRef | None:
    """The checkpoint of a pause, if no report came after it."""
    paused = trial.record.paused
    return paused if paused is not None and paused.iteration > trial.iteration else None


def _is_suspect(trial: Trial) -> bool:
    return trial.record.shared_failures >= SUSPECT_AFTER
