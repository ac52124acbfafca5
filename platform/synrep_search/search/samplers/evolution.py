"""CMA-ES (Hansen, arXiv:1604.00772) as a function of the trials of a search.

Trials, ordered by number and without failed ones, are divided into populations. Each population
updates the distribution, one after another, as soon as all of its trials have ended; a new trial is
drawn from the current distribution. If several trials run at the same time, the last ones of a
population may be drawn before the preceding update. That costs some efficiency, but the draws
depend on the ledger alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from cmaes import CMA

from synrep_search.search_file.space.parameters import parameters

if TYPE_CHECKING:
    from synrep_search.search.history import History, TrialSummary

STEP = 1 / 6
"""Initial standard deviation as a fraction of each range, as in Optuna."""


class Evolution:
    """The search distribution and the trials that have updated it.

    Args:
        history: the trials, read again for each draw.
        population: population size; None for the default of the paper.
    """

    def __init__(self, history: History, population: int | None) -> None:
        self._history = history
        self._axes = parameters(history.space)
        dimensions = len(self._axes)
        self._cma = CMA(
            mean=np.full(dimensions, 0.5),
            sigma=STEP,
            bounds=np.tile([0.0, 1.0], (dimensions, 1)),
            n_max_resampling=10 * dimensions,
            population_size=population,
            seed=0,  # replaced for each draw
        )
        self._last_told = -1

    def draw(self, seed: int) -> dict[str, Any]:
        """Return the flat parameters of a new trial."""
        while (members := self._next_population()) is not None:
            ranked = sorted(members.values(), key=_rank)
            self._cma.tell(
                [(self._coordinates(one), float(rank)) for rank, one in enumerate(ranked)]
            )
            self._last_told = max(members)
        self._cma.reseed_rng(seed)
        point = self._cma.ask()
        return {axis.name: axis.at(u) for axis, u in zip(self._axes, point.tolist(), strict=True)}

    def _next_population(self) -> dict[int, TrialSummary] | None:
        """Return the next population to tell, or None while too few trials have ended."""
        members: dict[int, TrialSummary] = {}
        for number, trial in self._untold():
            if trial.state == "running":
                return None
            if trial.state != "failed":
                members[number] = trial
            if len(members) == self._cma.population_size:
                return members
        return None

    def _untold(self) -> list[tuple[int, TrialSummary]]:
        trials = self._history.trials
        return [(number, trials[number]) for number in sorted(trials) if number > self._last_told]

    def _coordinates(self, trial: TrialSummary) -> Any:
        return np.array([axis.coordinate(trial.params[axis.name]) for axis in self._axes])


def _rank(trial: TrialSummary) -> tuple[int, int, float]:
    """Return the sort key, best first: completed trials, stopped ones by iterations, the rest."""
    order = {"completed": 0, "stopped_early": 1}.get(trial.state, 2)
    loss = math.inf if trial.loss is None else trial.loss
    return order, -trial.iteration if order else 0, loss
