"""What runs in a slot's process, as Tune sees it."""

from __future__ import annotations

import json
from typing import Any

import ray
from ray.tune import Trainable

from synrep_search.slot import Orders, Slot

DESK, CPU, GPU, SLOT, MOST, MEASURE, ORDERS = (
    "desk", "cpu", "gpu", "slot", "most", "measure", "orders",
)  # fmt: skip
"""What a slot is told when it starts."""
REPORTS = "reports"
"""The only value that passes through Tune, a text: Tune keeps windows of statistics for each number
that it sees."""


class SlotTrainable(Trainable):
    """A slot. It begins trials and gives them up as the desk tells it; checkpoints are ours."""

    def setup(self, config: dict[str, Any]) -> None:
        """Take the place of a slot, and its first orders."""
        self._desk: Any = ray.get_actor(config[DESK])
        self._name = config[SLOT]
        self._turn = 0
        self._slot = Slot(config[CPU], config[GPU], most=config[MOST], measure=config[MEASURE])
        self._slot.follow(Orders.model_validate_json(config[ORDERS]))

    def step(self) -> dict[str, Any]:
        """Train the trials of the slot to their next reports; the first turn tells its capacity."""
        if self._turn:
            orders = ray.get(self._desk.take.remote(self._name, self._turn))
            self._slot.follow(Orders.model_validate_json(orders))
        self._turn += 1
        measured = self._turn == 1 and self._slot.measured
        reports = [] if measured else self._slot.advance()
        told = [report.model_dump(mode="json") for report in reports]
        return {REPORTS: json.dumps([self._slot.capacity, told])}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another slot in this process, which has its libraries loaded already."""
        self.setup(new_config)
        return True
