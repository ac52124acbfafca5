"""The trials of a search in the form that samplers use."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from synrep.errors import InputError

if TYPE_CHECKING:
    from synrep_search.durability.records import StateName, Trial
    from synrep_search.search_file import Space


class TrialSummary(NamedTuple):
    """Point and result of a trial.

    Attributes:
        params: flat parameters of its point.
        state: state of the trial; `running` also if it is waiting.
        loss: best value so far, smaller is better; None before the first report.
        iteration: iteration of its latest report.
    """

    params: dict[str, Any]
    state: StateName = "running"
    loss: float | None = None
    iteration: int = 0


class History:
    """All trials whose points lie in the space, by number.

    Args:
        space: the search space.
        sign: 1 if smaller values are better, -1 if larger ones are.
    """

    def __init__(self, space: Space, sign: int) -> None:
        self.space = space
        self.trials: dict[int, TrialSummary] = {}
        self._sign = sign

    def begin(self, number: int, values: dict[str, Any]) -> None:
        """Add a running or waiting trial."""
        with suppress(InputError):  # the space has changed since
            # Computed from the values, as for trials that are read from a ledger.
            self.trials[number] = TrialSummary(self.space.flatten(values))

    def end(self, trial: Trial) -> None:
        """Record the final state of a trial."""
        self.begin(trial.number, trial.record.values)
        if trial.number in self.trials:
            self.trials[trial.number] = self.trials[trial.number]._replace(
                state=trial.state,
                loss=None if trial.value is None else self._sign * trial.value,
                iteration=trial.iteration,
            )

    def best_and_newest(self, count: int) -> list[TrialSummary]:
        """Return all running trials and at most `count` ended ones, ordered by number."""
        ended = [number for number in sorted(self.trials) if self.trials[number].state != "running"]
        older, newest = ended[: -count // 2], ended[-count // 2 :]
        older.sort(key=self._loss_of)
        kept = {*older[: count // 2], *newest}
        return [
            self.trials[number]
            for number in sorted(self.trials)
            if number in kept or self.trials[number].state == "running"
        ]

    def _loss_of(self, number: int) -> float:
        loss = self.trials[number].loss
        return math.inf if loss is None else loss
