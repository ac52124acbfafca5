"""The ledger: the durable record of a search, an Optuna study in a SQL database.

Only the driver that holds the lease writes; anyone may read. Everything else, from Ray's state to
MLflow's runs, can be lost and rebuilt from the ledger and the checkpoints.
"""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from synrep.storage import masked
from synrep.training.checkpoint import CheckpointRef
from synrep_search.durability.database import copy_sqlite, read_spec
from synrep_search.durability.index import TrialIndex
from synrep_search.durability.lease import Lease
from synrep_search.durability.outbox import Event, Outbox
from synrep_search.durability.records import (
    AttemptRecord,
    Record,
    Trial,
    derived_seed,
    key_of,
)
from synrep_search.durability.study.storage import opened
from synrep_search.durability.study.trials import Study, load, remove_stub
from synrep_search.errors import LedgerError, NoSearch
from synrep_search.messages import KEPT

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from synrep_search.durability.records import Point, StateName
    from synrep_search.durability.study.trials import StoredTrial
    from synrep_search.messages import TrialReport
    from synrep_search.search_file import SearchSpec

SPEC, PROVENANCE = "synrep.spec", "synrep.provenance"
TARGET, MLFLOW = "synrep.target", "synrep.mlflow"
EXISTS = (
    "search {name!r} exists already: resume it with `synrep-search resume {typed}`, or launch "
    "under another name with --name"
)


