"""CMA-ES (Hansen, arXiv:1604.00772) as a function of a search's trials.

The trials, in the order of their numbers and without those that failed, are cut into populations.
The distribution is updated by each population, one after another, as soon as all of it has ended;
a trial is drawn from the distribution as it is by then. With several trials at a time, the last
ones of a population may be drawn before the update that precedes it: less to learn from, but what
is drawn depends on the ledger alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from cmaes import CMA

from synrep_search.search_file.space.parameters import parameters

if TYPE_CHECKING:
    from synrep_search.search.history import History, Tried

STEP = 1 / 6
"""First standard deviation, as a fraction of each range; Optuna begins with the same."""


class Evolution:
    """Where the distribution stands.

    Args:
        history: the trials, looked at again for each draw.
        population: number of trials of a population; None for the rule of the paper.
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
            seed=0,  # each draw brings its own
        )
        self._told = -1

    def draw(self, seed: int) -> dict[str, Any]:
        """The flat parameters of a new trial."""
        while (members := self._next_population()) is not None:
            ranked = sorted(members.values(), key=_rank)
            self._cma.tell([(self._place(one), float(rank)) for rank, one in enumerate(ranked)])
            self._told = max(members)
        self._cma.reseed_rng(seed)
        point = self._cma.ask()
        return {axis.name: axis.at(u) for axis, u in zip(self._axes, point.tolist(), strict=True)}

    def _next_population(self) -> dict[int, Tried] | None:
        """The first trials that were not told yet; None while too few have ended."""
        members: dict[int, Tried] = {}
        for number, trial in self._later():
            if trial.state == "running":
                return None
            if trial.state != "failed":
                members[number] = trial
            if len(members) == self._cma.population_size:
                return members
        return None

    def _later(self) -> list[tuple[int, Tried]]:
        trials = self._history.trials
        return [(number, trials[number]) for number in sorted(trials) if number > self._told]

    def _place(self, trial: Tried) -> Any:
        return np.array([axis.coordinate(trial.params[axis.name]) for axis in self._axes])


def _rank(trial: Tried) -> tuple[int, int, float]:
    """Sorts trials, the best first: completed ones, then by how far they came."""
    order = {"completed": 0, "stopped_early": 1}.get(trial.state, 2)
    loss = math.inf if trial.loss is None else trial.loss
    return order, -trial.iteration if order else 0, loss
