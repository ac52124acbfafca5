"""Trainings of one shape that run as one program: join, advance from report to report, leave.

Small networks leave a processor waiting: each operation costs more to start than to do. Here the
weights of K trainings are stacked, and every operation does its work for all of them. Each slice
keeps its own learning rates, loss weights, wKCS, activation slope, dropout, seed, data order and
iteration, and ends where the same configuration trained alone would.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import torch

from synrep.errors import Diverged, InputError
from synrep.training import state
from synrep.training.fused.step import FusedGan
from synrep.training.loop import TrainingData, next_report, settle_memory
from synrep.training.protocol import never_pause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synrep.config import TrainConfig
    from synrep.training.checkpoint import TrainingState
    from synrep.training.fused.settings import Member
    from synrep.training.protocol import PauseCheck

OWN: dict[str, Any] = {
    "seed": ...,
    "iterations": ...,
    "reports": ...,
    "generator": {"dropout", "slope", "init", "output_gain", "distance"},
    "critic": {"gp_weight", "clip"},
    "kcs": {"weighting", "floor", "diagonal", "rescale"},
    "loss": {"lambda_angle", "lambda_reprojection"},
    "optim": {
        "lr_generator",
        "lr_reprojection",
        "lr_discriminator",
        "decay",
        "decay_to",
        "clip_grad_norm",
        "ema",
    },
    "guard": ...,
}
"""Fields in which slices may differ; they agree in all others."""


def fusion_key(config: TrainConfig) -> str:
    """Equal for configurations that can train together: same shapes and same discrete choices."""
    shared = config.model_dump(mode="json", exclude=OWN)
    return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:16]


class FusedTraining:
    """Up to `capacity` trainings as one program, advanced from report to report.

    Members join and leave between calls of `advance`; an empty slot costs nothing. What one slice
    does never reaches another.

    Args:
        capacity: number of slots.
        device: where to train.
        threads: CPU threads; all of the machine's if omitted.
        dtype: of weights and poses; float64 for comparisons.
    """

    def __init__(
        self,
        capacity: int,
        *,
        device: str = "cpu",
        threads: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        settle_memory()
        self.capacity = capacity
        self._device, self._dtype = torch.device(device), dtype
        self._gan: FusedGan | None = None
        self._key = ""
        self._slots: dict[int, Member] = {}
        self._parked: dict[int, TrainingState] = {}

    def join(self, config: TrainConfig, saved: TrainingState | None = None) -> int:
        """Add a training, at its start or from a state of it, fused or not.

        Returns:
            Its slot.

        Raises:
            InputError: no slot is free, the configuration can't be fused with those here, its
                poses can't be used, or the state belongs to another one.
        """
        free = [slot for slot in range(self.capacity) if slot not in self._slots]
        if not free:
            raise InputError("fuse", f"all {self.capacity} slots are taken")
        gan = self._fitting(config)
        member = gan.add(config, saved)
        self._slots[free[0]] = member
        return free[0]

    def leave(self, slot: int) -> None:
        """Free a slot."""
        member = self._slots.pop(slot)
        if self._parked.pop(slot, None) is None:
            self._remove([member])

    def slots(self) -> list[int]:
        """SlotTable that are taken, by trainings that go on or are finished."""
        return sorted(self._slots)

    def finished(self, slot: int) -> bool:
        """Whether all iterations of a slot's training are done."""
        return slot in self._parked

    def iteration(self, slot: int) -> int:
        """Updates done by a slot's training."""
        return self._slots[slot].iteration

    def state(self, slot: int) -> TrainingState:
        """Everything needed to go on from here, as `synrep.training.loop.Training.state` gives it."""
        if slot in self._parked:
            return self._parked[slot]
        assert self._gan is not None
        member = self._slots[slot]
        tensors = self._gan.tensors(self._gan.members.index(member))
        return state.assemble(member, tensors, self._gan.training_data.body)

    def advance(
        self, should_pause: PauseCheck = never_pause
    ) -> dict[int, dict[str, float] | Diverged]:
        """Train all slots until at least one reaches its next report.

        Args:
            should_pause: see `Training.advance`.

        Returns:
            The metrics of each slot that reached a report, as `Training.advance` gives them. One
            that diverged yields the error instead, and has left. Nothing after a pause.
        """
        gan = self._gan
        if gan is None or not gan.members:
            return {}
        left = [next_report(m.config, m.since) - m.iteration for m in gan.members]
        for _ in range(min(left)):
            if should_pause():
                return {}
            gan.iterate()
        due = {id(m) for m, rest in zip(gan.members, left, strict=True) if rest == min(left)}
        found = {slot: self._report(m) for slot, m in self._slots.items() if id(m) in due}
        for slot, result in found.items():
            if isinstance(result, Diverged):
                self.leave(slot)
        self._park_finished()
        return found

    def _report(self, member: Member) -> dict[str, float] | Diverged:
        gan = self._gan
        assert gan is not None
        row = gan.members.index(member)
        sums = gan.take_sums(row)
        iterations, member.since = member.iteration - member.since, member.iteration
        try:
            return gan.training_data.report(member, gan.scored(row), sums, iterations)
        except Diverged as error:
            return error

    def _fitting(self, config: TrainConfig) -> FusedGan:
        """The program that a configuration can join."""
        key = fusion_key(config)
        if not self._slots:
            self._gan = None
        if self._gan is None:
            training_data = TrainingData.load(config, self._device, self._dtype)
            self._gan, self._key = FusedGan(config, training_data), key
        if key != self._key:
            raise InputError(
                "fuse", "the configuration differs in more than slices can", "see fusion_key"
            )
        return self._gan

    def _park_finished(self) -> None:
        """Take finished trainings out of the program; their slots stay taken."""
        done = {
            slot: member
            for slot, member in self._slots.items()
            if slot not in self._parked and member.iteration >= member.config.iterations
        }
        self._parked |= {slot: self.state(slot) for slot in done}
        self._remove(list(done.values()))

    def _remove(self, members: Sequence[Member]) -> None:
        gan = self._gan
        assert gan is not None
        gone = {id(member) for member in members}
        if gone:
            gan.select([row for row, m in enumerate(gan.members) if id(m) not in gone])
