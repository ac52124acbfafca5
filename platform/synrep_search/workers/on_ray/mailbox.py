"""The mailbox: an actor that carries messages between the driver and its workers.

Tune carries reports from a worker to the driver, but only "stop" or "continue" back. A search has
more to say: which trials continue and which start. The driver leaves these orders in the mailbox,
and the worker fetches them. Messages that can't wait for a report use the mailbox, too: a request
to pause, heartbeats, and the reason for which a worker ends. The actor runs on the driver's node
and reserves no CPU.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import Any

import ray

HUNG, ENDING = "hung", "its node is shutting down"
"""Reasons for which a worker ends that Tune can't see."""
RECENT_S = 20.0
"""A heartbeat older than this says nothing about the present: they come every 5 s."""


class Mailbox:
    """Delivers each message once, whether the sender or the receiver comes first."""

    def __init__(self) -> None:
        self._orders: defaultdict[tuple[str, int], asyncio.Future[str]] = defaultdict(
            lambda: asyncio.get_running_loop().create_future()
        )
        self._pause = asyncio.Event()
        self._ends: dict[str, str] = {}
        self._heard: dict[str, tuple[str, float]] = {}
        self._saving: set[str] = set()
        self._monitors: set[asyncio.Task[None]] = set()

    async def request_pause(self) -> None:
        """Ask all workers to pause their trials."""
        self._pause.set()

    async def wait_for_pause(self) -> None:
        """Return when all workers have to pause."""
        await self._pause.wait()

    async def heartbeat(
        self, process: str, slot: str, actor: Any, limit_s: float, *, saving: bool = False
    ) -> None:
        """Record that a worker process is alive. It is killed if the next heartbeat is late.

        Args:
            process: id of the actor.
            slot: that it occupies.
            actor: its handle.
            limit_s: longest time between two heartbeats, in seconds.
            saving: whether it saves the state of a trial.
        """
        (self._saving.add if saving else self._saving.discard)(process)
        if process not in self._heard:
            self._monitors.add(asyncio.create_task(self._kill_when_silent(process, actor, limit_s)))
        self._heard[process] = (slot, time.monotonic())

    async def is_saving(self) -> bool:
        """Return whether a worker process has recently reported that it saves a trial."""
        end = time.monotonic() - RECENT_S
        return any(self._heard[process][1] > end for process in self._saving & self._heard.keys())

    async def process_ended(self, process: str) -> None:
        """Expect no more heartbeats of a process that ended as planned."""
        self._heard.pop(process, None)

    async def _kill_when_silent(self, process: str, actor: Any, limit_s: float) -> None:
        while process in self._heard:
            slot, heard = self._heard[process]
            if time.monotonic() - heard > limit_s:
                await self.note_end(slot, HUNG)
                ray.kill(actor)
                return
            await asyncio.sleep(limit_s / 10)

    async def note_end(self, slot: str, reason: str) -> None:
        """Record why the worker of a slot ends, `HUNG` or `ENDING`, which Tune can't see."""
        self._ends[slot] = reason

    async def end_reason(self, slot: str) -> str:
        """Return why the worker of a slot ended; empty if no reason was recorded."""
        return self._ends.get(slot, "")

    async def put(self, slot: str, turn: int, orders: str) -> None:
        """Leave the orders for a turn of a slot."""
        self._orders[slot, turn].set_result(orders)

    async def take(self, slot: str, turn: int) -> str:
        """Return the orders for a turn of a slot as soon as they are there."""
        orders = await self._orders[slot, turn]
        del self._orders[slot, turn]
        return orders
