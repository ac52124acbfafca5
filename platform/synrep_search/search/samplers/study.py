"""An in-memory study for Optuna's samplers, and a sampler that returns a given point."""

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


class PointSampler(BaseSampler):
    """Sampler that returns a given point.

    Args:
        params: flat parameters of the point; those that the trial does not request are ignored.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params

    def infer_relative_search_space(
        self, _study: Study, _trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return an empty space: no parameters are drawn jointly."""
        return {}

    def sample_relative(
        self, _study: Study, _trial: FrozenTrial, _search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return no parameters."""
        return {}

    def sample_independent(
        self, _study: Study, _trial: FrozenTrial, param_name: str, _: BaseDistribution
    ) -> Any:
        """Return the value of the point."""
        return self._params[param_name]


class _Mirror(optuna.storages.InMemoryStorage):
    """Storage that keeps no more of a running trial than the ledger does.

    TPE also stores the parameters that it drew for the families that a trial did not choose, to
    keep other trials away from them. A resumed search does not have this information.
    """

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Store an attribute, unless it holds the parameters that TPE drew."""
        if not key.startswith("tpe:relative_params"):
            super().set_trial_system_attr(trial_id, key, value)


class MemoryStudy:
    """In-memory copy of the ledger's study for samplers.

    Reading the whole history from a database before each proposal would cost more than the proposal
    itself.

    Args:
        space: the search space.
        direction: direction of optimization.
    """

    def __init__(self, space: Space, direction: Literal["minimize", "maximize"]) -> None:
        self._space = space
        self.optuna = optuna.create_study(storage=_Mirror(), direction=direction)
        self._asked: dict[int, optuna.Trial] = {}

    def running(self) -> dict[int, dict[str, Any]]:
        """Return the flat parameters of the trials that have not ended, by number."""
        return {number: asked.params for number, asked in self._asked.items()}

    def begin(
        self, number: int, sampler: BaseSampler | None, given: dict[str, Any] | None
    ) -> Point:
        """Start a trial at the given values, or at a point that the sampler draws.

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
        """Record the final state of a trial, whether it was started here or not."""
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
            return  # the space has changed since: the trial does not apply to it
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
