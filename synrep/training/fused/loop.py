"""Fused training: members join, advance together from report to report, and leave.

With small networks, the overhead of launching an operation exceeds its computation. A fused
training therefore stacks the weights of K trainings, so that each operation computes all of them.
Each member has its own learning rates, loss weights, wKCS, activation slope, dropout, seed, data
order and iteration, and gives the same result as the same configuration trained alone, up to
rounding.
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
from synrep.training.protocol import MPJPE, never_pause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synrep.config import TrainConfig
    from synrep.training.checkpoint import TrainingState
    from synrep.training.fused.settings import Member
    from synrep.training.protocol import Goal, PauseCheck

MEMBER_FIELDS: dict[str, Any] = {
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
"""Configuration fields in which members may differ; all others must be equal."""


def fusion_key(config: TrainConfig) -> str:
    """Return a key that is equal for configurations that can be fused.

    These have the same network shapes and discrete options; see `MEMBER_FIELDS`.
    """
    shared = config.model_dump(mode="json", exclude=MEMBER_FIELDS)
    return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:16]


class FusedTraining:
    """Up to `capacity` trainings, run as one program.

    Members join and leave between calls of `advance`; an unused slot costs nothing. No member
    affects the results of another.

    Args:
        capacity: maximum number of members at a time.
        device: device to train on.
        threads: number of CPU threads; all cores if omitted.
        dtype: type of weights and poses; float64 for comparisons.
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

    def join(
        self, config: TrainConfig, saved: TrainingState | None = None, goal: Goal = MPJPE
    ) -> int:
        """Add a training, new or resumed from a state of a single or fused training.

        Args:
            config: configuration of the training.
            saved: the state to resume from.
            goal: what selects its best generator.

        Returns:
            The number of the new member: the lowest free one below `capacity`.

        Raises:
            InputError: all slots are taken, the configuration can't be fused with the members, its
                poses can't be used, or the state belongs to a different configuration or
                other poses.
        """
        free = [number for number in range(self.capacity) if number not in self._members]
        if not free:
            raise InputError("fuse", f"all {self.capacity} slots are taken")
        gan = self._compatible_gan(config)
        member = gan.add(config, saved, goal)
        self._members[free[0]] = member
        return free[0]

    def leave(self, number: int) -> None:
        """Remove a member."""
        member = self._members.pop(number)
        if self._finished.pop(number, None) is None:
            self._remove([member])

    def numbers(self) -> list[int]:
        """Return the numbers of all members, training or finished."""
        return sorted(self._members)

    def finished(self, number: int) -> bool:
        """Return whether a member has done all its iterations."""
        return number in self._finished

    def iteration(self, number: int) -> int:
        """Return the number of iterations a member has done."""
        return self._members[number].iteration

    def state(self, number: int) -> TrainingState:
        """Return the state needed to resume a member, in the form of `Training.state`."""
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
            Metrics by number for each member that reached a report, as returned by
            `Training.advance`. A member that diverged has been removed, and its value is the
            error. Empty after a pause.
        """
        gan = self._gan
        if gan is None or not gan.members:
            return {}
        remaining = [next_report(m.config, m.last_report) - m.iteration for m in gan.members]
        for _ in range(min(remaining)):
            if should_pause():
                return {}
            gan.iterate()
        due = {
            id(m) for m, rest in zip(gan.members, remaining, strict=True) if rest == min(remaining)
        }
        reports = {number: self._report(m) for number, m in self._members.items() if id(m) in due}
        for number, result in reports.items():
            if isinstance(result, Diverged):
                self.leave(number)
        self._retire_finished()
        return reports

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

    def _compatible_gan(self, config: TrainConfig) -> FusedGan:
        """Return the networks that a configuration can join; build them for the first member."""
        key = fusion_key(config)
        if not self._members:
            self._gan = None
        if self._gan is None:
            training_data = TrainingData.load(config, self._device, self._dtype)
            self._gan, self._key = FusedGan(config, training_data), key
        if key != self._key:
            raise InputError(
                "fuse",
                "the configuration differs in fields that members must share",
                "see fusion_key",
            )
        return self._gan

    def _retire_finished(self) -> None:
        """Remove finished members from the stacks, but keep their numbers and states."""
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
        removed = {id(member) for member in members}
        if removed:
            gan.select([row for row, m in enumerate(gan.members) if id(m) not in removed])
