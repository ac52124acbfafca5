"""Factories that build the samplers from their options in the search file.

Each sampler of `synrep_search.search_file.samplers` has a factory in `FACTORIES`. A factory is
called once per search and returns a function that maps a trial's number to the Optuna sampler that
draws its point. The draw may depend only on the options, the number and the recorded trials: a
resumed search must propose the same points as an uninterrupted one. Factories import packages other
than Optuna locally.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import TrialState, create_trial

from synrep.errors import InputError
from synrep_search.durability.records import derived_seed
from synrep_search.durability.study.trials import OptunaSuggest, distributions
from synrep_search.search.samplers.study import PointSampler
from synrep_search.search_file.samplers import (
    CmaEs,
    GaussianProcess,
    Grid,
    QuasiMonteCarlo,
    RandomSampler,
    Tpe,
)
from synrep_search.search_file.space import grid
from synrep_search.search_file.space.parameters import parameters

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from synrep_search.search.history import History
    from synrep_search.search_file.samplers import SamplerOptions

ForTrial: TypeAlias = Callable[[int], BaseSampler]

LARGEST_PROCESS = 500
"""Number of trials that a Gaussian process is fitted to: half of them the best, half the newest.
The time of a fit grows with the cube of their number."""


def for_trials(options: SamplerOptions, history: History) -> ForTrial:
    """Return the function that maps a trial's number to its sampler.

    Args:
        options: options of the sampler.
        history: the space and the trials; read again for each trial.

    Raises:
        InputError: a package that the sampler needs is missing.
    """
    return FACTORIES[type(options)](options, history)


def _tpe(options: Tpe, _history: History) -> ForTrial:
    def sampler(number: int) -> BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of `group`
            # `group` samples conditional parameters jointly with those that they depend on; the
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


def _gp(options: GaussianProcess, history: History) -> ForTrial:
    # GPSampler considers completed trials only and would propose the point of a diverged trial
    # again and again: it gets a separate study, in which all ended trials are completed. Each trial
    # gets a new sampler, since GPSampler starts its fit from the result of the previous one.
    def sampler(number: int) -> BaseSampler:
        seed = derived_seed(options.seed, number, "sampler")
        process = optuna.samplers.GPSampler(
            seed=seed, n_startup_trials=options.startup, warn_independent_sampling=False
        )
        study = optuna.create_study(sampler=process)
        for trial in _all_completed(history):
            study.add_trial(trial)
        asked = study.ask()
        history.space.sample(OptunaSuggest(asked))
        return PointSampler(asked.params)

    return sampler


def _all_completed(history: History) -> list[FrozenTrial]:
    """Return trials with a loss as completed ones; diverged trials get the worst loss."""
    summaries = history.best_and_newest(LARGEST_PROCESS)
    worst = max((one.loss for one in summaries if one.loss is not None), default=None)
    found = []
    for one in summaries:
        running = one.state == "running"
        loss = worst if one.state == "diverged" else one.loss
        if running or (loss is not None and one.state != "failed"):
            state = TrialState.RUNNING if running else TrialState.COMPLETE
            value = None if running else loss
            space = distributions(history.space, one.params)
            found.append(
                create_trial(state=state, value=value, params=one.params, distributions=space)
            )
    return found


def _cmaes(options: CmaEs, history: History) -> ForTrial:
    # Not CmaEsSampler of Optuna: it pickles its state into the trials and needs the generation of
    # each trial, and the ledger records neither.
    try:
        from synrep_search.search.samplers.evolution import Evolution  # noqa: PLC0415
    except ImportError:
        rule, remedy = "needs the package cmaes", "pip install 'synrep-search[cmaes]'"
        raise InputError("search.sampler.cmaes", rule, remedy) from None
    evolution = Evolution(history, options.population)

    def sampler(number: int) -> BaseSampler:
        return PointSampler(evolution.draw(derived_seed(options.seed, number, "sampler")))

    return sampler


def _qmc(options: QuasiMonteCarlo, history: History) -> ForTrial:
    # Not QMCSampler of Optuna: it counts in attributes of the study, which a resume would lose, and
    # draws the first trial and all conditional parameters at random.
    from scipy.stats import qmc  # noqa: PLC0415 - takes half a second

    sequences = {"sobol": qmc.Sobol, "halton": qmc.Halton}
    axes = parameters(history.space)

    def sampler(number: int) -> BaseSampler:
        if not axes:
            return PointSampler({})
        sequence = sequences[options.sequence](len(axes), scramble=True, seed=options.seed)
        if number:
            sequence.fast_forward(number)
        (point,) = sequence.random(1).tolist()
        return PointSampler({axis.name: axis.at(u) for axis, u in zip(axes, point, strict=True)})

    return sampler


def _grid(options: Grid, history: History) -> ForTrial:
    space = history.space
    order = list(range(grid.size(space)))
    random.Random(options.seed).shuffle(order)  # noqa: S311 - not for security
    tried: set[int] = set()
    seen = 0

    def sampler(_number: int) -> BaseSampler:
        nonlocal seen
        new = islice(history.trials.values(), seen, None)  # ended trials keep their position
        tried.update(grid.number_of(space, one.params) for one in new)
        seen = len(history.trials)
        while order[-1] in tried:
            order.pop()
        return PointSampler(grid.point(space, order[-1]))

    return sampler


FACTORIES: dict[type[SamplerOptions], Callable[[Any, History], ForTrial]] = {
    Tpe: _tpe,
    RandomSampler: _random,
    GaussianProcess: _gp,
    CmaEs: _cmaes,
    QuasiMonteCarlo: _qmc,
    Grid: _grid,
}
