"""Trainings of one shape that run as one program: join, advance from report to report, leave.

Small networks leave a processor waiting: each operation costs more to start than to do. Here the
weights of K trainings are stacked, and every operation does its work for all of them. Each member
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
from synrep.training.loop import TrainingData, next_report, retain_freed_memory
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
"""Fields in which members may differ; they agree in all others."""


def fusion_key(config: TrainConfig) -> str:
    """Equal for configurations that can train together: same shapes and same discrete choices."""
    shared = config.model_dump(mode="json", exclude=OWN)
    return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:16]


class FusedTraining:
    """Up to `capacity` trainings as one program, advanced from report to report.

    Members join and leave between calls of `advance`; an unused place costs nothing. What one
    member does never reaches another.

    Args:
        capacity: most members at a time.
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
        retain_freed_memory()
        self.capacity = capacity
        self._device, self._dtype = torch.device(device), dtype
        self._gan: FusedGan | None = None
        self._key = ""
        self._members: dict[int, Member] = {}
        self._finished: dict[int, TrainingState] = {}

    def join(self, config: TrainConfig, saved: TrainingState | None = None) -> int:
        """Add a training, at its start or from a state of it, fused or not.

        Returns:
            The number of the new member.

        Raises:
            InputError: all places are taken, the configuration can't be fused with those here, its
                poses can't be used, or the state belongs to another one.
        """
        free = [number for number in range(self.capacity) if number not in self._members]
        if not free:
            raise InputError("fuse", f"all {self.capacity} places are taken")
        gan = self._fitting(config)
        member = gan.add(config, saved)
        self._members[free[0]] = member
        return free[0]

    def leave(self, number: int) -> None:
        """Take a member out."""
        member = self._members.pop(number)
        if self._finished.pop(number, None) is None:
            self._remove([member])

    def numbers(self) -> list[int]:
        """Numbers of the members: those that train and those that have finished."""
        return sorted(self._members)

    def finished(self, number: int) -> bool:
        """Whether all iterations of a member are done."""
        return number in self._finished

    def iteration(self, number: int) -> int:
        """Iterations done by a member."""
        return self._members[number].iteration

    def state(self, number: int) -> TrainingState:
        """Everything needed to go on from here, in the form of `Training.state`."""
        if number in self._finished:
            return self._finished[number]
        assert self._gan is not None
        member = self._members[number]
        tensors = self._gan.tensors(self._gan.members.index(member))
        return state.assemble(member, tensors, self._gan.training_data.body)

    def advance(
        self, should_pause: PauseCheck = never_pause
    ) -> dict[int, dict[str, float] | Diverged]:
        """Train all members until at least one reaches its next report.

        Args:
            should_pause: see `Training.advance`.

        Returns:
            The metrics of each member that reached a report, by number, as `Training.advance` gives
            them. One that diverged yields the error instead, and has left. Nothing after a pause.
        """
        gan = self._gan
        if gan is None or not gan.members:
            return {}
        left = [next_report(m.config, m.last_report) - m.iteration for m in gan.members]
        for _ in range(min(left)):
            if should_pause():
                return {}
            gan.iterate()
        due = {id(m) for m, rest in zip(gan.members, left, strict=True) if rest == min(left)}
        found = {number: self._report(m) for number, m in self._members.items() if id(m) in due}
        for number, result in found.items():
            if isinstance(result, Diverged):
                self.leave(number)
        self._retire_finished()
        return found

    def _report(self, member: Member) -> dict[str, float] | Diverged:
        gan = self._gan
        assert gan is not None
        row = gan.members.index(member)
        sums = gan.take_sums(row)
        iterations, member.last_report = member.iteration - member.last_report, member.iteration
        try:
            return gan.training_data.report(member, gan.scored(row), sums, iterations)
        except Diverged as error:
            return error

    def _fitting(self, config: TrainConfig) -> FusedGan:
        """The program that a configuration can join."""
        key = fusion_key(config)
        if not self._members:
            self._gan = None
        if self._gan is None:
            training_data = TrainingData.load(config, self._device, self._dtype)
            self._gan, self._key = FusedGan(config, training_data), key
        if key != self._key:
            raise InputError(
                "fuse", "the configuration differs in more than members can", "see fusion_key"
            )
        return self._gan

    def _retire_finished(self) -> None:
        """Take finished trainings out of the program; they keep their numbers."""
        done = {
            number: member
            for number, member in self._members.items()
            if number not in self._finished and member.iteration >= member.config.iterations
        }
        self._finished |= {number: self.state(number) for number in done}
        self._remove(list(done.values()))

    def _remove(self, members: Sequence[Member]) -> None:
        gan = self._gan
        assert gan is not None
        gone = {id(member) for member in members}
        if gone:
            gan.select([row for row, m in enumerate(gan.members) if id(m) not in gone])
