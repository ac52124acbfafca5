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


class Mailbox:
    """Hands over each note once; whoever comes first, giver or taker, waits for nobody."""

    def __init__(self) -> None:
        self._notes: defaultdict[tuple[str, int], asyncio.Future[str]] = defaultdict(
            lambda: asyncio.get_running_loop().create_future()
        )
        self._closed = asyncio.Event()
        self._ends: dict[str, str] = {}
        self._heard: dict[str, tuple[str, float]] = {}
        self._watches: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """All slots are to pause."""
        self._closed.set()

    async def closing(self) -> None:
        """Return when all slots are to pause."""
        await self._closed.wait()

    async def alive(self, process: str, slot: str, actor: Any, limit_s: float) -> None:
        """The process of a slot says that it moves; it is ended if it does not say so in time.

        Args:
            process: id of the actor.
            slot: that it is now.
            actor: its handle.
            limit_s: seconds.
        """
        if process not in self._heard:
            self._watches.add(asyncio.create_task(self._watch(process, actor, limit_s)))
        self._heard[process] = (slot, time.monotonic())

    async def leave(self, process: str) -> None:
        """A process ends as it should."""
        self._heard.pop(process, None)

    async def _watch(self, process: str, actor: Any, limit_s: float) -> None:
        while process in self._heard:
            slot, heard = self._heard[process]
            if time.monotonic() - heard > limit_s:
                await self.tell(slot, HUNG)
                ray.kill(actor)
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
