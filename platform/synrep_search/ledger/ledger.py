"""The ledger: one durable truth about a search (an Optuna study in a SQL database).

Only the driver that holds the lease writes; anyone may read. Everything else, from Ray's state to
MLflow's runs, can be lost and made again from here and the checkpoints.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import optuna

from synrep.checkpoint import CheckpointRef
from synrep_search.errors import LedgerError
from synrep_search.ledger.database import open_storage, shown
from synrep_search.ledger.lease import Lease
from synrep_search.ledger.outbox import Outbox
from synrep_search.ledger.records import RECORD, STATES, TO_OPTUNA, Attempt, Record, State, Trial
from synrep_search.ledger.sampling import OptunaSuggest, derived, key_of, sampler_for
from synrep_search.spec import SearchSpec

if TYPE_CHECKING:
    from pathlib import Path

    from optuna.storages import RDBStorage

    from synrep_search.trial import TrialReport

SPEC, PROVENANCE, TARGET = "synrep.spec", "synrep.provenance", "synrep.target"
MLFLOW = "synrep.mlflow"

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Ledger:
    """One search. Made by `create` and `open`."""

    def __init__(self, storage: RDBStorage, name: str) -> None:
        self._storage = storage
        self._study = optuna.load_study(study_name=name, storage=storage)
        attributes = self._study.user_attrs
        if SPEC not in attributes:
            raise LedgerError(f"{name!r} in {shown(str(storage.url))} is not a search of ours")
        self.name = name
        self.spec = SearchSpec.model_validate_json(attributes[SPEC])
        self.provenance: dict[str, str] = attributes[PROVENANCE]
        """Code version, data fingerprint, time of creation."""
        self.target = int(attributes[TARGET])
        """Number of trials to make in all."""
        self.mlflow: dict[str, str] = attributes.get(MLFLOW, {})
        """Ids of experiment and parent run, once MLflow has given them."""
        self.lease = Lease(storage.engine, name)
        self.outbox = Outbox(storage.engine, name)
        self._sign = 1 if self.spec.search.direction == "minimize" else -1
        self._live: dict[int, optuna.Trial] = {}
        self._trials: dict[int, Trial] | None = None

    @classmethod
    def create(cls, url: str, spec: SearchSpec, provenance: dict[str, str]) -> Ledger:
        """Begin a search.

        Raises:
            LedgerError: it exists already, or the database can't be used.
        """
        storage = open_storage(url)
        try:
            study = optuna.create_study(
                study_name=spec.name, storage=storage, direction=spec.search.direction
            )
        except optuna.exceptions.DuplicatedStudyError:
            raise LedgerError(
                f"search {spec.name!r} exists already: go on with it by `synrep-search resume "
                f"{spec.name}`, or launch under another name with --name"
            ) from None
        for point in spec.start_from:
            study.enqueue_trial(spec.space.flatten(point))
        study.set_user_attr(PROVENANCE, provenance)
        study.set_user_attr(TARGET, spec.search.trials)
        study.set_user_attr(SPEC, spec.model_dump_json())  # last: it makes the study a search
        return cls(storage, spec.name)

    @classmethod
    def open(cls, url: str, name: str) -> Ledger:
        """Open a search.

        Raises:
            LedgerError: there is none of that name, or the database can't be used.
        """
        storage = open_storage(url)
        try:
            return cls(storage, name)
        except KeyError:
            names = ", ".join(study.study_name for study in storage.get_all_studies())
            raise LedgerError(
                f"no search {name!r} in {shown(url)} (there are: {names or 'none'})"
            ) from None

    def replace_spec(self, spec: SearchSpec) -> None:
        """Put a changed specification in the place of the old one."""
        self._study.set_user_attr(SPEC, spec.model_dump_json())
        self.spec = spec

    def set_target(self, trials: int) -> None:
        """Change the number of trials to make in all."""
        self._study.set_user_attr(TARGET, trials)
        self.target = trials

    def note_runs(self, experiment: str, parent: str) -> None:
        """Remember where MLflow has the search; called from the delivery's thread."""
        self.mlflow = {"experiment": experiment, "parent": parent}
        self._study.set_user_attr(MLFLOW, self.mlflow)

    def trials(self) -> list[Trial]:
        """All trials in the order of their numbers."""
        return [known for _, known in sorted(self._known().items())]

    def trial(self, number: int) -> Trial:
        """One trial.

        Raises:
            LedgerError: there is none of that number.
        """
        if number not in self._known():
            raise LedgerError(f"search {self.name!r} has no trial {number}")
        return self._known()[number]

    def counts(self) -> dict[State, int]:
        """Number of trials in each state."""
        found = Counter(trial.state for trial in self._known().values())
        return {state: found[state] for state in STATES}

    def best(self, count: int = 1) -> list[Trial]:
        """The best trials by their best value, the best first; those that diverged left out."""
        ranked = [
            (self._sign * trial.value, trial.number, trial)
            for trial in self._known().values()
            if trial.value is not None and trial.state not in ("diverged", "failed")
        ]
        return [trial for _, _, trial in sorted(ranked)[:count]]

    def checkpoints(self, number: int) -> tuple[CheckpointRef, ...]:
        """The last two checkpoints of a trial, the newest first."""
        stored = [event.payload["checkpoint"] for event in self.outbox.reports(number, last=2)]
        return tuple(CheckpointRef.model_validate(ref) for ref in stored if ref)

    def reconcile(self) -> list[int]:
        """Mend what a driver left when it died; the caller holds the lease.

        Returns:
            Trials that ran and wait now.
        """
        lost = []
        for frozen in self._study.get_trials(deepcopy=False):
            trial = self.trial(frozen.number)
            if trial.state == "running":
                self.end(trial.number, "waiting", "interrupted: the driver died")
                lost.append(trial.number)
            elif TO_OPTUNA[trial.state] != frozen.state:  # it died between two writes
                self._settle(trial)
        return lost

    def begin(self) -> Trial | None:
        """Begin an attempt: of the first waiting trial, else of a new one; None if all are done."""
        known = self._known()
        waiting = any(trial.state == "waiting" for trial in known.values())
        if not waiting and len(known) >= self.target:
            return None
        expected = next((t.number for t in self.trials() if t.state == "waiting"), len(known))
        self._study.sampler = sampler_for(self.spec, expected)
        asked = self._study.ask()
        self._live[asked.number] = asked
        before = known.get(asked.number)
        if before is None or not before.record.attempts:
            values = self.spec.space.sample(OptunaSuggest(asked))
            seed = derived(self.spec.search.seed, asked.number, "trial")
            record = Record(
                state="running", values=values, seed=seed, key=key_of(asked.params, seed)
            )
            before = Trial(
                number=asked.number, params=asked.params, record=record, value=None, rungs={}
            )
        attempt = Attempt(number=len(before.record.attempts) + 1, started=time.time())
        return self._store(before, state="running", attempts=(*before.record.attempts, attempt))

    def report(self, report: TrialReport) -> Trial:
        """Record a report; one that was recorded before changes nothing."""
        trial = self.trial(report.number)
        if not report.metrics:
            return trial
        value = report.metrics[self.spec.search.metric]
        if trial.value is not None:
            value = self._sign * min(self._sign * trial.value, self._sign * value)
        if report.iteration not in trial.rungs:
            self._storage.set_trial_intermediate_value(
                self._id(report.number), report.iteration, value
            )
            rungs = trial.rungs | {report.iteration: value}
            trial = trial.model_copy(update={"value": value, "rungs": rungs})
            self._known()[trial.number] = trial
        # Written last: the report counts once its checkpoint is on record.
        payload = report.model_dump(mode="json", include={"metrics", "checkpoint"})
        best_step = next(step for step, best in trial.rungs.items() if best == trial.value)
        metric = self.spec.search.metric
        payload["best"] = {f"best/{metric}": trial.value, "best/step": best_step}
        self.outbox.put(report.number, "report", report.iteration, payload, report.time_ms)
        return trial

    def end(self, number: int, state: State, cause: str = "", *, failure: bool = False) -> Trial:
        """End the running attempt and put the trial into a state.

        Args:
            number: of the trial.
            state: any but running; waiting gives the trial back to be resumed.
            cause: of the attempt's end; it is the trial's, too, unless that waits.
            failure: count the attempt as failed.
        """
        trial = self.trial(number)
        *earlier, last = trial.record.attempts
        last = last.model_copy(update={"cause": cause or state, "ended": time.time()})
        stored = self._store(
            trial,
            state=state,
            cause="" if state == "waiting" else cause,
            failures=trial.record.failures + failure,
            attempts=(*earlier, last),
        )
        self._settle(stored)
        self._live.pop(number, None)
        return stored

    def backup(self, path: Path) -> None:
        """Copy a SQLite ledger to a file while it is in use; whole or not at all.

        Raises:
            LedgerError: the ledger is not in SQLite.
        """
        source = self._storage.engine.url.database
        if self._storage.engine.dialect.name != "sqlite" or source is None:
            raise LedgerError(
                "only a SQLite ledger is copied; the database server has its own ways"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            with sqlite3.connect(source) as live, sqlite3.connect(temporary) as copy:
                live.backup(copy)
            copy.close()
            live.close()
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the database."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def _known(self) -> dict[int, Trial]:
        """The trials, read once: the driver is the only writer, and a reader opens anew."""
        if self._trials is None:
            frozen = self._study.get_trials(deepcopy=False)
            self._trials = {trial.number: Trial.of(trial) for trial in frozen}
        return self._trials

    def _settle(self, trial: Trial) -> None:
        """Bring Optuna's trial into the state that ours is in."""
        key = self._id(trial.number)
        if trial.state == "diverged":
            # What Trial.set_constraint writes; the trial itself may be that of a dead driver.
            self._storage.set_trial_system_attr(key, "constraints:diverged", 1.0)
        values = [trial.value] if trial.state == "completed" and trial.value is not None else None
        self._storage.set_trial_state_values(key, TO_OPTUNA[trial.state], values)

    def _id(self, number: int) -> int:
        if number in self._live:
            return self._live[number]._trial_id  # noqa: SLF001 - Optuna has no public way
        return self._storage.get_trial_id_from_study_id_trial_number(
            self._study._study_id,  # noqa: SLF001 - likewise
            number,
        )

    def _store(self, trial: Trial, **changes: Any) -> Trial:
        record = trial.record.model_copy(update=changes)
        self._storage.set_trial_user_attr(self._id(trial.number), RECORD, record.model_dump_json())
        stored = trial.model_copy(update={"record": record})
        self._known()[trial.number] = stored
        return stored


def searches(url: str) -> list[str]:
    """Names of the searches in a database."""
    storage = open_storage(url)
    names = [s.study_name for s in storage.get_all_studies() if SPEC in s.user_attrs]
    storage.remove_session()
    storage.engine.dispose()
    return sorted(names)