class Ledger:
    """The ledger of one search; use `create` or `open` to get one."""

    def __init__(self, study: Study, name: str) -> None:
        self._study = study
        self.name, self.url = name, study.url
        attributes = study.attributes
        if SPEC not in attributes:
            rule = "was not made by synrep-search, or its launch was interrupted: launch it again"
            raise NoSearch(f"{name!r} in {masked(self.url)} {rule}")
        self.spec = read_spec(name, attributes[SPEC], attributes[PROVENANCE].get("code", "unknown"))
        self.provenance: dict[str, str] = attributes[PROVENANCE]
        """Code version, data fingerprint, time of creation, and a unique id of the search."""
        self.target = int(attributes[TARGET])
        """Total number of trials."""
        self.mlflow: dict[str, str] = attributes.get(MLFLOW, {})
        """Ids of the MLflow experiment and parent run; empty until they exist."""
        self.lease = Lease(study.engine, name)
        self.outbox = Outbox(study.engine, name)
        self._sign = 1 if self.spec.search.direction == "minimize" else -1

    @classmethod
    def create(cls, url: str, spec: SearchSpec, provenance: dict[str, str]) -> Ledger:
        """Create the ledger of a new search.

        Raises:
            LedgerError: the search exists already, or the database can't be used.
        """
        with opened(url, make=True) as storage:
            if not remove_stub(storage, spec.name, {PROVENANCE, TARGET}):
                raise LedgerError(EXISTS.format(name=spec.name, typed=spec.name))
            study = Study.create(storage, spec.name, spec.search.direction)
            study.note(PROVENANCE, provenance)
            study.note(TARGET, spec.search.trials)
            # Last: a study without a specification counts as an interrupted launch.
            study.note(SPEC, spec.model_dump_json())
            return cls(study, spec.name)

    @classmethod
    def open(cls, url: str, name: str) -> Ledger:
        """Open the ledger of an existing search.

        Raises:
            LedgerError: there is no search of this name, another version wrote it, or the database
                can't be used.
        """
        with opened(url, make=False) as storage:
            return cls(load(storage, name), name)

    def replace_spec(self, spec: SearchSpec) -> None:
        """Replace the specification; metric and direction must stay the same."""
        if spec.search.trials != self.spec.search.trials:
            self.set_target(spec.search.trials)
        self._study.note(SPEC, spec.model_dump_json())
        self.spec = spec

    def set_target(self, trials: int) -> None:
        """Change the total number of trials."""
        self._study.note(TARGET, trials)
        self.target = trials

    def note_runs(self, experiment: str, parent: str) -> None:
        """Store the ids of MLflow's experiment and parent run; called from the delivery thread."""
        self.mlflow = {"experiment": experiment, "parent": parent}
        self._study.note(MLFLOW, self.mlflow)

    @cached_property
    def _found(self) -> list[StoredTrial]:
        """The study's trials as of the first access."""
        return self._study.read()

    @cached_property
    def index(self) -> TrialIndex:
        """All trials, read once: the driver is the only writer, and readers reopen the ledger."""
        values = self.outbox.values()
        trials = (
            Trial(
                number=stored.number,
                params=stored.params,
                record=stored.record,
                best_by_iteration=values.get(stored.number, {}),
            )
            for stored in self._found
        )
        return TrialIndex(trials, self._sign)

    @property
    def target_met(self) -> bool:
        """Whether the search has reached its target: all of its trials have ended."""
        counts = self.index.counts()
        return not counts["waiting"] + counts["running"] and len(self.index) >= self.target

    def trial(self, number: int) -> Trial:
        """Return a trial by its number.

        Raises:
            LedgerError: there is no such trial.
        """
        if number not in self.index:
            raise LedgerError(f"search {self.name!r} has no trial {number}")
        return self.index[number]

    def checkpoints(self, number: int) -> tuple[CheckpointRef, ...]:
        """Return the checkpoints of a trial that are kept, newest first."""
        stored = [event.payload["checkpoint"] for event in self.outbox.reports(number, last=KEPT)]
        return tuple(CheckpointRef.model_validate(ref) for ref in stored if ref)

    def reconcile(self) -> list[int]:
        """Repair the state that a dead driver left; the caller holds the lease.

        Returns:
            Numbers of the trials that were running; they now wait for another attempt.
        """
        lost = []
        for stored in self._found:
            trial = self.index[stored.number]
            newest = [] if trial.ended else self.outbox.reports(trial.number, last=1)
            if newest and newest[0].payload["ended"]:  # died between the last report and `end`
                self.end(trial.number, newest[0].payload["ended"], newest[0].payload["cause"])
            elif trial.state == "running":
                self.end(trial.number, "waiting", "interrupted: the driver died")
                lost.append(trial.number)
            elif not stored.settled:  # died between writing the record and Optuna's state
                self._settle(trial)
        del self._found  # outdated now
        return lost

    def begin_waiting(self, deferred: AbstractSet[int] = frozenset()) -> Trial | None:
        """Begin the next attempt of the first waiting trial.

        Args:
            deferred: numbers of the trials to skip.

        Returns:
            The trial; None if no other trial is waiting.
        """
        waiting = self.index.first_waiting(deferred)
        if waiting is None:
            return None
        attempt = AttemptRecord(number=waiting.attempt + 1, started=time.time())
        begun = self._store(waiting, state="running", attempts=(*waiting.record.attempts, attempt))
        self._settle(begun)
        return begun

    def begin_new(self, point: Point) -> Trial:
        """Begin a new trial. The write is atomic: a dying driver leaves no partial trial."""
        number = len(self.index)
        seed = derived_seed(self.spec.search.seed, number, "trial")
        record = Record(
            state="running",
            values=point.values,
            seed=seed,
            key=key_of(point.params, seed),
            attempts=(AttemptRecord(number=1, started=time.time()),),
        )
        self._study.add(number, point, record, self.spec.space)
        trial = Trial(number=number, params=point.params, record=record)
        self.index.put(trial)
        return trial

    def report(self, report: TrialReport, ended: StateName | None, cause: str) -> Trial:
        """Record a report; repeating a recorded report changes nothing.

        Args:
            report: a report with metrics.
            ended: final state of the trial if this is its last report, else None. The caller calls
                `end` next; if it dies before, `reconcile` ends the trial.
            cause: why the trial ended.

        Returns:
            The trial with the report.
        """
        trial = self.index[report.number]
        if report.iteration not in trial.best_by_iteration:
            best = trial.best_by_iteration | {report.iteration: self.value_after(report)}
            trial = trial.model_copy(update={"best_by_iteration": best})
            self.index.put(trial)
        metric = self.spec.search.metric
        payload = report.model_dump(mode="json", include={"metrics", "checkpoint"})
        payload["best"] = {f"best/{metric}": trial.value, "best/step": trial.best_iteration}
        payload |= {"ended": ended or "", "cause": cause}
        event = Event(
            trial=trial.number,
            kind="report",
            step=report.iteration,
            payload=payload,
            value=trial.best_by_iteration[report.iteration],
            time_ms=report.time_ms,
        )
        self.outbox.put(event)
        return trial

    def value_after(self, report: TrialReport) -> float:
        """Return the best value of a trial so far, including a report that is not recorded yet."""
        value = report.metrics[self.spec.search.metric]
        before = self.index[report.number].value
        better = min if self._sign == 1 else max
        return value if before is None else better(before, value)

    def end(
        self,
        number: int,
        state: StateName,
        cause: str = "",
        *,
        failures: int = 0,
        shared_failures: int = 0,
        paused: CheckpointRef | None = None,
    ) -> Trial:
        """End the running attempt of a trial and set the trial's state.

        Args:
            number: number of the trial.
            state: any state but "running"; a "waiting" trial is resumed later.
            cause: why the attempt ended; also stored as the trial's cause unless it waits.
            failures: increment of the trial's `failures`.
            shared_failures: increment of the trial's `shared_failures`.
            paused: checkpoint written by a pause.

        Returns:
            The trial in its new state.
        """
        trial = self.trial(number)
        *earlier, last = trial.record.attempts
        last = last.model_copy(update={"cause": cause or state, "ended": time.time()})
        stored = self._store(
            trial,
            state=state,
            cause="" if state == "waiting" else cause,
            failures=trial.record.failures + failures,
            shared_failures=trial.record.shared_failures + shared_failures,
            attempts=(*earlier, last),
            paused=paused or trial.record.paused,
        )
        self._settle(stored)
        return stored

    @property
    def is_file(self) -> bool:
        """Whether the ledger is a SQLite file, which is lost if its machine is."""
        return self._study.engine.dialect.name == "sqlite"

    def backup(self, path: Path) -> None:
        """Copy a SQLite ledger to a file; see `copy_sqlite`."""
        copy_sqlite(self._study.engine, path)

    def close(self) -> None:
        """Close the connections to the database."""
        self._study.close()

    def _settle(self, trial: Trial) -> None:
        stopping = self.spec.search.early_stopping
        rungs = stopping.rungs(int(self.spec.train["iterations"])) if stopping else []
        self._study.settle(trial, rungs)

    def _store(self, trial: Trial, **changes: Any) -> Trial:
        record = trial.record.model_copy(update=changes)
        self._study.store(trial.number, record)
        stored = trial.model_copy(update={"record": record})
        self.index.put(stored)
        return stored
