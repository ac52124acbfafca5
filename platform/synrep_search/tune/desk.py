"""What driver and slots tell each other beside their reports.

Tune carries reports from a slot to the driver, and nothing back but stop and continue. What goes
back here is more: which trials go on, and which begin. Answers go through this actor, which
lives beside the driver and takes no CPU; and so does what can't wait for a report: that all are to
pause, and that a slot stands still.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import Any

import ray

HUNG, ENDING = "it stands still", "its machine is about to end"
"""Why a slot ends."""


class Desk:
    """Hands over each note once; whoever comes first, giver or taker, waits for nobody."""

    def __init__(self) -> None:
        self._notes: defaultdict[tuple[str, int], asyncio.Future[str]] = defaultdict(
            lambda: asyncio.get_running_loop().create_future()
        )

        self._closed = asyncio.Event()
        self._ends: dict[str, str] = {}
        self._heard: dict[str, float] = {}
        self._watches: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """All slots are to pause."""
        self._closed.set()

    async def closing(self) -> None:
        """Return when all slots are to pause."""
        await self._closed.wait()

    async def alive(self, slot: str, process: Any, limit_s: float) -> None:
        """A slot says that it moves; its process is ended if it does not say so again in time.

        Args:
            slot: its name.
            process: handle of the actor; the first of a name counts.
            limit_s: seconds.
        """
        if slot not in self._heard:
            self._watches.add(asyncio.create_task(self._watch(slot, process, limit_s)))
        self._heard[slot] = time.monotonic()

    async def leave(self, slot: str) -> None:
        """A slot has ended as it should."""
        self._heard.pop(slot, None)

    async def _watch(self, slot: str, process: Any, limit_s: float) -> None:
        while slot in self._heard:
            if time.monotonic() - self._heard[slot] > limit_s:
                await self.tell(slot, HUNG)
                ray.kill(process)
                return
            await asyncio.sleep(limit_s / 10)

    async def tell(self, slot: str, why: str) -> None:
        """A slot ends, and Tune will not know why: `HUNG` or `ENDING`."""
        self._ends[slot] = why

    async def why(self, slot: str) -> str:
        """Why a slot has ended, if that was told."""
        return self._ends.get(slot, "")

    async def put(self, slot: str, turn: int, note: str) -> None:
        """Leave a note for a slot's turn."""
        self._notes[slot, turn].set_result(note)

    async def take(self, slot: str, turn: int) -> str:
        """The note for a slot's turn, as soon as it is there."""
        note = await self._notes[slot, turn]
        del self._notes[slot, turn]
        return note
