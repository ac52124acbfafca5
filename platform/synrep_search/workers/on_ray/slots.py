"""The driver's table of slots: which trials run in which of them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from synrep_search.workers.worker import Orders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synrep_search.messages import TrialJob, TrialReport
    from synrep_search.search.loop import Search


class SlotTable:
    """Assigns the jobs of a search to slots, evenly.

    Args:
        search: whose jobs they are.
        count: number of slots of the cluster.
        capacity: trials that a slot trains at a time, until its worker reports a number.
    """

    def __init__(self, search: Search, count: int, capacity: int) -> None:
        self.search = search
        self._count = count
        self._capacity: defaultdict[str, int] = defaultdict(lambda: capacity)
        self._running: dict[str, dict[int, TrialJob]] = {}

    def open(self, slot: str) -> Orders | None:
        """Return the first orders of a new slot; None if there is no job for it now."""
        self._running[slot] = {}
        orders = Orders(begin=self._fill(slot))
        if not orders.begin:
            del self._running[slot]
            return None
        return orders

    @property
    def share(self) -> int:
        """Most trials of one slot, so that no slot is left without.

        With `fuse: auto` at most half of the search's trials are open at a time, so that the
        sampler has seen some results before it proposes the rest.
        """
        at_once = self.search.open_trials
        if self.search.spec.resources.fuse == "auto":
            at_once = min(at_once, -(-self.search.ledger.target // 2))
        return max(1, -(-at_once // self._count))

    def report(
        self, slot: str, reports: Sequence[TrialReport], capacity: int | None = None
    ) -> Orders | None:
        """Record the reports of a slot. Return its next orders, or None if the slot ends.

        Args:
            slot: its name.
            reports: of some of its trials.
            capacity: trials that it trains at a time; None if unchanged.
        """
        self._capacity[slot] = capacity or self._capacity[slot]
        silent = set(self._running[slot]) - {report.number for report in reports}
        going_on = self.search.on_reports(reports) | silent
        jobs = self._running[slot]
        for number in set(jobs) - going_on:
            del jobs[number]
        # A slot pauses because the search ends or its node shuts down.
        ending = any(report.ended == "paused" for report in reports)
        begin = () if ending else self._fill(slot)
        if not jobs:
            del self._running[slot]
            return None
        return Orders(go_on=tuple(sorted(going_on)), begin=begin)

    def lost(self, slot: str, cause: str, *, preempted: bool) -> None:
        """Record that a slot was lost with all its trials."""
        jobs = self._running.pop(slot, {})
        for number in jobs:
            self.search.on_lost(number, cause, alone=len(jobs) == 1, preempted=preempted)

    def _fill(self, slot: str) -> tuple[TrialJob, ...]:
        """Start attempts until the slot has its share."""
        jobs, begun = self._running[slot], []
        while len(jobs) < self._room(slot):
            job = self.search.next_job(alone=not jobs)
            if job is None:
                break
            jobs[job.number] = job
            begun.append(job)
        return tuple(begun)

    def _room(self, slot: str) -> int:
        jobs = self._running[slot]
        if any(job.alone for job in jobs.values()):
            return 1
        return min(self._capacity[slot], self.share)
