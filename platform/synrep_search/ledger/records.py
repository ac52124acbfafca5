"""Trials as the platform sees them, and how they lie in an Optuna study.

| here          | in Optuna                                                   |
|---------------|-------------------------------------------------------------|
| waiting       | WAITING                                                     |
| running       | RUNNING                                                     |
| completed     | COMPLETE, with the best value                               |
| stopped_early | PRUNED, with the values at its reports                      |
| diverged      | PRUNED and infeasible: the sampler keeps away from it       |
| failed        | FAIL: the sampler passes it over                            |
"""

from __future__ import annotations

from typing import Any, Literal

from optuna.trial import FrozenTrial, TrialState

from synrep.config import Section

State = Literal["waiting", "running", "completed", "stopped_early", "diverged", "failed"]

STATES: tuple[State, ...] = (
    "waiting",
    "running",
    "completed",
    "stopped_early",
    "diverged",
    "failed",
)
TO_OPTUNA: dict[State, TrialState] = {
    "waiting": TrialState.WAITING,
    "running": TrialState.RUNNING,
    "completed": TrialState.COMPLETE,
    "stopped_early": TrialState.PRUNED,
    "diverged": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
RECORD = "synrep"
"""Name of the trial's user attribute that holds its `Record`."""


class Attempt(Section):
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
        failures: attempts that died; interruptions do not count.
        attempts: all of them.
    """

    state: State
    values: dict[str, Any]
    seed: int
    key: str
    cause: str = ""
    failures: int = 0
    attempts: tuple[Attempt, ...] = ()


class Trial(Section):
    """A trial as the ledger holds it.

    Attributes:
        number: never reused.
        params: flat parameters, as the sampler and MLflow see them.
        record: state, seed, attempts.
        value: best value of the goal's metric so far.
        rungs: best value so far at each report, by iteration.
    """

    number: int
    params: dict[str, Any]
    record: Record
    value: float | None
    rungs: dict[int, float]

    @property
    def state(self) -> State:
        """Where the trial stands."""
        return self.record.state

    @classmethod
    def of(cls, frozen: FrozenTrial) -> Trial:
        """From Optuna's trial; one that was proposed but never begun has no record yet."""
        stored = frozen.user_attrs.get(RECORD)
        record = (
            Record(state="waiting", values={}, seed=0, key="")
            if stored is None
            else Record.model_validate_json(stored)
        )
        rungs = dict(sorted(frozen.intermediate_values.items()))
        return cls(
            number=frozen.number,
            params=frozen.params,
            record=record,
            # Values are best so far, so the last one is the best.
            value=list(rungs.values())[-1] if rungs else None,
            rungs=rungs,
        )
