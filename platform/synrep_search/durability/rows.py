"""Our trials as rows of an Optuna study: the only place that writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna.trial import TrialState, create_trial

from synrep_search.durability.records import DIVERGED, RECORD, TO_OPTUNA

if TYPE_CHECKING:
    from collections.abc import Sequence

    import optuna
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial

    from synrep_search.durability.records import Point, Record, Trial


class TrialRows:
    """The rows of one study.

    Args:
        storage: of the database; written to directly, since a study reads back what it writes.
        study: the study.
        rungs: iterations at which early stopping judges a trial.
    """

    def __init__(self, storage: RDBStorage, study: optuna.Study, rungs: Sequence[int]) -> None:
        self._storage = storage
        self._rungs = rungs
        self._study_id = study._study_id  # noqa: SLF001 - Optuna has no public way
        self._ids: dict[int, int] = {}

    def read(self) -> list[FrozenTrial]:
        """All trials. Not by the study, which would keep them in memory for good."""
        return self._storage.get_all_trials(self._study_id, deepcopy=False)

    def add(self, number: int, point: Point, record: Record) -> None:
        """A new trial in one write, so that a dying driver leaves all of it or nothing."""
        template = create_trial(
            state=TrialState.RUNNING,
            params=point.params,
            distributions=point.distributions,
            user_attrs={RECORD: record.model_dump_json()},
        )
        self._ids[number] = self._storage.create_new_trial(self._study_id, template)

    def store(self, number: int, record: Record) -> None:
        """Replace the record of a trial."""
        self._storage.set_trial_user_attr(self._id(number), RECORD, record.model_dump_json())

    def settle(self, trial: Trial) -> None:
        """Bring Optuna's trial into the state that ours is in; its record is stored already."""
        key = self._id(trial.number)
        if trial.state == "diverged":
            self._storage.set_trial_system_attr(key, DIVERGED, 1.0)
        for iteration in self._kept(trial) if trial.ended else ():
            self._storage.set_trial_intermediate_value(
                key, iteration, trial.best_by_iteration[iteration]
            )
        values = [trial.value] if trial.state == "completed" and trial.value is not None else None
        self._storage.set_trial_state_values(key, TO_OPTUNA[trial.state], values)

    def _kept(self, trial: Trial) -> list[int]:
        """The reports whose values Optuna keeps: those at the rungs, and the last one."""
        judged = {
            next((at for at in trial.best_by_iteration if at >= rung), 0) for rung in self._rungs
        }
        return sorted((judged | {trial.iteration}) - {0})

    def _id(self, number: int) -> int:
        if number not in self._ids:
            self._ids[number] = self._storage.get_trial_id_from_study_id_trial_number(
                self._study_id, number
            )
        return self._ids[number]
