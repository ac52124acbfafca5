"""The search as Ray Tune sees it: a searcher opens slots, a scheduler takes their reports."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import ray
from ray.exceptions import RayError
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from synrep_search.messages import TrialReport
from synrep_search.workers.on_ray.mailbox import ENDING, HUNG
from synrep_search.workers.on_ray.trainable import MEASURE, MOST, ORDERS, REPORTS, SLOT

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController
    from ray.tune.experiment import Trial as TuneTrial

    from synrep_search.workers.on_ray.slots import SlotTable


ASK_S = 2.0
"""Shortest interval between two questions to the mailbox."""


class SlotSearcher(Searcher):
    """Gives Tune its trials. A Tune trial is a slot, which serves many trials of the search.

    Args:
        slots: which trials run in which slot.
        config: configuration of every worker.
    """

    def __init__(self, slots: SlotTable, config: dict[str, Any]) -> None:
        super().__init__()
        self._slots = slots
        self._config = config

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the configuration of a new slot; None if none is needed now, else FINISHED."""
        orders = self._slots.open(trial_id)
        if orders is not None:
            own: dict[str, Any] = {SLOT: trial_id, ORDERS: orders.model_dump_json()}
            if self._config[MEASURE]:  # no need to measure more than it can get
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
        """Do nothing: the scheduler has notified the search."""

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune pickles the searcher for its own restore, which is not used."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the ledger is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing; see `save`."""


class SlotScheduler(FIFOScheduler):
    """Passes reports and crashes to the search, and leaves its orders in the mailbox.

    Args:
        slots: which trials run in which slot.
        mailbox: handle of the `Mailbox` actor.
    """

    def __init__(self, slots: SlotTable, mailbox: Any) -> None:
        super().__init__()
        self._slots = slots
        self._mailbox = mailbox
        self._turns: Counter[str] = Counter()
        self._pause_sent = False
        self._saving = False
        self._asked: tuple[Any, float] | None = None
        slots.search.is_saving = lambda: self._saving

    def __getstate__(self) -> dict[str, Any]:
        """See `SlotSearcher.__getstate__`."""
        return {}

    def on_trial_result(
        self, tune_controller: TuneController, trial: TuneTrial, result: dict[str, Any]
    ) -> str:
        """Record the reports of a slot, and send its next orders or end it."""
        del tune_controller
        slot = trial.trial_id
        capacity, sent = json.loads(result[REPORTS])
        reports = [TrialReport.model_validate(report) for report in sent]
        orders = self._slots.report(slot, reports, capacity)
        if orders is None:
            return TrialScheduler.STOP
        self._turns[slot] += 1
        self._mailbox.put.remote(slot, self._turns[slot], orders.model_dump_json())
        return TrialScheduler.CONTINUE

    def on_trial_error(self, tune_controller: TuneController, trial: TuneTrial) -> None:
        """Record that the worker process of a slot crashed, or that its node was lost."""
        del tune_controller
        slot = trial.trial_id
        cause, preempted = _cause(trial)
        reason = "" if preempted else ray.get(self._mailbox.end_reason.remote(slot))
        if reason == HUNG:
            minutes = self._slots.search.spec.failures.hang_minutes
            cause = f"no iteration in {minutes:g} minutes"
        elif reason == ENDING:
            cause, preempted = reason, True
        self._slots.lost(slot, cause, preempted=preempted)

    def choose_trial_to_run(self, tune_controller: TuneController) -> TuneTrial | None:
        """Choose as FIFO does. Tune calls this all the time, so a request to pause is sent here."""
        if self._slots.search.stopping and not self._pause_sent:
            self._pause_sent = True
            self._mailbox.request_pause.remote()
        if self._pause_sent:
            self._ask_for_saving()
        return super().choose_trial_to_run(tune_controller)

    def _ask_for_saving(self) -> None:
        """Find out from time to time whether a worker saves a trial, without waiting for it."""
        if self._asked is None:
            self._asked = self._mailbox.is_saving.remote(), time.monotonic()
            return
        answer, asked = self._asked
        if time.monotonic() - asked > ASK_S and ray.wait([answer], timeout=0)[0]:
            with suppress(RayError):
                self._saving = ray.get(answer)
            self._asked = None


def _cause(trial: TuneTrial) -> tuple[str, bool]:
    """Return why a worker died, in one line, and whether its node was lost."""
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
