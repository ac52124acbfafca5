"""Which trials run in which slot, as the driver keeps it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from synrep_search.workers.worker import Orders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synrep_search.messages import TrialJob, TrialReport
    from synrep_search.search.loop import Search


class SlotTable:
    """Gives the jobs of a search to slots, evenly_spaced.

    Args:
        search: the one that is run.
        count: slots that there are when all machines are there.
        capacity: trials that a slot trains at a time, until it tells its own number.
    """

    def __init__(self, search: Search, count: int, capacity: int) -> None:
        self.search = search
        self._count = count
        self._capacity: defaultdict[str, int] = defaultdict(lambda: capacity)
        self._running: dict[str, dict[int, TrialJob]] = {}

    def open(self, slot: str) -> Orders | None:
        """First orders of a slot; None if there is nothing to begin now."""
        self._running[slot] = {}
        orders = Orders(begin=self._fill(slot))
        if not orders.begin:
            del self._running[slot]
            return None
        return orders

    @property
    def share(self) -> int:
        """Trials that a slot may have, so that all slots have some.

        With `fuse: auto` never more than half of the search's trials are open, so that the sampler
        proposes the rest when it has seen how some of them did.
        """
        at_once = self.search.open_trials
        if self.search.spec.resources.fuse == "auto":
            at_once = min(at_once, -(-self.search.ledger.target // 2))
        return max(1, -(-at_once // self._count))

    def report(
        self, slot: str, reports: Sequence[TrialReport], capacity: int | None = None
    ) -> Orders | None:
        """Pass on the reports of a slot; its next orders, or None if it is to end.

        Args:
            slot: its name.
            reports: of some of its trials.
            capacity: trials that it trains at a time; None if it is as before.
        """
        self._capacity[slot] = capacity or self._capacity[slot]
        silent = set(self._running[slot]) - {report.number for report in reports}
        going_on = self.search.on_reports(reports) | silent
        jobs = self._running[slot]
        for number in set(jobs) - going_on:
            del jobs[number]
        # A slot that pauses was told to end, by us or by its machine.
        ending = any(report.ended == "paused" for report in reports)
        begin = () if ending else self._fill(slot)
        if not jobs:
            del self._running[slot]
            return None
        return Orders(go_on=tuple(sorted(going_on)), begin=begin)

    def lost(self, slot: str, cause: str, *, preempted: bool) -> None:
        """A slot has died with all its trials."""
        jobs = self._running.pop(slot, {})
        for number in jobs:
            self.search.on_lost(number, cause, alone=len(jobs) == 1, preempted=preempted)

    def _fill(self, slot: str) -> tuple[TrialJob, ...]:
        """Begin attempts while the slot has room, but leave the other slots their share."""
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
