"""Samplers, behind the names of a search file. The only module here that imports Optuna.

Each sampler of `synrep_search.search_file.samplers` has a function in `FACTORIES`. It is called
once a search and gives a function from a trial's number to the Optuna sampler that draws that
trial's point. The draw may depend on the options, the number and the trials known, and on nothing
else: a resumed search must propose what one that never stopped would have. What a sampler needs
beyond Optuna is imported in its function.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import TrialState, create_trial

from synrep.errors import InputError
from synrep_search.durability.records import Point, derived_seed
from synrep_search.durability.study.trials import TO_OPTUNA, OptunaSuggest, distributions
from synrep_search.search_file import (
    CmaEs,
    GaussianProcess,
    Grid,
    QuasiMonteCarlo,
    RandomSampler,
    Tpe,
    grid,
)
from synrep_search.search_file.parameters import parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from synrep_search.durability.records import Trial
    from synrep_search.search.history import History
    from synrep_search.search_file import Space
    from synrep_search.search_file.samplers import SamplerOptions

ForTrial: TypeAlias = Callable[[int], BaseSampler]

NOTES_OF_DRAWS = ("tpe:relative_params", "gp:relative_params")


def for_trials(options: SamplerOptions, history: History) -> ForTrial:
    """The function that gives each trial its sampler.

    Args:
        options: of the sampler.
        history: the space and the trials; the sampler looks at it again for each trial.

    Raises:
        InputError: a package that the sampler needs is missing.
    """
    return FACTORIES[type(options)](options, history)


def _tpe(options: Tpe, _history: History) -> ForTrial:
    def sampler(number: int) -> BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of `group`
            # Groups make conditional parameters joint with those that decide over them; the
            # constant liar keeps trials that run at the same time apart.
            return optuna.samplers.TPESampler(
                seed=derived_seed(options.seed, number, "sampler"),
                n_startup_trials=options.startup,
                multivariate=True,
                group=True,
                constant_liar=True,
            )

    return sampler


def _random(options: RandomSampler, _history: History) -> ForTrial:
    return lambda number: optuna.samplers.RandomSampler(
        seed=derived_seed(options.seed, number, "sampler")
    )


def _gp(options: GaussianProcess, _history: History) -> ForTrial:
    # A new one for each trial: it would begin the next fit of its kernel where the last one ended.
    return lambda number: optuna.samplers.GPSampler(
        seed=derived_seed(options.seed, number, "sampler"),
        n_startup_trials=options.startup,
        warn_independent_sampling=False,
    )


def _cmaes(options: CmaEs, history: History) -> ForTrial:
    # Not Optuna's, which pickles its state into the trials and needs to know which of its
    # populations drew each: the ledger tells neither.
    try:
        from synrep_search.search.evolution import Evolution  # noqa: PLC0415
    except ImportError:
        rule, remedy = "needs the package cmaes", "pip install 'synrep-search[cmaes]'"
        raise InputError("search.sampler.cmaes", rule, remedy) from None
    evolution = Evolution(history, options.population)

    def sampler(number: int) -> BaseSampler:
        return _At(evolution.draw(derived_seed(options.seed, number, "sampler")))

    return sampler


def _qmc(options: QuasiMonteCarlo, history: History) -> ForTrial:
    from scipy.stats import qmc  # noqa: PLC0415 - half a second

    sequences = {"sobol": qmc.Sobol, "halton": qmc.Halton}
    axes = parameters(history.space)

    def sampler(number: int) -> BaseSampler:
        if not axes:
            return _At({})
        sequence = sequences[options.sequence](len(axes), scramble=True, seed=options.seed)
        if number:
            sequence.fast_forward(number)
        (point,) = sequence.random(1).tolist()
        return _At({axis.name: axis.at(u) for axis, u in zip(axes, point, strict=True)})

    return sampler


def _grid(options: Grid, history: History) -> ForTrial:
    space = history.space
    order = list(range(grid.size(space)))
    random.Random(options.seed).shuffle(order)  # noqa: S311 - guards no secret
    tried: set[int] = set()
    seen = 0

    def sampler(_number: int) -> BaseSampler:
        nonlocal seen
        new = islice(history.trials.values(), seen, None)  # those that end keep their place
        tried.update(grid.number_of(space, one.params) for one in new)
        seen = len(history.trials)
        while order[-1] in tried:
            order.pop()
        return _At(grid.point(space, order[-1]))

    return sampler


FACTORIES: dict[type[SamplerOptions], Callable[[Any, History], ForTrial]] = {
    Tpe: _tpe,
    RandomSampler: _random,
    GaussianProcess: _gp,
    CmaEs: _cmaes,
    QuasiMonteCarlo: _qmc,
    Grid: _grid,
}


class _At(BaseSampler):
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

    Some samplers also note what they drew for the branches that a trial did not take, to keep other
    trials away from there. A resumed search does not know that.
    """

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Note an attribute, unless it is what was drawn."""
        if not key.startswith(NOTES_OF_DRAWS):
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
