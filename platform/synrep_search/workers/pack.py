"""A pack: trials of one shape that a worker trains as one fused program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synrep_search.workers.attempt import Reporter
from synrep_search.workers.saving import saving

if TYPE_CHECKING:
    from synrep.errors import Diverged
    from synrep.training.protocol import PauseCheck
    from synrep_search.messages import TrialJob, TrialReport


class Pack:
    """Trials whose configurations can be fused. Each reports as if it were alone.

    Args:
        fused: a `FusedTraining`, empty.
    """

    def __init__(self, fused: Any) -> None:
        self._fused = fused
        self._members: dict[int, int] = {}
        self._reporters: dict[int, Reporter] = {}

    @property
    def numbers(self) -> set[int]:
        """Numbers of the trials in the pack."""
        return set(self._members)

    def join(self, job: TrialJob) -> None:
        """Add an attempt. If that raises, the other trials are unaffected."""
        reporter = Reporter(job)
        self._members[job.number] = self._fused.join(
            reporter.config(), reporter.saved(), reporter.goal()
        )
        self._reporters[job.number] = reporter

    def leave(self, number: int) -> None:
        """Remove a trial."""
        member = self._members.pop(number)
        del self._reporters[number]
        if member in self._fused.numbers():  # a diverged training has left already
            self._fused.leave(member)

    def advance(self, should_pause: PauseCheck) -> list[TrialReport]:
        """Train until a trial reaches its next report. Return the reports of all that did.

        Args:
            should_pause: called before each iteration; if True, all trials pause.
        """
        reached = self._fused.advance(should_pause)
        return [
            self._report(number, reached.get(member))
            for number, member in self._members.items()
            if member in reached or not reached
        ]

    def _report(self, number: int, result: dict[str, float] | Diverged | None) -> TrialReport:
        reporter, member = self._reporters[number], self._members[number]
        if isinstance(result, Exception):
            return reporter.failed(result)
        try:
            with saving():
                state = self._fused.state(member)
                if result is None:
                    return reporter.paused(state)
                return reporter.reached(state, result, finished=self._fused.finished(member))
        except Exception as error:  # noqa: BLE001 - one trial's failure must not stop the others
            return reporter.failed(error)
