"""A study in memory for Optuna's samplers to look at, and a sampler that draws a given point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import TrialState, create_trial

from synrep.errors import InputError
from synrep_search.durability.records import Point
from synrep_search.durability.study.trials import TO_OPTUNA, OptunaSuggest, distributions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from synrep_search.durability.records import Trial
    from synrep_search.search_file import Space


class At(BaseSampler):
    """Draws one given point.

    Args:
        params: its flat parameters; those that the trial does not ask for are passed over.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params

    def infer_relative_search_space(
        self, _study: Study, _trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """No parameters are drawn together."""
        return {}

    def sample_relative(
        self, _study: Study, _trial: FrozenTrial, _search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """None."""
        return {}

    def sample_independent(
        self, _study: Study, _trial: FrozenTrial, param_name: str, _: BaseDistribution
    ) -> Any:
        """The value at the point."""
        return self._params[param_name]


class _Mirror(optuna.storages.InMemoryStorage):
    """Keeps of a trial that runs no more than the ledger does.

    The estimator also notes what it drew for the branches that a trial did not take, to keep
    other trials away from there. A resumed search does not know that.
    """

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Note an attribute, unless it is what was drawn."""
        if not key.startswith("tpe:relative_params"):
            super().set_trial_system_attr(trial_id, key, value)


class MemoryStudy:
    """A study in memory that mirrors the ledger, for samplers to look at.

    Asking a database for the whole history before each proposal would cost more than the proposal.

    Args:
        space: that is searched.
        direction: of the goal.
    """

    def __init__(self, space: Space, direction: Literal["minimize", "maximize"]) -> None:
        self._space = space
        self.optuna = optuna.create_study(storage=_Mirror(), direction=direction)
        self._asked: dict[int, optuna.Trial] = {}

    def running(self) -> dict[int, dict[str, Any]]:
        """Flat parameters of the trials that were begun and have not ended."""
        return {number: asked.params for number, asked in self._asked.items()}

    def begin(
        self, number: int, sampler: BaseSampler | None, given: dict[str, Any] | None
    ) -> Point:
        """Begin a trial: at the given values, or where the sampler wants it.

        Raises:
            InputError: the given values lie outside the space.
        """
        if sampler is not None:
            self.optuna.sampler = sampler
        if given is not None:
            self.optuna.enqueue_trial(self._space.flatten(given))
        asked = self.optuna.ask()
        values = self._space.sample(OptunaSuggest(asked))
        self._asked[number] = asked
        return Point(values=values, params=asked.params)

    def end(self, trial: Trial) -> None:
        """Take in how a trial has ended, whether it was begun here or not."""
        asked = self._asked.pop(trial.number, None)
        if asked is None:
            self._add(trial)
            return
        if trial.value is not None:
            asked.report(trial.value, max(trial.best_by_iteration))
        if trial.state == "diverged":
            asked.set_constraint("diverged", 1.0)
        state = TO_OPTUNA[trial.state]
        values = trial.value if state is TrialState.COMPLETE else None
        self.optuna.tell(asked, values, state)

    def _add(self, trial: Trial) -> None:
        try:
            params = self._space.flatten(trial.record.values)
        except InputError:
            return  # the space was changed since: nothing to learn for the new one
        values = {} if trial.value is None else {max(trial.best_by_iteration): trial.value}
        frozen = create_trial(
            state=TO_OPTUNA[trial.state],
            value=trial.value if trial.state == "completed" else None,
            params=params,
            distributions=distributions(self._space, params),
            intermediate_values=values,
            constraints={"diverged": 1.0} if trial.state == "diverged" else None,
        )
        self.optuna.add_trial(frozen)
