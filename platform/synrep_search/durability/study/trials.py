"""Store trials in an Optuna study.

| state         | in Optuna                                                   |
|---------------|-------------------------------------------------------------|
| waiting       | WAITING                                                     |
| running       | RUNNING                                                     |
| completed     | COMPLETE, with the best value                               |
| stopped_early | PRUNED, with the values at its rungs                        |
| diverged      | PRUNED and infeasible: the sampler avoids the point         |
| failed        | FAIL: the sampler ignores it                                |
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
"""User attribute of a trial that holds its `Record` as JSON."""
DIVERGED = "constraints:diverged"
"""System attribute that Optuna's `Trial.set_constraint` writes: above 0 is infeasible."""
optuna.logging.set_verbosity(optuna.logging.WARNING)


class OptunaSuggest:
    """Suggest the parameters of one trial with Optuna.

    Args:
        trial: the Optuna trial.
    """

    def __init__(self, trial: BaseTrial) -> None:
        self._trial = trial

    def float(
        self, name: str, low: _Float, high: _Float, *, log: bool, step: _Float | None
    ) -> _Float:
        """Suggest a number in [low, high]."""
        return self._trial.suggest_float(name, low, high, log=log, step=step)

    def int(self, name: str, low: _Int, high: _Int, *, log: bool, step: _Int) -> _Int:
        """Suggest an integer in [low, high]."""
        return self._trial.suggest_int(name, low, high, log=log, step=step)

    def choice(self, name: str, options: Sequence[Scalar]) -> Scalar:
        """Suggest one of the options."""
        return cast("Scalar", self._trial.suggest_categorical(name, list(options)))


def distributions(space: Space, params: dict[str, Any]) -> dict[str, BaseDistribution]:
    """Return Optuna's distribution of each flat parameter of a point."""
    replay = optuna.trial.FixedTrial(params)
    space.sample(OptunaSuggest(replay))
    return replay.distributions


class StoredTrial(NamedTuple):
    """A trial as read from the study.

    Attributes:
        number: number of the trial.
        params: flat parameters.
        record: the trial's record.
        settled: whether Optuna's state corresponds to the state of the record.
    """

    number: int
    params: dict[str, Any]
    record: Record
    settled: bool


class Study:
    """The Optuna study of one search; use `create` or `load` to get one.

    Args:
        storage: storage of the study; trials are written to it directly, because Optuna's `Study`
            reads back everything it writes.
        name: name of the search.
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
        """Create a study without attributes and trials."""
        optuna.create_study(study_name=name, storage=storage, direction=direction)
        return cls(storage, name)

    @property
    def attributes(self) -> dict[str, Any]:
        """User attributes of the study, as stored by `note`."""
        return self.optuna.user_attrs

    def note(self, key: str, value: Any) -> None:
        """Store a user attribute of the study, as JSON."""
        self.optuna.set_user_attr(key, value)

    def read(self) -> list[StoredTrial]:
        """Read all trials from the storage; Optuna's `Study` would keep them all in memory.

        Raises:
            LedgerError: the record of a trial is damaged.
        """
        return [
            _stored(frozen)
            for frozen in self._storage.get_all_trials(self._study_id, deepcopy=False)
        ]

    def add(self, number: int, point: Point, record: Record, space: Space) -> None:
        """Add a trial in one atomic write: a dying driver leaves no partial trial."""
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
        """Set the state of the Optuna trial to the state of its record, which is already stored.

        Args:
            trial: the trial.
            rungs: iterations at which early stopping decides on a trial.
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
        """Close the connections to the database."""
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
    """Return the iterations whose values Optuna stores: those at the rungs and the last one."""
    judged = {next((at for at in trial.best_by_iteration if at >= rung), 0) for rung in rungs}
    return sorted((judged | {trial.iteration}) - {0})


def load(storage: RDBStorage, name: str) -> Study:
    """Load the study of a search.

    Raises:
        NoSearch: there is no study of this name.
    """
    try:
        return Study(storage, name)
    except KeyError:
        names = ", ".join(study.study_name for study in storage.get_all_studies())
        raise NoSearch(
            f"no search {name!r} in {masked(str(storage.url))} (there are: {names or 'none'})"
        ) from None


def remove_stub(storage: RDBStorage, name: str, early: set[str]) -> bool:
    """Delete the incomplete study that an interrupted launch left, if there is one.

    Args:
        storage: storage of the ledger.
        name: name of the study.
        early: attributes that a launch writes before the study is complete.

    Returns:
        False if the study is complete; it is then left unchanged.
    """
    for study in storage.get_all_studies():
        if study.study_name == name:
            key = study._study_id  # noqa: SLF001 - Optuna has no public way
            if set(study.user_attrs) - early or storage.get_n_trials(key):
                return False
            storage.delete_study(key)
    return True
