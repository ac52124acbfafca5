"""The samplers of a search file, built from its options.

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
from typing import TYPE_CHECKING, Any, TypeAlias

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import TrialState, create_trial

from synrep.errors import InputError
from synrep_search.durability.records import derived_seed
from synrep_search.durability.study.trials import OptunaSuggest, distributions
from synrep_search.search.samplers.study import At
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
"""Trials that a Gaussian process is fitted to: the best half and the newest. The time of a fit
grows with the cube of their number."""


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


def _gp(options: GaussianProcess, history: History) -> ForTrial:
    # Optuna's looks at completed trials alone, and would propose again and again the point of one
    # that diverged: it gets a study of its own, where all that ended are completed. A new sampler
    # for each trial, since one would begin its fit where the one before has ended.
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
        return At(asked.params)

    return sampler


def _all_completed(history: History) -> list[FrozenTrial]:
    """Trials with a loss as completed ones; those that diverged as poor as the worst."""
    known = history.best_and_newest(LARGEST_PROCESS)
    worst = max((one.loss for one in known if one.loss is not None), default=None)
    found = []
    for one in known:
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
    # Not Optuna's, which pickles its state into the trials and needs to know which of its
    # populations drew each: the ledger tells neither.
    try:
        from synrep_search.search.samplers.evolution import Evolution  # noqa: PLC0415
    except ImportError:
        rule, remedy = "needs the package cmaes", "pip install 'synrep-search[cmaes]'"
        raise InputError("search.sampler.cmaes", rule, remedy) from None
    evolution = Evolution(history, options.population)

    def sampler(number: int) -> BaseSampler:
        return At(evolution.draw(derived_seed(options.seed, number, "sampler")))

    return sampler


def _qmc(options: QuasiMonteCarlo, history: History) -> ForTrial:
    # Not Optuna's QMCSampler: it counts in attributes of the study, which a resume would lose, and
    # draws the first trial and all conditional parameters at random.
    from scipy.stats import qmc  # noqa: PLC0415 - half a second

    sequences = {"sobol": qmc.Sobol, "halton": qmc.Halton}
    axes = parameters(history.space)

    def sampler(number: int) -> BaseSampler:
        if not axes:
            return At({})
        sequence = sequences[options.sequence](len(axes), scramble=True, seed=options.seed)
        if number:
            sequence.fast_forward(number)
        (point,) = sequence.random(1).tolist()
        return At({axis.name: axis.at(u) for axis, u in zip(axes, point, strict=True)})

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
        return At(grid.point(space, order[-1]))

    return sampler


FACTORIES: dict[type[SamplerOptions], Callable[[Any, History], ForTrial]] = {
    Tpe: _tpe,
    RandomSampler: _random,
    GaussianProcess: _gp,
    CmaEs: _cmaes,
    QuasiMonteCarlo: _qmc,
    Grid: _grid,
}
