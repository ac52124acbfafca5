"""Our trials in an Optuna study.

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

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, TypeAlias, cast

import optuna
from optuna.trial import TrialState, create_trial
from pydantic import ValidationError

from synrep.storage import masked
from synrep_search.durability.records import Record
from synrep_search.durability.study.storage import close
from synrep_search.errors import LedgerError, NoSearch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.distributions import BaseDistribution
    from optuna.storages import RDBStorage
    from optuna.trial import BaseTrial, FrozenTrial
    from sqlalchemy import Engine

    from synrep_search.durability.records import Point, StateName, Trial
    from synrep_search.search_file import Space
    from synrep_search.search_file.space.suggest import Scalar

_Float: TypeAlias = float  # inside a class, `float` and `int` are methods
_Int: TypeAlias = int

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
optuna.logging.set_verbosity(optuna.logging.WARNING)


class OptunaSuggest:
    """Draws the parameters of one trial.

    Args:
        trial: Optuna's.
    """

    def __init__(self, trial: BaseTrial) -> None:
        self._trial = trial

    def float(
        self, name: str, low: _Float, high: _Float, *, log: bool, step: _Float | None
    ) -> _Float:
        """A number in [low, high]."""
        return self._trial.suggest_float(name, low, high, log=log, step=step)

    def int(self, name: str, low: _Int, high: _Int, *, log: bool, step: _Int) -> _Int:
        """A whole number in [low, high]."""
        return self._trial.suggest_int(name, low, high, log=log, step=step)

    def choice(self, name: str, options: Sequence[Scalar]) -> Scalar:
        """One of the options."""
        return cast("Scalar", self._trial.suggest_categorical(name, list(options)))


def distributions(space: Space, params: dict[str, Any]) -> dict[str, BaseDistribution]:
    """Optuna's distributions of the flat parameters of a point."""
    replay = optuna.trial.FixedTrial(params)
    space.sample(OptunaSuggest(replay))
    return replay.distributions


class StoredTrial(NamedTuple):
    """A trial as the study has it.

    Attributes:
        number: of the trial.
        params: flat parameters.
        record: what we add.
        settled: whether Optuna's state is the one that belongs to ours.
    """

    number: int
    params: dict[str, Any]
    record: Record
    settled: bool


class Study:
    """The study of one search. Made by `create` and `load`.

    Args:
        storage: of the database; written to directly, since a study reads back what it writes.
        name: of the search.
    """

    def __init__(self, storage: RDBStorage, name: str) -> None:
        self.optuna = optuna.load_study(study_name=name, storage=storage)
        self.url = str(storage.url)
        self.engine: Engine = storage.engine
        self._storage = storage
        self._study_id = self.optuna._study_id  # noqa: SLF001 - Optuna has no public way
        self._ids: dict[int, int] = {}

    @classmethod
    def create(
        cls, storage: RDBStorage, name: str, direction: Literal["minimize", "maximize"]
    ) -> Self:
        """A new study, without attributes or trials."""
        optuna.create_study(study_name=name, storage=storage, direction=direction)
        return cls(storage, name)

    @property
    def attributes(self) -> dict[str, Any]:
        """What was noted of the search."""
        return self.optuna.user_attrs

    def note(self, key: str, value: Any) -> None:
        """Note something of the search, as JSON."""
        self.optuna.set_user_attr(key, value)

    def read(self) -> list[StoredTrial]:
        """All trials. Not by Optuna's study, which would keep them in memory for good.

        Raises:
            LedgerError: a record was not written by us.
        """
        return [
            _stored(frozen)
            for frozen in self._storage.get_all_trials(self._study_id, deepcopy=False)
        ]

    def add(self, number: int, point: Point, record: Record, space: Space) -> None:
        """A new trial in one write, so that a dying driver leaves all of it or nothing."""
        template = create_trial(
            state=TrialState.RUNNING,
            params=point.params,
            distributions=distributions(space, point.params),
            user_attrs={RECORD: record.model_dump_json()},
        )
        self._ids[number] = self._storage.create_new_trial(self._study_id, template)

    def store(self, number: int, record: Record) -> None:
        """Replace the record of a trial."""
        self._storage.set_trial_user_attr(self._id(number), RECORD, record.model_dump_json())

    def settle(self, trial: Trial, rungs: Sequence[int]) -> None:
        """Bring Optuna's trial into the state that ours is in; its record is stored already.

        Args:
            trial: ours.
            rungs: iterations at which early stopping judges a trial.
        """
        key = self._id(trial.number)
        if trial.state == "diverged":
            self._storage.set_trial_system_attr(key, DIVERGED, 1.0)
        for iteration in _kept(trial, rungs) if trial.ended else ():
            self._storage.set_trial_intermediate_value(
                key, iteration, trial.best_by_iteration[iteration]
            )
        values = [trial.value] if trial.state == "completed" and trial.value is not None else None
        self._storage.set_trial_state_values(key, TO_OPTUNA[trial.state], values)

    def close(self) -> None:
        """Let go of the database."""
        close(self._storage)

    def _id(self, number: int) -> int:
        if number not in self._ids:
            self._ids[number] = self._storage.get_trial_id_from_study_id_trial_number(
                self._study_id, number
            )
        return self._ids[number]


def _stored(frozen: FrozenTrial) -> StoredTrial:
    try:
        record = Record.model_validate_json(frozen.user_attrs[RECORD])
    except (ValidationError, KeyError):
        raise LedgerError(f"the ledger's record of trial {frozen.number} is damaged") from None
    settled = TO_OPTUNA[record.state] == frozen.state
    return StoredTrial(frozen.number, frozen.params, record, settled)


def _kept(trial: Trial, rungs: Sequence[int]) -> list[int]:
    """The reports whose values Optuna keeps: those at the rungs, and the last one."""
    judged = {next((at for at in trial.best_by_iteration if at >= rung), 0) for rung in rungs}
    return sorted((judged | {trial.iteration}) - {0})


def load(storage: RDBStorage, name: str) -> Study:
    """The study of that name.

    Raises:
        NoSearch: there is none.
    """
    try:
        return Study(storage, name)
    except KeyError:
        names = ", ".join(study.study_name for study in storage.get_all_studies())
        raise NoSearch(
            f"no search {name!r} in {masked(str(storage.url))} (there are: {names or 'none'})"
        ) from None


def remove_stub(storage: RDBStorage, name: str, early: set[str]) -> bool:
    """Remove what a launch that was cut off has left of a study; false if it is more than that.

    Args:
        storage: of the ledger.
        name: of the study.
        early: attributes that a launch writes before the study is a search.
    """
    for known in storage.get_all_studies():
        if known.study_name == name:
            key = known._study_id  # noqa: SLF001 - Optuna has no public way
            if set(known.user_attrs) - early or storage.get_n_trials(key):
                return False
            storage.delete_study(key)
    return True
