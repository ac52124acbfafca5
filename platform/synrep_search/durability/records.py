"""Data classes of trials and attempts; `durability.study` maps them to Optuna's trials."""

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
    """A point of the search space.

    Attributes:
        values: values by searched name, in the form that the configuration expects.
        params: the same as flat parameters, in the form that samplers and MLflow use.
    """

    values: dict[str, Any]
    params: dict[str, Any]


class AttemptRecord(Section):
    """One run of a trial in a worker process.

    Attributes:
        number: counted from 1 within the trial.
        cause: why the attempt ended; empty while it runs.
        started: start time in seconds since 1970.
        ended: end time in seconds since 1970; 0 while the attempt runs.
    """

    number: int
    cause: str = ""
    started: float
    ended: float = 0.0


class Record(Section):
    """The data of a trial that is stored in addition to Optuna's.

    Attributes:
        state: state of the trial.
        values: values by searched name, in the form that the configuration expects.
        seed: random seed of the training.
        key: SHA-256 of parameters and seed.
        cause: why the trial ended.
        failures: number of attempts that died while no other trial shared their process;
            interruptions do not count.
        shared_failures: number of attempts that died in a process shared with other trials, so that
            the cause can't be attributed to one of them.
        attempts: all attempts, oldest first.
        paused: checkpoint written by a pause between two reports; obsolete after the next report.
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
    """A trial of the ledger.

    Attributes:
        number: unique within the search and never reused.
        params: flat parameters, in the form that samplers and MLflow use.
        record: state, seed, attempts.
        best_by_iteration: best value of the objective up to each report, by ascending iteration.
    """

    number: int
    params: dict[str, Any]
    record: Record
    best_by_iteration: dict[int, float] = Field(default_factory=dict)

    @property
    def state(self) -> StateName:
        """Current state."""
        return self.record.state

    @property
    def ended(self) -> bool:
        """Whether the trial has ended and will not be resumed."""
        return self.state not in ("waiting", "running")

    @property
    def attempt(self) -> int:
        """Number of the newest attempt; 0 before the first."""
        return len(self.record.attempts)

    @property
    def iteration(self) -> int:
        """Iteration of the newest report; 0 before the first."""
        return next(reversed(self.best_by_iteration), 0)

    @property
    def value(self) -> float | None:
        """Best value of the objective so far; None before the first report."""
        return self.best_by_iteration[self.iteration] if self.best_by_iteration else None

    @property
    def best_iteration(self) -> int:
        """Iteration of the report with the best value; 0 before the first report."""
        return next(
            (step for step, value in self.best_by_iteration.items() if value == self.value), 0
        )


def derived_seed(seed: int, number: int, purpose: str) -> int:
    """Return a 31-bit seed derived from the search's seed for one trial and purpose."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{number}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1


def key_of(params: dict[str, Any], seed: int) -> str:
    """Return the SHA-256 of parameters and seed, which is equal for identical trials."""
    text = json.dumps([params, seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
