"""The worker process of a slot, as a trainable of Ray Tune."""

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
from synrep_search.workers.saving import is_saving
from synrep_search.workers.watchdog import Watchdog
from synrep_search.workers.worker import Orders, Worker

MAILBOX, CPU, GPU, SLOT, MOST, MEASURE, HANG, ORDERS = (
    "mailbox", "cpu", "gpu", "slot", "most", "measure", "hang", "orders",
)  # fmt: skip
"""Keys of the configuration that a worker starts with."""
REPORTS = "reports"
"""Key of the only value that passes through Tune. It is text: Tune keeps windows of statistics for
each number that it sees."""
SEND_TIMEOUT_S = 5.0
SILENCE_FACTOR = 2
"""A hung process ends itself after the hang limit. If it is frozen, the mailbox kills it after this
many times the limit."""


class WorkerTrainable(Trainable):
    """Serves one slot after another: starts and stops trials as the driver orders by the mailbox.

    Checkpoints are written by the trials themselves, not by Tune.
    """

    _watchdog: Watchdog | None = None

    def setup(self, config: dict[str, Any]) -> None:
        """Start serving a slot, and follow its first orders."""
        self._mailbox: Any = ray.get_actor(config[MAILBOX])
        self._slot_name = config[SLOT]
        self._turn = 0
        watch = self._watchdog
        if watch is None:  # else this process has served another slot before
            self._hang_s = config[HANG]
            context = ray.get_runtime_context()
            self._actor, self._process = context.current_actor, context.get_actor_id()
            self._node = context.get_node_id()
            watch = self._watchdog = Watchdog(self._hang_s, self._report_hang, self._send_heartbeat)
            threading.Thread(target=self._await_pause, name="await-pause", daemon=True).start()
        self._send_heartbeat()
        most, measure = config[MOST], config[MEASURE]
        self._worker = Worker(
            config[CPU], config[GPU], most=most, measure=measure, should_pause=watch
        )
        with watch.training():
            self._worker.follow(Orders.model_validate_json(config[ORDERS]))

    def step(self) -> dict[str, Any]:
        """Train the trials to their next reports; the first step reports the capacity."""
        assert self._watchdog is not None
        orders = None
        if self._turn:
            orders = ray.get(self._mailbox.take.remote(self._slot_name, self._turn))
        self._turn += 1
        with self._watchdog.training():
            if orders is not None:
                self._worker.follow(Orders.model_validate_json(orders))
            measured = self._turn == 1 and self._worker.measured
            reports = [] if measured else self._worker.advance()
        sent = [report.model_dump(mode="json") for report in reports]
        return {REPORTS: json.dumps([self._worker.capacity, sent])}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Serve another slot in this process, which has loaded all libraries already.

        If the node is shutting down, the process ends here instead. (Returning False would end the
        slot without notifying our scheduler.)
        """
        if self._watchdog is not None and self._watchdog.pause_requested:
            ray.get(self._mailbox.note_end.remote(new_config[SLOT], ENDING))
            os._exit(0)
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """Sign off when the process ends."""
        self._mailbox.process_ended.remote(self._process)

    def _report_hang(self) -> None:
        with suppress(RayError):
            ray.get(self._mailbox.note_end.remote(self._slot_name, HUNG), timeout=SEND_TIMEOUT_S)

    def _send_heartbeat(self) -> None:
        """Send a heartbeat, and request a pause if the node is shutting down."""
        limit_s = SILENCE_FACTOR * self._hang_s
        with suppress(RayError):  # the driver is gone
            self._mailbox.heartbeat.remote(
                self._process, self._slot_name, self._actor, limit_s, saving=is_saving()
            )
        if self._watchdog is not None and is_draining(self._node):
            self._watchdog.pause()

    def _await_pause(self) -> None:
        """Wait until the driver asks all workers to pause."""
        assert self._watchdog is not None
        with suppress(RayError):  # the driver is gone, and this process follows it
            ray.get(self._mailbox.wait_for_pause.remote())
            self._watchdog.pause()
