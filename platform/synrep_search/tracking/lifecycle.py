"""Outbox events about the life cycle of a search and its trials: starts, states, the best trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synrep_search.durability.database import SEARCH_ITSELF
from synrep_search.durability.outbox import Event

if TYPE_CHECKING:
    from synrep_search.durability.ledger import Ledger
    from synrep_search.durability.records import StateName, Trial


class LifecycleEvents:
    """Write life-cycle events to the outbox of a ledger.

    Args:
        ledger: the ledger; the caller holds its lease.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._put = ledger.outbox.put

    def search_started(self) -> None:
        """Record the start of the parent run, with the specification (a resume may change it)."""
        ledger = self._ledger
        tags = {f"synrep.{name}": value for name, value in ledger.provenance.items()}
        payload = {
            "params": {},
            "tags": tags | {"synrep.goal": ledger.spec.search.metric},
            "spec": ledger.spec.model_dump(mode="json"),
        }
        step = ledger.outbox.next_step(SEARCH_ITSELF, "start")
        self._put(Event(trial=SEARCH_ITSELF, kind="start", step=step, payload=payload))
        self.search_state("running")

    def search_state(self, state: str, cause: str = "") -> None:
        """Record the state of the search."""
        step = self._ledger.outbox.next_step(SEARCH_ITSELF, "state")
        payload = {"state": state, "cause": cause}
        self._put(Event(trial=SEARCH_ITSELF, kind="state", step=step, payload=payload))

    def best(self) -> None:
        """Record the best trial so far; once per number of ended trials."""
        index, metric = self._ledger.index, self._ledger.spec.search.metric
        best = index.first()
        if best is not None:
            counts = index.counts()
            step = len(index) - counts["waiting"] - counts["running"]
            payload = {"metrics": {f"best/{metric}": best.value, "best/trial": best.number}}
            self._put(Event(trial=SEARCH_ITSELF, kind="report", step=step, payload=payload))

    def trial_started(self, trial: Trial) -> None:
        """Record that a trial's first attempt starts, or that the trial continues."""
        provenance = self._ledger.provenance
        tags = {
            "synrep.state": "running",
            "synrep.seed": trial.record.seed,
            "synrep.key": trial.record.key,
            "synrep.code": provenance["code"],
            "synrep.data": provenance["data"],
        }
        payload = {"params": trial.params, "tags": tags}
        self._put(Event(trial=trial.number, kind="start", step=0, payload=payload))
        if trial.attempt > 1:
            self.trial_state(trial, "running")

    def trial_state(self, trial: Trial, state: StateName, cause: str = "") -> None:
        """Record the state of a trial, at the start and at the end of each attempt."""
        step = 2 * trial.attempt + (state != "running")  # two events per attempt
        payload = {"state": state, "cause": cause}
        self._put(Event(trial=trial.number, kind="state", step=step, payload=payload))
