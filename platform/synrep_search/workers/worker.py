"""A slot: a share of a machine that trains some trials at a time, one after another.

Knows no Ray, and not who gives the orders.
"""

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
    """What a slot is told after it has reported.

    Attributes:
        go_on: trials that go on; the slot gives up all others that it has.
        begin: attempts to begin.
    """

    go_on: tuple[int, ...] = ()
    begin: tuple[TrialJob, ...] = ()


class Worker:
    """Trains the trials that it is told to: each by itself, or those of one shape as a pack.

    Args:
        cpu: cores; the trials of a slot share them.
        gpu: GPUs, or a fraction of one.
        most: trials that it may have at a time.
        measure: whether to find out how many of them are fastest; if not, it is `most`.
        should_pause: called before each iteration whether all trials are to pause.

    Attributes:
        capacity: trials that it trains at a time.
        measured: whether that was found out by trying; only after the first orders.
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
        self._where: dict[str, Any] = {
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
        """Give up trials and take on others."""
        kept = set(orders.go_on)
        self._attempts = {n: attempt for n, attempt in self._attempts.items() if n in kept}
        for pack in self._packs.values():
            for number in pack.numbers - kept:
                pack.leave(number)
        for job in orders.begin:
            try:
                self._take_on(job)
            except Exception as error:  # noqa: BLE001 - whatever a training does, the others go on
                self._reports.append(Reporter(job).failed(error))

    def advance(self) -> list[TrialReport]:
        """Train all trials to their next reports; those of a pack, to the next report of any."""
        reports = [*self._reports, *(attempt.advance() for attempt in self._attempts.values())]
        self._reports = []
        for pack in self._packs.values():
            if pack.numbers:
                reports += pack.advance(self._should_pause)
        return reports

    def _take_on(self, job: TrialJob) -> None:
        fusing = trainer_named(job.trainer).fusing() if self._most > 1 else None
        if fusing is None:
            self._attempts[job.number] = Attempt(
                job, **self._where, should_pause=self._should_pause
            )
            return
        config = Reporter(job).config()
        if self._measure and not self.measured:
            self.capacity = fusing.fastest_capacity(config, most=self._most, **self._where)
            self.measured = True
        if self.capacity == 1:
            self._attempts[job.number] = Attempt(
                job, **self._where, should_pause=self._should_pause
            )
            return
        key = fusing.fusion_key(config)
        if key not in self._packs:
            self._packs[key] = Pack(fusing.FusedTraining(self._most, **self._where))
        self._packs[key].join(job)
