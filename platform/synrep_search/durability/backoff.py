"""Trials that are left alone for a while, because their storage could not be used."""

from __future__ import annotations

import time

SHORTEST_S, LONGEST_S = 15.0, 240.0
"""Of a trial's first time here; each further one is twice as long."""


class Parking:
    """Knows who is parked until when; forgotten with its driver, after which all may try again."""

    def __init__(self) -> None:
        self._times: dict[int, tuple[float, float]] = {}

    def park(self, number: int) -> float:
        """Park a trial; the seconds that it stays."""
        _, before = self._times.get(number, (0.0, SHORTEST_S / 2))
        pause = min(LONGEST_S, 2 * before)
        self._times[number] = (time.monotonic() + pause, pause)
        return pause

    def release(self, number: int) -> None:
        """A trial's storage works."""
        self._times.pop(number, None)

    def parked(self) -> set[int]:
        """Trials that may not be tried yet."""
        now = time.monotonic()
        return {number for number, (until, _) in self._times.items() if until > now}
