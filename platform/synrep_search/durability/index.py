"""In-memory index of a search's trials: counts, waiting trials and the best trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synrep_search.durability.records import STATES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from synrep_search.durability.records import StateName, Trial


class TrialIndex:
    """Trials by number.

    `trials` and `best` sort all trials, `put` does so only if the best trial becomes worse, and
    `first_waiting` visits the waiting trials. All other methods take constant time.

    Args:
        trials: the existing trials.
        sign: 1 if the metric is minimized, -1 if it is maximized.
    """

    def __init__(self, trials: Iterable[Trial], sign: int) -> None:
        self._sign = sign
        self._trials: dict[int, Trial] = {}
        self._counts: dict[StateName, int] = dict.fromkeys(STATES, 0)
        self._waiting: set[int] = set()
        self._first: Trial | None = None
        for trial in sorted(trials, key=lambda trial: trial.number):
            self.put(trial)

    def __len__(self) -> int:
        return len(self._trials)

    def __contains__(self, number: int) -> bool:
        return number in self._trials

    def __getitem__(self, number: int) -> Trial:
        return self._trials[number]

    def put(self, trial: Trial) -> None:
        """Add a trial, or replace the trial with its number."""
        before = self._trials.get(trial.number)
        if before is not None:
            self._counts[before.state] -= 1
            self._waiting.discard(trial.number)
        self._trials[trial.number] = trial
        self._counts[trial.state] += 1
        if trial.state == "waiting":
            self._waiting.add(trial.number)
        rank = self._rank(trial)
        first = None if self._first is None else self._rank(self._first)
        if first is None or (rank is not None and rank <= first):
            self._first = self._first if rank is None else trial
        elif first[1] == trial.number:  # the best trial became worse
            self._first = next(iter(self.best(1)), None)

    def trials(self) -> list[Trial]:
        """Return all trials, sorted by number."""
        trials = self._trials.copy()  # at once: the display reads in a thread of its own
        return [trials[number] for number in sorted(trials)]

    def counts(self) -> dict[StateName, int]:
        """Return the number of trials in each state."""
        return dict(self._counts)

    def first_waiting(self, excluded: AbstractSet[int] = frozenset()) -> Trial | None:
        """Return the waiting trial with the lowest number that is not in `excluded`, or None."""
        waiting = self._waiting - excluded if excluded else self._waiting
        return self._trials[min(waiting)] if waiting else None

    def first(self) -> Trial | None:
        """Return the best trial, or None if no trial has a value."""
        return self._first

    def best(self, count: int) -> list[Trial]:
        """Return up to `count` trials with the best values, the best first."""
        ranked = [
            (rank, trial) for trial in self._trials.copy().values() if (rank := self._rank(trial))
        ]
        return [trial for _, trial in sorted(ranked, key=lambda item: item[0])[:count]]

    def _rank(self, trial: Trial) -> tuple[float, int] | None:
        """Return a sort key (lower is better), or None for a trial that can't be the best."""
        if trial.value is None or trial.state in ("diverged", "failed"):
            return None
        return self._sign * trial.value, trial.number
