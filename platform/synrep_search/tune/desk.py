"""Where the driver leaves orders for the slots.

Tune carries reports from a slot to the driver, and nothing back but stop and continue. What goes
back here is more: which trials go on, and which begin. Answers go through this actor, which
lives beside the driver and takes no CPU.
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

    async def put(self, slot: str, turn: int, note: str) -> None:
        """Leave a note for a slot's turn."""
        self._notes[slot, turn].set_result(note)

    async def take(self, slot: str, turn: int) -> str:
        """The note for a slot's turn, as soon as it is there."""
        note = await self._notes[slot, turn]
        del self._notes[slot, turn]
        return note
