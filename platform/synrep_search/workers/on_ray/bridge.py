"""Tune's two interfaces to a search: which slot to start, and what a slot's report leads to."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import ray
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from synrep_search.messages import TrialReport
from synrep_search.workers.on_ray.mailbox import ENDING, HUNG
from synrep_search.workers.on_ray.trainable import MEASURE, MOST, ORDERS, REPORTS, SLOT

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController
    from ray.tune.experiment import Trial as TuneTrial

    from synrep_search.workers.on_ray.slots import SlotTable


class SlotSearcher(Searcher):
    """Tells Tune which trials to start: a Tune trial is a slot, which serves many of ours.

    Args:
        slots: who runs where.
        config: what every slot needs to know.
    """

    def __init__(self, slots: SlotTable, config: dict[str, Any]) -> None:
        super().__init__()
        self._slots = slots
        self._config = config

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """A slot with its first orders; None for now, FINISHED if there will be none."""
        orders = self._slots.open(trial_id)
        if orders is not None:
            own: dict[str, Any] = {SLOT: trial_id, ORDERS: orders.model_dump_json()}
            if self._config[MEASURE]:  # no more than it can get are tried out
                own[MOST] = min(self._config[MOST], self._slots.share)
            return {**self._config, **own}
        # Tune compares with this word, whatever its annotation says.
        return cast("None", Searcher.FINISHED) if self._slots.search.finished else None

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


class SlotScheduler(FIFOScheduler):
    """Passes reports and deaths to the search, and leaves its answers at the desk.

    Args:
        slots: who runs where.
        desk: handle of the actor that passes on what Tune does not.
    """

    def __init__(self, slots: SlotTable, desk: Any) -> None:
        super().__init__()
        self._slots = slots
        self._desk = desk
        self._turns: Counter[str] = Counter()
        self._closed = False

    def __getstate__(self) -> dict[str, Any]:
        """See `SlotSearcher.__getstate__`."""
        return {}

    def on_trial_result(
        self, tune_controller: TuneController, trial: TuneTrial, result: dict[str, Any]
    ) -> str:
        """The reports of a slot: its next orders, or its end."""
        del tune_controller
        slot = trial.trial_id
        capacity, told = json.loads(result[REPORTS])
        reports = [TrialReport.model_validate(report) for report in told]
        orders = self._slots.report(slot, reports, capacity)
        if orders is None:
            return TrialScheduler.STOP
        self._turns[slot] += 1
        self._desk.put.remote(slot, self._turns[slot], orders.model_dump_json())
        return TrialScheduler.CONTINUE

    def on_trial_error(self, tune_controller: TuneController, trial: TuneTrial) -> None:
        """The slot's process died, or its node was lost."""
        del tune_controller
        slot = trial.trial_id
        cause, preempted = _cause(trial)
        told = "" if preempted else ray.get(self._desk.why.remote(slot))
        if told == HUNG:
            minutes = self._slots.search.spec.failures.hang_minutes
            cause = f"no iteration in {minutes:g} minutes"
        elif told == ENDING:
            cause, preempted = told, True
        self._slots.lost(slot, cause, preempted=preempted)

    def choose_trial_to_run(self, tune_controller: TuneController) -> TuneTrial | None:
        """PauseCheck again and again while the search runs: also the time to pass on its end."""
        if self._slots.search.stopping and not self._closed:
            self._closed = True
            self._desk.close.remote()
        return super().choose_trial_to_run(tune_controller)


def _cause(trial: TuneTrial) -> tuple[str, bool]:
    """Why a slot died, in a line, and whether its node was taken away."""
    try:
        text = Path(trial.error_file or "").read_text(encoding="utf-8")
    except OSError:
        return "unknown", False
    if "node died" in text or "NodeDiedError" in text or "node has died" in text:
        return "its node was lost", True
    if "RayActorError" in text or "ActorDiedError" in text or "actor died" in text:
        return "its process died", False
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[-1][:300] if lines else "unknown"), False
