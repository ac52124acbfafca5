"""Trials as the platform sees them, and how they lie in an Optuna study.

| here          | in Optuna                                                   |
|---------------|-------------------------------------------------------------|
| waiting       | WAITING                                                     |
| running       | RUNNING                                                     |
| completed     | COMPLETE, with the best value                               |
| stopped_early | PRUNED, with the values at its rungs                        |
| diverged      | PRUNED and infeasible: the sampler keeps away from it       |
| failed        | FAIL: the sampler passes it over                            |
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from optuna.trial import FrozenTrial, TrialState
from pydantic import Field, ValidationError

from synrep.schema import Section
from synrep.training.checkpoint import CheckpointRef
from synrep_search.errors import LedgerError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

StateName = Literal["waiting", "running", "completed", "stopped_early", "diverged", "failed"]

STATES: tuple[StateName, ...] = (
    "waiting",
    "running",
    "completed",
    "stopped_early",
    "diverged",
    "failed",
)
TO_OPTUNA: dict[StateName, TrialState] = {
    "waiting": TrialState.WAITING,
    "running": TrialState.RUNNING,
    "completed": TrialState.COMPLETE,
    "stopped_early": TrialState.PRUNED,
    "diverged": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
RECORD = "synrep"
"""Name of the trial's user attribute that holds its `Record`."""
DIVERGED = "constraints:diverged"
"""System attribute that Optuna's `Trial.set_constraint` writes: above 0 is infeasible."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A proposed point.

    Attributes:
        values: by searched name, as the configuration takes them.
        params: the same, flat, as samplers and MLflow see them.
        distributions: Optuna's, of each flat parameter.
    """

    values: dict[str, Any]
    params: dict[str, Any]
    distributions: dict[str, BaseDistribution]


class AttemptRecord(Section):
    """One run of a trial on some process.

    Attributes:
        number: 1 for the first.
        cause: why it ended; empty while it runs.
        started: seconds since 1970.
        ended: seconds since 1970; 0 while it runs.
    """

    number: int
    cause: str = ""
    started: float
    ended: float = 0.0


class Record(Section):
    """What we add to an Optuna trial.

    Attributes:
        state: of the trial.
        values: searched names and their values, as the configuration takes them.
        seed: of its training.
        key: SHA-256 of parameters and seed.
        cause: why the trial ended as it did.
        failures: attempts that died while no other trial shared their process; interruptions
            do not count.
        shared_failures: attempts that died in company, so that nobody knows whose fault it was.
        attempts: all of them.
        paused: checkpoint that a pause between two reports left; of use until the next report.
    """

    state: StateName
    values: dict[str, Any]
    seed: int
    key: Annotated[str, Field(pattern="^[0-9a-f]{8,64}$")]
    cause: str = ""
    failures: int = 0
    shared_failures: int = 0
    attempts: tuple[AttemptRecord, ...] = ()
    paused: CheckpointRef | None = None


class Trial(Section):
    """A trial as the ledger holds it.

    Attributes:
        number: never reused.
        params: flat parameters, as the sampler and MLflow see them.
        record: state, seed, attempts.
        best_by_iteration: best value of the goal's metric so far at each report, by iteration, in
            order.
    """

    number: int
    params: dict[str, Any]
    record: Record
    best_by_iteration: dict[int, float] = Field(default_factory=dict)

    @property
    def state(self) -> StateName:
        """Where the trial stands."""
        return self.record.state

    @property
    def ended(self) -> bool:
        """Whether it has ended for good."""
        return self.state not in ("waiting", "running")

    @property
    def attempt(self) -> int:
        """Number of the newest attempt."""
        return len(self.record.attempts)

    @property
    def iteration(self) -> int:
        """Iterations at the newest report; 0 before the first."""
        return next(reversed(self.best_by_iteration), 0)

    @property
    def value(self) -> float | None:
        """Best value of the goal's metric so far."""
        return self.best_by_iteration[self.iteration] if self.best_by_iteration else None

    @property
    def best_iteration(self) -> int:
        """Iterations at the report that gave the best value; 0 before the first report."""
        return next(
            (step for step, value in self.best_by_iteration.items() if value == self.value), 0
        )

    @classmethod
    def of(cls, frozen: FrozenTrial, best_by_iteration: dict[int, float]) -> Trial:
        """From Optuna's trial and the values of our reports.

        Raises:
            LedgerError: what the study says of it was not written by us.
        """
        try:
            record = Record.model_validate_json(frozen.user_attrs[RECORD])
        except (ValidationError, KeyError):
            raise LedgerError(f"the ledger's record of trial {frozen.number} is damaged") from None
        return cls(
            number=frozen.number,
            params=frozen.params,
            record=record,
            best_by_iteration=best_by_iteration,
        )


def derived_seed(seed: int, number: int, purpose: str) -> int:
    """A seed for one trial and purpose, 31 bits."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{number}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1


def key_of(params: dict[str, Any], seed: int) -> str:
    """SHA-256 of parameters and seed: equal for trials that would do the same."""
    text = json.dumps([params, seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
