"""A slot: a share of a machine that trains some trials at a time, one after another.

Knows no Ray, and not who gives the orders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synrep.config import Section
from synrep_search.trial import Attempt, TrialJob

if TYPE_CHECKING:
    from synrep_search.trial import TrialReport


class Orders(Section):
    """What a slot is told after it has reported.

    Attributes:
        go_on: trials that go on; the slot gives up all others that it has.
        begin: attempts to begin.
    """

    go_on: tuple[int, ...] = ()
    begin: tuple[TrialJob, ...] = ()


class Slot:
    """Trains the trials that it is told to.

    Args:
        cpu: cores; the trials of a slot share them.
        gpu: GPUs, or a fraction of one.
    """

    def __init__(self, cpu: float, gpu: float) -> None:
        self._device = "cuda" if gpu else "cpu"
        self._threads = max(1, int(cpu))
        self._attempts: dict[int, Attempt] = {}

    def follow(self, orders: Orders) -> None:
        """Give up trials and take on others."""
        self._attempts = {number: self._attempts[number] for number in orders.go_on}
        for job in orders.begin:
            self._attempts[job.number] = Attempt(job, self._device, self._threads)

    def advance(self) -> list[TrialReport]:
        """Train each trial to its next report."""
        return [attempt.advance() for attempt in self._attempts.values()]
