"""Tune's two interfaces to a search: what to try next, and what a result leads to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from synrep_search.trial import TrialReport
from synrep_search.tune.trainable import JOB, REPORT

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController
    from ray.tune.experiment import Trial as TuneTrial

    from synrep_search.search import Search


class LedgerSearcher(Searcher):
    """Hands out the search's jobs. A Tune trial is one attempt of a trial of the ledger.

    Args:
        search: the one that is run.
    """

    def __init__(self, search: Search) -> None:
        super().__init__()
        self._search = search
        self.numbers: dict[str, int] = {}
        """Trial of the ledger by Tune's id of the attempt."""

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """A job; None if there is none yet, FINISHED if there will be none."""
        job = self._search.next_job()
        if job is not None:
            self.numbers[trial_id] = job.number
            return {JOB: job.model_dump_json()}
        # Tune compares with this word, whatever its annotation says.
        return cast("None", Searcher.FINISHED) if self._search.finished else None

    def on_trial_complete(
        self,
        trial_id: str,
        result: dict[str, Any] | None = None,
        error: bool = False,  # noqa: FBT001, FBT002 - Tune's interface
    ) -> None:
        """Nothing to learn here: the scheduler has told the search."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles what it is given, for a restore that is not used: it gets nothing."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the ledger is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


class LedgerScheduler(FIFOScheduler):
    """Passes results and deaths to the search, and its decisions to Tune.

    Args:
        search: the one that is run.
        searcher: knows which trial an attempt belongs to.
    """

    def __init__(self, search: Search, searcher: LedgerSearcher) -> None:
        super().__init__()
        self._search = search
        self._searcher = searcher

    def __getstate__(self) -> dict[str, Any]:
        """See `LedgerSearcher.__getstate__`."""
        return {}

    def on_trial_result(
        self, tune_controller: TuneController, trial: TuneTrial, result: dict[str, Any]
    ) -> str:
        """A report that is not the attempt's last."""
        del tune_controller, trial
        decision = self._search.on_report(TrialReport.model_validate_json(result[REPORT]))
        return TrialScheduler.STOP if decision == "stop" else TrialScheduler.CONTINUE

    def on_trial_complete(
        self, tune_controller: TuneController, trial: TuneTrial, result: dict[str, Any]
    ) -> None:
        """The last report of an attempt that came to its end."""
        self.on_trial_result(tune_controller, trial, result)

    def on_trial_error(self, tune_controller: TuneController, trial: TuneTrial) -> None:
        """The attempt's process died, its node was lost, or it raised an exception."""
        del tune_controller
        self._search.on_lost(self._searcher.numbers[trial.trial_id], _cause(trial))


def _cause(trial: TuneTrial) -> str:
    """Why an attempt died, in a line: the exception that it raised, or that its process died."""
    try:
        text = Path(trial.error_file or "").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    if "RayActorError" in text or "actor died" in text:
        return "its process died"
    return [line.strip() for line in text.splitlines() if line.strip()][-1][:300]
