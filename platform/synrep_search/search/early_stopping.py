"""Early stopping rules, which decide whether a trial continues after a report.

Each rule of `synrep_search.search_file.early_stopping` has a class in `RULES`. Decisions depend
only on the values reported so far, which are restored from the ledger when a search is resumed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any

from synrep_search.search_file.early_stopping import Asha, Median

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from synrep_search.search_file.early_stopping import EarlyStoppingOptions


class EarlyStopping(ABC):
    """Decides which trials continue."""

    def restore(self, trial: int, losses: Mapping[int, float]) -> None:
        """Add the recorded losses of a trial, by iteration; what follows from them is past."""
        for iteration, loss in losses.items():
            self.goes_on(trial, iteration, loss)

    @abstractmethod
    def goes_on(self, trial: int, iteration: int, loss: float) -> bool:
        """Return whether a trial continues after a report, and remember the report.

        Args:
            trial: number of the trial.
            iteration: number of iterations completed.
            loss: best value so far; smaller is better.
        """

    @abstractmethod
    def reason(self, iteration: int) -> str:
        """Return why a trial was stopped at a report."""


class SuccessiveHalving(EarlyStopping):
    """Asynchronous successive halving, the stopping variant (Li et al., MLSys 2020).

    A trial that reaches a rung continues only if its best value so far is among the best
    1/reduction of all values seen at that rung.

    Args:
        rungs: iterations at which a trial is judged, ascending.
        reduction: reduction factor; 1/reduction of the trials pass each rung.
    """

    def __init__(self, rungs: list[int], reduction: int) -> None:
        self.reduction = reduction
        self.rungs = rungs
        self._values: dict[int, list[float]] = {rung: [] for rung in rungs}
        self._reached: dict[int, int] = {}

    def goes_on(self, trial: int, iteration: int, loss: float) -> bool:
        """Return whether a trial continues after a report.

        Args:
            trial: number of the trial.
            iteration: number of iterations completed; each rung is judged once, at the first report
                that reaches it.
            loss: best value so far; smaller is better.
        """
        return all(self._passes(rung, loss) for rung in self._enter(trial, iteration, loss))

    def reason(self, iteration: int) -> str:
        """Return why a trial was stopped at a report."""
        return f"not among the best at {iteration}"

    def _enter(self, trial: int, iteration: int, loss: float) -> list[int]:
        """Add the loss to the rungs that the trial has newly reached, and return them."""
        before = self._reached.get(trial, 0)
        new = [rung for rung in self.rungs if before < rung <= iteration]
        self._reached[trial] = max(before, iteration)
        for rung in new:
            insort(self._values[rung], loss)
        return new

    def _passes(self, rung: int, loss: float) -> bool:
        values = self._values[rung]
        # With fewer values than the reduction factor, only the best one so far passes.
        places = max(1, len(values) // self.reduction)
        return loss <= values[places - 1]


class MedianStopping(EarlyStopping):
    """The median stopping rule (Golovin et al., KDD 2017), applied to best values so far.

    A trial continues only if its best value so far is no worse than the median of the best values
    that the other trials had at the same iteration; trials that have not reached it don't count.

    Args:
        first: iteration from which trials are judged.
        minimum: number of other trials that must have reached the iteration.
    """

    def __init__(self, first: int, minimum: int) -> None:
        self._first = first
        self._minimum = minimum
        self._losses: dict[int, dict[int, float]] = {}
        self._at: dict[int, list[float]] = {}  # by iteration, of every trial that reached it

    def goes_on(self, trial: int, iteration: int, loss: float) -> bool:
        """Return whether a trial continues after a report.

        Args:
            trial: number of the trial.
            iteration: number of iterations completed; each report is judged once.
            loss: best value so far; smaller is better.
        """
        if not self._enter(trial, iteration, loss) or iteration < self._first:
            return True
        values = self._at[iteration]
        count = len(values) - 1
        if count < self._minimum:
            return True
        own = bisect_left(values, loss)

        def other(rank: int) -> float:
            return values[rank if rank < own else rank + 1]

        return loss <= (other((count - 1) // 2) + other(count // 2)) / 2

    def reason(self, iteration: int) -> str:
        """Return why a trial was stopped at a report."""
        return f"worse than the median at {iteration}"

    def _enter(self, trial: int, iteration: int, loss: float) -> bool:
        """Add a loss, also at earlier iterations that others reported; return whether it is new."""
        losses = self._losses.setdefault(trial, {})
        before = max(losses, default=0)
        if iteration <= before:
            return False
        if iteration not in self._at:
            self._at[iteration] = sorted(
                found
                for other in self._losses.values()
                if (found := _value_at(other, iteration)) is not None
            )
        losses[iteration] = loss
        for passed, values in self._at.items():
            if before < passed <= iteration:
                # In between, the trial had the best value of its previous report, if any.
                found = loss if passed == iteration else losses.get(before)
                if found is not None:
                    insort(values, found)
        return True


def _value_at(losses: Mapping[int, float], iteration: int) -> float | None:
    """Return the best value of a trial at an iteration; None if it has not reached it."""
    if max(losses, default=0) < iteration:
        return None
    return losses.get(max((at for at in losses if at <= iteration), default=0))


RULES: dict[type[EarlyStoppingOptions], Callable[[Any, int], EarlyStopping]] = {
    Asha: lambda options, length: SuccessiveHalving(options.rungs(length), options.reduction),
    Median: lambda options, length: MedianStopping(options.first(length), options.minimum),
}
"""Factory of each rule, called with its options and the number of iterations of a training."""
