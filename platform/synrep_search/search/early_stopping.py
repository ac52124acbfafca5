"""Asynchronous successive halving, the stopping variant (Li et al., MLSys 2020).

A trial that reaches a rung goes on only if its best value so far is among the best
1/reduction of all values seen at that rung. The rungs are a function of the ledger: they are
filled again from its records when a search is resumed.
"""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class SuccessiveHalving:
    """Decides which trials go on.

    Args:
        rungs: iterations at which a trial is judged, ascending.
        reduction: one over the share that passes each.
    """

    def __init__(self, rungs: list[int], reduction: int) -> None:
        self.reduction = reduction
        self.best_by_iteration = rungs
        self._values: dict[int, list[float]] = {rung: [] for rung in rungs}
        self._reached: dict[int, int] = {}

    def restore(self, trial: int, losses: Mapping[int, float]) -> None:
        """Enter the recorded losses of a trial, by iteration, without deciding anything."""
        for iteration, loss in losses.items():
            self._enter(trial, iteration, loss)

    def goes_on(self, trial: int, iteration: int, loss: float) -> bool:
        """Whether a trial goes on after a report.

        Args:
            trial: its number.
            iteration: updates done; each rung is judged once, at the first report that reaches it.
            loss: best value so far; smaller is better.
        """
        return all(self._passes(rung, loss) for rung in self._enter(trial, iteration, loss))

    def _enter(self, trial: int, iteration: int, loss: float) -> list[int]:
        """Add the loss to the rungs that the trial has newly reached; those rungs."""
        before = self._reached.get(trial, 0)
        new = [rung for rung in self.best_by_iteration if before < rung <= iteration]
        self._reached[trial] = max(before, iteration)
        for rung in new:
            insort(self._values[rung], loss)
        return new

    def _passes(self, rung: int, loss: float) -> bool:
        values = self._values[rung]
        # With fewer values than the reduction, only the best so far passes.
        places = max(1, len(values) // self.reduction)
        return loss <= values[places - 1]
