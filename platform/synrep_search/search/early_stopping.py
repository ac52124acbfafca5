"""Early stopping: which trials go on after a report.

Each rule of `synrep_search.search_file.early_stopping` has a class in `RULES`. What a rule decides
is a function of the values reported so far: it is filled again from the ledger when a search is
resumed.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any, Protocol

from synrep_search.search_file.early_stopping import Asha, Median

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from synrep_search.search_file.early_stopping import EarlyStoppingOptions


class EarlyStopping(Protocol):
    """Decides which trials go on."""

    def restore(self, trial: int, losses: Mapping[int, float]) -> None:
        """Enter the recorded losses of a trial, by iteration, without deciding anything."""

    def goes_on(self, trial: int, iteration: int, loss: float) -> bool:
        """Whether a trial goes on after a report.

        Args:
            trial: its number.
            iteration: updates done.
            loss: best value so far; smaller is better.
        """

    def reason(self, iteration: int) -> str:
        """Why a trial was stopped at a report."""


class SuccessiveHalving:
    """Asynchronous successive halving, the stopping variant (Li et al., MLSys 2020).

    A trial that reaches a rung goes on only if its best value so far is among the best 1/reduction
    of all values seen at that rung.

    Args:
        rungs: iterations at which a trial is judged, ascending.
        reduction: one over the share that passes each.
    """

    def __init__(self, rungs: list[int], reduction: int) -> None:
        self.reduction = reduction
        self.rungs = rungs
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

    def reason(self, iteration: int) -> str:
        """Why a trial was stopped at a report."""
        return f"not among the best at {iteration}"

    def _enter(self, trial: int, iteration: int, loss: float) -> list[int]:
        """Add the loss to the rungs that the trial has newly reached; those rungs."""
        before = self._reached.get(trial, 0)
        new = [rung for rung in self.rungs if before < rung <= iteration]
        self._reached[trial] = max(before, iteration)
        for rung in new:
            insort(self._values[rung], loss)
        return new

    def _passes(self, rung: int, loss: float) -> bool:
        values = self._values[rung]
        # With fewer values than the reduction, only the best so far passes.
        places = max(1, len(values) // self.reduction)
        return loss <= values[places - 1]


class MedianStopping:
    """The median rule (Golovin et al., KDD 2017), on best values so far.

    A trial goes on only if its best value so far is no worse than the median of the best values
    that the other trials had at the same iteration; those that have not come as far don't count.

    Args:
        first: iteration from which trials are judged.
        minimum: other trials that must have come as far.
    """

    def __init__(self, first: int, minimum: int) -> None:
        self._first = first
        self._minimum = minimum
        self._losses: dict[int, dict[int, float]] = {}
        self._at: dict[int, list[float]] = {}  # by iteration, of every trial that came so far

    def restore(self, trial: int, losses: Mapping[int, float]) -> None:
        """Enter the recorded losses of a trial, by iteration, without deciding anything."""
        for iteration, loss in losses.items():
            self._enter(trial, iteration, loss)

    def goes_on(self, trial: int, iteration: int, loss: float) -> bool:
        """Whether a trial goes on after a report.

        Args:
            trial: its number.
            iteration: updates done; each report is judged once.
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
        """Why a trial was stopped at a report."""
        return f"worse than the median at {iteration}"

    def _enter(self, trial: int, iteration: int, loss: float) -> bool:
        """Note a loss, also where others reported on the way to it; whether it is a new one."""
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
                # On the way it had the best value of the report before, if there was one.
                found = loss if passed == iteration else losses.get(before)
                if found is not None:
                    insort(values, found)
        return True


def _value_at(losses: Mapping[int, float], iteration: int) -> float | None:
    """The best value that a trial had at an iteration; None if it has not come as far."""
    if max(losses, default=0) < iteration:
        return None
    return losses.get(max((at for at in losses if at <= iteration), default=0))


RULES: dict[type[EarlyStoppingOptions], Callable[[Any, int], EarlyStopping]] = {
    Asha: lambda options, length: SuccessiveHalving(options.rungs(length), options.reduction),
    Median: lambda options, length: MedianStopping(options.first(length), options.minimum),
}
"""By the options of a rule, what makes it of them and the iterations of a training."""
