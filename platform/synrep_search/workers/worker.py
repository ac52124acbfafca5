"""A worker: trains the trials of one slot, some at a time. Independent of Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synrep.schema import Section
from synrep.training.protocol import never_pause
from synrep_search.messages import TrialJob
from synrep_search.trainers import trainer_named
from synrep_search.workers.attempt import Attempt, Reporter
from synrep_search.workers.pack import Pack

if TYPE_CHECKING:
    from synrep.training.protocol import PauseCheck
    from synrep_search.messages import TrialReport


class Orders(Section):
    """The driver's answer to a worker's reports.

    Attributes:
        go_on: trials that continue; the worker drops all its other trials.
        begin: attempts to start.
    """

    go_on: tuple[int, ...] = ()
    begin: tuple[TrialJob, ...] = ()


class Worker:
    """Trains trials as the driver orders: each alone, or those of one shape as a pack.

    Args:
        cpu: cores of the slot, which its trials share.
        gpu: GPUs of the slot, or a fraction of one.
        most: most trials at a time.
        measure: whether to measure how many trials at a time are fastest; else it is `most`.
        should_pause: called before each iteration.

    Attributes:
        capacity: trials trained at a time.
        measured: whether `capacity` was measured, which happens with the first orders.
    """

    def __init__(
        self,
        cpu: float,
        gpu: float,
        *,
        most: int = 1,
        measure: bool = False,
        should_pause: PauseCheck = never_pause,
    ) -> None:
        self._placement: dict[str, Any] = {
            "device": "cuda" if gpu else "cpu",
            "threads": max(1, int(cpu)),
        }
        self._most = most
        self._measure = measure
        self._should_pause = should_pause
        self.capacity = 1 if measure else most
        self.measured = False
        self._attempts: dict[int, Attempt] = {}
        self._packs: dict[str, Pack] = {}
        self._reports: list[TrialReport] = []

    def follow(self, orders: Orders) -> None:
        """Drop the trials that do not continue, and start new attempts."""
        kept = set(orders.go_on)
        self._attempts = {n: attempt for n, attempt in self._attempts.items() if n in kept}
        for pack in self._packs.values():
            for number in pack.numbers - kept:
                pack.leave(number)
        for job in orders.begin:
            try:
                self._start(job)
            except Exception as error:  # noqa: BLE001 - one trial's failure must not stop the others
                self._reports.append(Reporter(job).failed(error))

    def advance(self) -> list[TrialReport]:
        """Train all trials to their next reports; those of a pack, to the next report of any."""
        reports = [*self._reports, *(attempt.advance() for attempt in self._attempts.values())]
        self._reports = []
        for pack in self._packs.values():
            if pack.numbers:
                reports += pack.advance(self._should_pause)
        return reports

    def _start(self, job: TrialJob) -> None:
        fusing = trainer_named(job.trainer).fusing() if self._most > 1 else None
        if fusing is None:
            self._attempts[job.number] = Attempt(
                job, **self._placement, should_pause=self._should_pause
            )
            return
        config = Reporter(job).config()
        if self._measure and not self.measured:
            self.capacity = fusing.fastest_capacity(config, most=self._most, **self._placement)
            self.measured = True
        if self.capacity == 1:
            self._attempts[job.number] = Attempt(
                job, **self._placement, should_pause=self._should_pause
            )
            return
        key = fusing.fusion_key(config)
        if key not in self._packs:
            self._packs[key] = Pack(fusing.FusedTraining(self._most, **self._placement))
        self._packs[key].join(job)
