"""Proposes the points of a search: from the file, then from its sampler."""

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
"""Trials that the sampler looks at: the best half of them and the newest. The estimator's cost
grows with its history, and what it learns from a poor trial of long ago is little."""
SLACK = 2
"""The study in memory is thinned out when it holds this many times `SAMPLER_HISTORY`."""


class Proposer:
    """Proposes points, and learns from the trials that ran them.

    The sampler for a trial is seeded by the trial's number, and has no state beyond the trials of
    the ledger, open ones included: a resumed search goes on like one that never stopped. Once the
    study in memory was thinned out, which trials of it are left depends on when that was.

    Args:
        spec: the search.
        trials: those of the ledger.

    Raises:
        InputError: a package that the sampler needs is missing.
    """

    def __init__(self, spec: SearchSpec, trials: Iterable[Trial]) -> None:
        self._spec = spec
        self._sign = 1 if spec.search.direction == "minimize" else -1
        known = list(trials)
        self._learnt = [trial for trial in known if trial.ended]
        running = {trial.number: trial.record.values for trial in known if not trial.ended}
        self._history = History(spec.space, self._sign)
        for trial in self._learnt:
            self._history.end(trial)
        for number, values in running.items():
            self._history.begin(number, values)
        self._sampler_of = for_trials(spec.search.sampler, self._history)
        self._mirror(running)

    def propose(self, number: int) -> Point:
        """The point of a new trial: one of those that the file starts from, or the sampler's."""
        if len(self._learnt) >= SLACK * SAMPLER_HISTORY:
            self._thin_out()
        starts = self._spec.start_from
        given = starts[number] if number < len(starts) else None
        point = self._study.begin(number, self._sampler_of(number), given)
        self._history.begin(number, point.values)
        return point

    def learn(self, trial: Trial) -> None:
        """Take in a trial that has ended for good."""
        self._learnt.append(trial)
        self._history.end(trial)
        self._study.end(trial)

    def _mirror(self, running: Mapping[int, dict[str, Any]]) -> None:
        """Build the study in memory, in the order of numbers, which the sampler looks at.

        Args:
            running: values of the trials that have not ended, by number; they are told when they
                end, and keep new points away from theirs until then.
        """
        self._study = MemoryStudy(self._spec.space, self._spec.search.direction)
        ended = {trial.number: trial for trial in self._learnt}
        for number in sorted(ended.keys() | running.keys()):
            if number in ended:
                self._study.end(ended[number])
                continue
            with suppress(InputError):  # the space was changed since
                self._study.begin(number, None, running[number])

    def _thin_out(self) -> None:
        by_number = sorted(self._learnt, key=lambda trial: trial.number)
        older, newest = by_number[: -SAMPLER_HISTORY // 2], by_number[-SAMPLER_HISTORY // 2 :]
        older.sort(key=lambda trial: (trial.value is None, self._sign * (trial.value or 0.0)))
        self._learnt = [*older[: SAMPLER_HISTORY // 2], *newest]
        unflatten = self._spec.space.unflatten
        running = self._study.running()
        self._mirror({number: unflatten(params) for number, params in running.items()})
