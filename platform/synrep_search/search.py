"""One search, run by one driver: what is tried next, what a report leads to, how it ends.

Launch and resume are one act: `run_search` takes a ledger that was just created or one of a
driver that died long ago. A runner (`tune.runner` on Ray, `local` without) asks a `Search` for
jobs and tells it what became of them; where trials run is the runner's alone.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, Protocol

from synrep_search.asha import SuccessiveHalving
from synrep_search.ledger.database import SEARCH_ITSELF
from synrep_search.paths import trial_folder
from synrep_search.spec import trial_config
from synrep_search.trial import TrialJob, TrialReport

if TYPE_CHECKING:
    from synrep_search.ledger.ledger import Ledger
    from synrep_search.ledger.records import State, Trial
    from synrep_search.paths import SearchPaths

Decision = Literal["continue", "stop"]


class View(Protocol):
    """Where a running search is shown."""

    def say(self, line: str) -> None:
        """Show a line that stays."""

    def ended(self, trial: Trial) -> None:
        """A trial has ended for good."""


class Runner(Protocol):
    """Runs jobs somewhere until the search is finished."""

    def __call__(self, search: Search) -> None:
        """Ask `search` for jobs; tell it of reports and losses; return when it is finished."""


class Search:
    """The state of a running search that is not in the ledger: who runs, and whether to stop.

    Runners call `next_job`, `on_report`, `on_lost` and `finished`, all from one thread.

    Args:
        ledger: opened, its lease held, reconciled.
        paths: of the search.
        view: where it is shown.
    """

    def __init__(self, ledger: Ledger, paths: SearchPaths, view: View) -> None:
        self.ledger = ledger
        self.spec = ledger.spec
        self.view = view
        self.checkpoints = paths.storage(self.spec)
        self.running: dict[int, TrialReport | None] = {}
        """Trials that run now, with their newest report."""
        self.stopping = ""
        """Why the search is to end before its target; empty while it is not."""
        self.trial_memory_mb = 0.0
        """Largest resident memory of a trial's process so far."""
        self.iterations = 0
        """Iterations trained by this driver."""
        self.started = time.monotonic()
        self._sign = 1 if self.spec.search.direction == "minimize" else -1
        self._halving = self._successive_halving()

    @property
    def length(self) -> int:
        """Iterations of a whole training."""
        return int(self.spec.train["iterations"])

    @property
    def finished(self) -> bool:
        """Whether nothing runs and nothing is to be begun."""
        return not self.running and (bool(self.stopping) or self.target_met)

    @property
    def target_met(self) -> bool:
        """Whether the wanted number of trials has ended."""
        counts = self.ledger.counts()
        open_trials = counts["waiting"] + counts["running"]
        return not open_trials and sum(counts.values()) >= self.ledger.target

    def next_job(self) -> TrialJob | None:
        """The next attempt to run; None if there is none at the moment."""
        if self.stopping:
            return None
        trial = self.ledger.begin()
        if trial is None:
            return None
        attempt = len(trial.record.attempts)
        self.running[trial.number] = None
        self._announce(trial, attempt)
        return TrialJob(
            number=trial.number,
            attempt=attempt,
            trainer=self.spec.trainer,
            config=trial_config(self.spec, trial.record.values, trial.record.seed),
            checkpoints=self.checkpoints.child(trial_folder(trial.number)).uri,
            resume_from=self.ledger.checkpoints(trial.number),
            cpu=self.spec.resources.cpu,
            gpu=self.spec.resources.gpu,
        )

    def on_report(self, report: TrialReport) -> Decision:
        """Record a report, and decide whether its trial goes on."""
        number = report.number
        trial = self.ledger.trial(number)
        if number not in self.running or report.attempt != len(trial.record.attempts):
            return "stop"  # of an attempt that was given up
        before = self.running[number]
        self.iterations += report.iteration - (before.iteration if before else 0)
        self.running[number] = report
        self.trial_memory_mb = max(self.trial_memory_mb, report.memory_mb)
        trial = self.ledger.report(report)
        if report.ended:
            self._end(number, report.ended, report.cause)
        elif not self._goes_on(trial, report.iteration):
            self._end(number, "stopped_early", f"not among the best at {report.iteration}")
        elif self.stopping:
            self._end(number, "waiting", self.stopping)
        else:
            return "continue"
        return "stop"

    def on_lost(self, number: int, cause: str) -> None:
        """An attempt has died: it is tried again from its last checkpoint, unless too often."""
        if number not in self.running:
            return
        if self.stopping:
            self._end(number, "waiting", self.stopping)
            return
        failures = self.ledger.trial(number).record.failures + 1
        if failures <= self.spec.failures.retries:
            self.view.say(f"trial {number} died ({cause}); trying again from its last checkpoint")
            self._end(number, "waiting", cause, failure=True)
        else:
            self._end(number, "failed", f"died {failures} times, at last: {cause}", failure=True)

    def stop(self, why: str) -> None:
        """End at the next report of each running trial; all of them can be resumed."""
        if not self.stopping:
            self.stopping = why
            self.view.say(f"stopping ({why}): waiting for the next report of each running trial")

    def abandon(self) -> None:
        """Give up the running attempts at once; their trials go back to waiting."""
        for number in list(self.running):
            self._end(number, "waiting", self.stopping or "interrupted")

    def _end(self, number: int, state: State, cause: str = "", *, failure: bool = False) -> None:
        trial = self.ledger.end(number, state, cause, failure=failure)
        del self.running[number]
        self._tell_state(number, state, cause)
        if state == "waiting":
            return
        self.view.ended(trial)
        if best := self.ledger.best():
            metrics = {
                f"best/{self.spec.search.metric}": best[0].value,
                "best/trial": best[0].number,
            }
            ended = sum(1 for known in self.ledger.trials() if known.state != "waiting")
            step = ended - len(self.running)
            self.ledger.outbox.put(SEARCH_ITSELF, "report", step, {"metrics": metrics})

    def _goes_on(self, trial: Trial, iteration: int) -> bool:
        if self._halving is None or trial.value is None:
            return True
        return self._halving.goes_on(trial.number, iteration, self._sign * trial.value)

    def _successive_halving(self) -> SuccessiveHalving | None:
        wanted = self.spec.search.early_stopping
        if wanted is None:
            return None
        halving = SuccessiveHalving(self.length, wanted.grace, wanted.reduction)
        for trial in self.ledger.trials():
            if trial.state != "diverged":
                losses = {step: self._sign * value for step, value in trial.rungs.items()}
                halving.restore(trial.number, losses)
        return halving

    def _announce(self, trial: Trial, attempt: int) -> None:
        """Tell MLflow of a new run, or that an old one goes on."""
        if attempt > 1:
            self._tell_state(trial.number, "running", "")
            return
        tags = {
            "synrep.state": "running",
            "synrep.seed": trial.record.seed,
            "synrep.key": trial.record.key,
            "synrep.code": self.ledger.provenance["code"],
            "synrep.data": self.ledger.provenance["data"],
        }
        self.ledger.outbox.put(trial.number, "start", 0, {"params": trial.params, "tags": tags})

    def _tell_state(self, number: int, state: str, cause: str) -> None:
        outbox = self.ledger.outbox
        payload = {"state": state, "cause": cause}
        outbox.put(number, "state", outbox.next_step(number, "state"), payload)
