"""State and decisions of a running search, which one driver holds.

Launch and resume are the same operation: `run_search` takes a ledger that was just created or one
that an earlier driver left. A runner (`tune.runner` on Ray, `local` without it) requests jobs from
a `Search`, executes them, and reports their results and losses to it.
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
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet
    from contextlib import AbstractContextManager

    from synrep.training.checkpoint import CheckpointRef
    from synrep_search.durability.ledger import Ledger
    from synrep_search.durability.records import StateName, Trial
    from synrep_search.messages import TrialReport
    from synrep_search.paths import SearchPaths
    from synrep_search.search.early_stopping import EarlyStopping

SUSPECT_AFTER = 2
"""Number of deaths in a shared process after which a trial gets a process of its own."""


class Display(Protocol):
    """Display of a running search."""

    def say(self, line: str) -> None:
        """Print a permanent line."""

    def ended(self, trial: Trial) -> None:
        """Show a trial that has reached its final state."""

    def showing(self, search: Search) -> AbstractContextManager[None]:
        """Return a context that updates the display while the search runs."""


class Runner(Protocol):
    """Runs the jobs of a search until it is finished."""

    def __call__(self, search: Search) -> None:
        """Run the jobs of `search`, pass it reports and losses, and return when it is finished."""


class Verdict(NamedTuple):
    """Decision on a report: the trial continues (`state` is None), waits, or has ended."""

    state: StateName | None
    cause: str = ""


class Search:
    """In-memory state of a running search: the running trials and whether to stop.

    Everything else is in the ledger. Runners call `next_job`, `on_reports`, `on_lost` and
    `finished`, all from one thread.

    Args:
        ledger: open ledger, reconciled, whose lease this driver holds.
        paths: paths of the search.
        display: display of the search.
    """

    def __init__(self, ledger: Ledger, paths: SearchPaths, display: Display) -> None:
        self.ledger = ledger
        self.spec = ledger.spec
        self.display = display
        self.checkpoints = paths.storage(self.spec)
        self.copied = ledger.is_file and not paths.is_here(self.checkpoints)
        """Whether the ledger is a file that is copied to remote storage."""
        self.running: dict[int, TrialReport | None] = {}
        """Running trials with their latest report."""
        self.stopping = ""
        """Reason for stopping before the target number of trials; empty if the search goes on."""
        self.trial_memory_mb = 0.0
        """Peak resident memory of a trial's process so far, in MB."""
        self.iterations = 0
        """Iterations trained by this driver."""
        self.started = time.monotonic()
        self.is_saving: Callable[[], bool] = lambda: False
        """Whether a trial is being saved at present; set by the runner, called by any thread."""
        self._events = LifecycleEvents(ledger)
        self._backoff = StorageBackoff()
        self._begun = {trial.number: trial.iteration for trial in ledger.index.trials()}
        self._sign = 1 if self.spec.search.direction == "minimize" else -1
        self._stopping_rule = self._early_stopping()
        self._proposer: Proposer | None = None

    @property
    def length(self) -> int:
        """Number of iterations of a full training."""
        return int(self.spec.train["iterations"])

    @property
    def finished(self) -> bool:
        """Whether the search has ended: no trial is running and none will be started."""
        return not self.running and (bool(self.stopping) or self.ledger.target_met)

    @property
    def open_trials(self) -> int:
        """Number of trials that are running, waiting or not yet created."""
        counts = self.ledger.index.counts()
        new = max(0, self.ledger.target - len(self.ledger.index))
        return counts["running"] + counts["waiting"] + new

    def next_job(self, *, alone: bool = True) -> TrialJob | None:
        """Start the next attempt and return its job; None if there is none at the moment.

        Args:
            alone: whether the attempt would have a process of its own.
        """
        deferred = self._backoff.deferred()
        if self.stopping or (not alone and self._next_is_suspect(deferred)):
            return None
        trial = self.ledger.begin_waiting(deferred) or self._new_trial(deferred)
        if trial is None:
            return None
        if self.copied and trial.attempt == 1:  # an earlier driver may have lost its start
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
        """Start a trial at a new point, unless the target is reached or a trial is deferred."""
        number = len(self.ledger.index)
        if deferred or number >= self.ledger.target:
            return None
        if self._proposer is None:
            self._proposer = Proposer(self.spec, self.ledger.index.trials())
        return self.ledger.begin_new(self._proposer.propose(number))

    def on_reports(self, reports: Sequence[TrialReport]) -> set[int]:
        """Record reports and decide which of their trials continue.

        Reports, verdicts and their MLflow events are written in one transaction, so that after a
        crash no trial is judged twice and no final state is missing.

        Returns:
            Numbers of the trials that continue.
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
        """Act on a report after it has been recorded."""
        number, (state, cause) = report.number, verdict
        if report.note:
            self.display.say(report.note)
        if report.metrics:
            self._backoff.release(number)
        if report.ended == "died":
            self.on_lost(number, cause)
        elif report.ended == "deferred":
            # New trials would fail too: none is started while a trial is deferred.
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
        """Retry a lost attempt from its last checkpoint, or fail the trial after too many losses.

        Args:
            number: number of the trial.
            cause: cause of death.
            alone: whether the trial had a process of its own, so that the death counts as its
                failure.
            preempted: whether the machine was preempted, which does not count as a failure.
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
        """End the search as soon as the running trials have paused; it can be resumed."""
        if not self.stopping:
            self.stopping = why
            self.display.say(f"stopping ({why}): the running trials are being saved")

    def abandon(self) -> None:
        """Abandon the running attempts at once; their trials return to waiting."""
        for number, report in list(self.running.items()):
            iteration = self._begun.get(number, 0) if report is None else report.iteration
            start = f"its checkpoint of iteration {iteration}" if iteration else "its beginning"
            self.display.say(f"trial {number} was not saved: it will go on from {start}")
            self._end(number, "waiting", self.stopping or "interrupted")

    def _next_is_suspect(self, deferred: AbstractSet[int]) -> bool:
        waiting = self.ledger.index.first_waiting(deferred)
        return waiting is not None and _is_suspect(waiting)

    def _is_current(self, report: TrialReport) -> bool:
        """Return whether a report is from a running attempt, not from an abandoned one."""
        number = report.number
        return number in self.running and report.attempt == self.ledger.trial(number).attempt

    def _judge(self, report: TrialReport) -> Verdict:
        """Write a report to the ledger and outbox together with its verdict, which is returned."""
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
        if ended is not None:  # in one transaction with the report, on which `reconcile` relies
            self._events.trial_state(self.ledger.trial(number), ended, verdict.cause)
        return verdict

    def _verdict(self, report: TrialReport) -> Verdict:
        goes_on = True
        if (
            self._stopping_rule is not None
        ):  # judge the last report too: its value counts for other trials
            loss = self._sign * self.ledger.value_after(report)
            goes_on = self._stopping_rule.goes_on(report.number, report.iteration, loss)
        if report.ended == "completed":
            return Verdict("completed")
        if not goes_on and self._stopping_rule is not None:
            return Verdict("stopped_early", self._stopping_rule.reason(report.iteration))
        return Verdict("waiting", self.stopping) if self.stopping else Verdict(None)

    def _end(self, number: int, state: StateName, cause: str, **rest: Any) -> None:
        """End an attempt; `rest` are further arguments of `Ledger.end`."""
        # Write the event first: if the driver dies here, the next one requeues the trial and its
        # new attempt overrides the event, whereas a missing event would never be detected.
        self._events.trial_state(self.ledger.trial(number), state, cause)
        ended = self.ledger.end(number, state, cause, **rest)
        del self.running[number]
        if not ended.ended:
            return
        if self._proposer is not None:  # otherwise it is created from the ledger later
            self._proposer.learn(ended)
        self.display.ended(ended)
        self._events.best()

    def _early_stopping(self) -> EarlyStopping | None:
        """Return the early stopping rule with the recorded values of all trials, or None."""
        options = self.spec.search.early_stopping
        if options is None:
            return None
        rule = RULES[type(options)](options, self.length)
        for trial in self.ledger.index.trials():
            losses = {step: self._sign * value for step, value in trial.best_by_iteration.items()}
            rule.restore(trial.number, losses)
        return rule


def _paused(trial: Trial) -> CheckpointRef | None:
    """Return the checkpoint of the last pause, or None if a report is newer."""
    paused = trial.record.paused
    return paused if paused is not None and paused.iteration > trial.iteration else None


def _is_suspect(trial: Trial) -> bool:
    return trial.record.shared_failures >= SUSPECT_AFTER
