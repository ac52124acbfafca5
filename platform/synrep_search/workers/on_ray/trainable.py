"""What runs in a slot's process, as Tune sees it."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayError
from ray.tune import Trainable

from synrep_search.workers.on_ray.cluster import is_draining
from synrep_search.workers.on_ray.mailbox import ENDING, HUNG
from synrep_search.workers.watchdog import Watchdog
from synrep_search.workers.worker import Orders, Worker

DESK, CPU, GPU, SLOT, MOST, MEASURE, HANG, ORDERS = (
    "desk", "cpu", "gpu", "slot", "most", "measure", "hang", "orders",
)  # fmt: skip
"""What a slot is told when it starts."""
REPORTS = "reports"
"""The only value that passes through Tune, a text: Tune keeps windows of statistics for each number
that it sees."""
TELLING_S = 5.0
SILENT = 2
"""A process that stands still ends itself; others end it after so many times as long."""


class WorkerTrainable(Trainable):
    """A slot. It begins trials and gives them up as the desk tells it; checkpoints are ours."""

    _watch: Watchdog | None = None

    def setup(self, config: dict[str, Any]) -> None:
        """Take the place of a slot, and its first orders."""
        self._desk: Any = ray.get_actor(config[DESK])
        self._name = config[SLOT]
        self._turn = 0
        watch = self._watch
        if watch is None:  # else another slot was here before
            self._hang_s = config[HANG]
            context = ray.get_runtime_context()
            self._actor, self._process = context.current_actor, context.get_actor_id()
            self._node = context.get_node_id()
            watch = self._watch = Watchdog(self._hang_s, self._tell_hung, self._tell_alive)
            threading.Thread(target=self._listen, name="listen", daemon=True).start()
        self._tell_alive()
        most, measure = config[MOST], config[MEASURE]
        self._slot = Worker(
            config[CPU], config[GPU], most=most, measure=measure, should_pause=watch
        )
        with watch.training():
            self._slot.follow(Orders.model_validate_json(config[ORDERS]))

    def step(self) -> dict[str, Any]:
        """Train the trials of the slot to their next reports; the first turn tells its capacity."""
        assert self._watch is not None
        orders = None
        if self._turn:
            orders = ray.get(self._desk.take.remote(self._name, self._turn))
        self._turn += 1
        with self._watch.training():
            if orders is not None:
                self._slot.follow(Orders.model_validate_json(orders))
            measured = self._turn == 1 and self._slot.measured
            reports = [] if measured else self._slot.advance()
        told = [report.model_dump(mode="json") for report in reports]
        return {REPORTS: json.dumps([self._slot.capacity, told])}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another slot in this process, which has its libraries loaded already.

        A process that was told to end does so now: its machine is about to be taken away. (To
        return false would end the slot without a word to our scheduler.)
        """
        if self._watch is not None and self._watch.asked:
            ray.get(self._desk.tell.remote(new_config[SLOT], ENDING))
            os._exit(0)
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """The process ends."""
        self._desk.leave.remote(self._process)

    def _tell_hung(self) -> None:
        with suppress(RayError):
            ray.get(self._desk.tell.remote(self._name, HUNG), timeout=TELLING_S)

    def _tell_alive(self) -> None:
        """Said again and again; also the time to look whether the node is to end."""
        limit_s = SILENT * self._hang_s
        with suppress(RayError):  # the driver is gone
            self._desk.alive.remote(self._process, self._name, self._actor, limit_s)
        if self._watch is not None and is_draining(self._node):
            self._watch.pause()

    def _listen(self) -> None:
        """Wait for the driver's word that all slots are to pause."""
        assert self._watch is not None
        with suppress(RayError):  # the driver is gone, and this process follows it
            ray.get(self._desk.closing.remote())
            self._watch.pause()
