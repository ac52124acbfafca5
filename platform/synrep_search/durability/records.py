"""Trials as the platform sees them; `study` says how they lie in Optuna's."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from synrep.schema import Section
from synrep.training.checkpoint import CheckpointRef

StateName = Literal["waiting", "running", "completed", "stopped_early", "diverged", "failed"]

STATES: tuple[StateName, ...] = (
    "waiting",
    "running",
    "completed",
    "stopped_early",
    "diverged",
    "failed",
)


@dataclass(frozen=True, kw_only=True)
class Point:
    """A proposed point.

    Attributes:
        values: by searched name, as the configuration takes them.
        params: the same, flat, as samplers and MLflow see them.
    """

    values: dict[str, Any]
    params: dict[str, Any]


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


def derived_seed(seed: int, number: int, purpose: str) -> int:
    """A seed for one trial and purpose, 31 bits."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{number}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1


def key_of(params: dict[str, Any], seed: int) -> str:
    """SHA-256 of parameters and seed: equal for trials that would do the same."""
    text = json.dumps([params, seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
