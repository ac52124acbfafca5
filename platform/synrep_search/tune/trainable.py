"""What runs in a slot's process, as Tune sees it."""

from __future__ import annotations

import json
from typing import Any

import ray
from ray.tune import Trainable

from synrep_search.slot import Orders, Slot

SLOT, ORDERS, REPORTS = "slot", "orders", "reports"
"""Keys of the only values that pass through Tune, all texts: Tune keeps windows of statistics for
each number that it sees."""
DESK, CPU, GPU = "desk", "cpu", "gpu"


class SlotTrainable(Trainable):
    """A slot. It begins trials and gives them up as the desk tells it; checkpoints are ours."""

    def setup(self, config: dict[str, Any]) -> None:
        """Take the place of a slot, and its first orders."""
        self._desk: Any = ray.get_actor(config[DESK])
        self._name = config[SLOT]
        self._turn = 0
        self._slot = Slot(config[CPU], config[GPU])
        self._slot.follow(Orders.model_validate_json(config[ORDERS]))

    def step(self) -> dict[str, Any]:
        """Train all trials of the slot to their next reports."""
        if self._turn:
            orders = ray.get(self._desk.take.remote(self._name, self._turn))
            self._slot.follow(Orders.model_validate_json(orders))
        self._turn += 1
        reports = [report.model_dump(mode="json") for report in self._slot.advance()]
        return {REPORTS: json.dumps(reports)}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another slot in this process, which has its libraries loaded already."""
        self.setup(new_config)
        return True
