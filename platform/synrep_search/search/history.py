"""The trials that a search has begun, as samplers look at them."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from synrep.errors import InputError

if TYPE_CHECKING:
    from synrep_search.durability.records import StateName, Trial
    from synrep_search.search_file import Space


class Tried(NamedTuple):
    """A trial that was begun.

    Attributes:
        params: flat parameters of its point.
        state: where it stands; `running` also for one that waits.
        loss: best value so far, the smaller the better; None before the first report.
        iteration: at its newest report.
    """

    params: dict[str, Any]
    state: StateName = "running"
    loss: float | None = None
    iteration: int = 0


class History:
    """All trials whose points lie in the space, by number; none is ever left out.

    Args:
        space: that is searched.
        sign: 1 if smaller values are better, -1 if larger ones are.
    """

    def __init__(self, space: Space, sign: int) -> None:
        self.space = space
        self.trials: dict[int, Tried] = {}
        self._sign = sign

    def begin(self, number: int, values: dict[str, Any]) -> None:
        """Take in a trial that runs or waits."""
        with suppress(InputError):  # the space was changed since
            # From the values, as they come back from a ledger.
            self.trials[number] = Tried(self.space.flatten(values))

    def end(self, trial: Trial) -> None:
        """Take in how a trial has ended for good."""
        self.begin(trial.number, trial.record.values)
        if trial.number in self.trials:
            self.trials[trial.number] = self.trials[trial.number]._replace(
                state=trial.state,
                loss=None if trial.value is None else self._sign * trial.value,
                iteration=trial.iteration,
            )

    def best_and_newest(self, count: int) -> list[Tried]:
        """Trials in the order of their numbers: those that run, of the others at most `count`."""
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
