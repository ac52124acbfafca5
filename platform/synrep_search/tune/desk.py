"""What driver and slots tell each other beside their reports.

Tune carries reports from a slot to the driver, and nothing back but stop and continue. What goes
back here is more: which trials go on, and which begin. Answers go through this actor, which
lives beside the driver and takes no CPU; and so does what can't wait for a report: that all are to
pause, and that a slot stands still.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict


class Desk:
    """Hands over each note once; whoever comes first, giver or taker, waits for nobody."""

    def __init__(self) -> None:
        self._notes: defaultdict[tuple[str, int], asyncio.Future[str]] = defaultdict(
            lambda: asyncio.get_running_loop().create_future()
        )

        self._closed = asyncio.Event()
        self._hung: set[str] = set()

    async def close(self) -> None:
        """All slots are to pause."""
        self._closed.set()

    async def closing(self) -> None:
        """Return when all slots are to pause."""
        await self._closed.wait()

    async def tell_hung(self, slot: str) -> None:
        """A slot stands still and ends itself."""
        self._hung.add(slot)

    async def hung(self, slot: str) -> bool:
        """Whether a slot has ended itself because it stood still."""
        return slot in self._hung

    async def put(self, slot: str, turn: int, note: str) -> None:
        """Leave a note for a slot's turn."""
        self._notes[slot, turn].set_result(note)

    async def take(self, slot: str, turn: int) -> str:
        """The note for a slot's turn, as soon as it is there."""
        note = await self._notes[slot, turn]
        del self._notes[slot, turn]
        return note
