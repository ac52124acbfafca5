"""Propose the points of a search: the start points of the file, then those of the sampler."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from synrep.errors import InputError
from synrep_search.search.history import History
from synrep_search.search.samplers.factories import for_trials
from synrep_search.search.samplers.study import MemoryStudy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from synrep_search.durability.records import Point, Trial
    from synrep_search.search_file import SearchSpec

SAMPLER_HISTORY = 500
"""Number of trials that the sampler uses: half of them the best, half the newest. The cost of TPE
grows with its history, and poor old trials contribute little."""
SLACK = 2
"""The in-memory study is reduced when it has this many times `SAMPLER_HISTORY` trials."""


class Proposer:
    """Proposes points and learns from the results of their trials.

    The sampler of each trial is seeded by the trial's number and depends only on the trials in the
    ledger, open ones included, so that a resumed search proposes the same points as an
    uninterrupted one. The exception is a reduced in-memory study: the trials it keeps depend on
    when it was reduced.

    Args:
        spec: the search.
        trials: trials of the ledger.

    Raises:
        InputError: a package that the sampler needs is missing.
    """

    def __init__(self, spec: SearchSpec, trials: Iterable[Trial]) -> None:
        self._spec = spec
        self._sign = 1 if spec.search.direction == "minimize" else -1
        recorded = list(trials)
        self._ended = [trial for trial in recorded if trial.ended]
        running = {trial.number: trial.record.values for trial in recorded if not trial.ended}
        self._history = History(spec.space, self._sign)
        for trial in self._ended:
            self._history.end(trial)
        for number, values in running.items():
            self._history.begin(number, values)
        self._sampler_for = for_trials(spec.search.sampler, self._history)
        self._rebuild_study(running)

    def propose(self, number: int) -> Point:
        """Return the point of a new trial: a start point of the file or one from the sampler."""
        if len(self._ended) >= SLACK * SAMPLER_HISTORY:
            self._reduce()
        starts = self._spec.start_from
        given = starts[number] if number < len(starts) else None
        point = self._study.begin(number, self._sampler_for(number), given)
        self._history.begin(number, point.values)
        return point

    def learn(self, trial: Trial) -> None:
        """Add a trial that has reached its final state."""
        self._ended.append(trial)
        self._history.end(trial)
        self._study.end(trial)

    def _rebuild_study(self, running: Mapping[int, dict[str, Any]]) -> None:
        """Build the in-memory study that the sampler uses, in the order of trial numbers.

        Args:
            running: values of the trials that have not ended, by number; they are told when they
                end, and until then keep new points away from theirs.
        """
        self._study = MemoryStudy(self._spec.space, self._spec.search.direction)
        ended = {trial.number: trial for trial in self._ended}
        for number in sorted(ended.keys() | running.keys()):
            if number in ended:
                self._study.end(ended[number])
                continue
            with suppress(InputError):  # the space has changed since
                self._study.begin(number, None, running[number])

    def _reduce(self) -> None:
        by_number = sorted(self._ended, key=lambda trial: trial.number)
        older, newest = by_number[: -SAMPLER_HISTORY // 2], by_number[-SAMPLER_HISTORY // 2 :]
        older.sort(key=lambda trial: (trial.value is None, self._sign * (trial.value or 0.0)))
        self._ended = [*older[: SAMPLER_HISTORY // 2], *newest]
        unflatten = self._spec.space.unflatten
        running = self._study.running()
        self._rebuild_study({number: unflatten(params) for number, params in running.items()})
