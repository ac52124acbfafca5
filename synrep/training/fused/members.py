"""K members: their weights, what differs between them, and their comings and goings.

Axes: K members.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from synrep.training.fused.settings import Member, MemberSettings
from synrep.training.fused.stack import Stack
from synrep.training.state import optimiser_moments, restore
from synrep.training.step import REFERENCE, build_networks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synrep.config import TrainConfig
    from synrep.model.networks import Critic, Generator
    from synrep.training.checkpoint import TrainingState
    from synrep.training.loop import TrainingData

NETWORKS = ("generator", "reprojection", "critic")


class Members:
    """The stacks of K trainings.

    Args:
        config: of any of them; they agree in all that `synrep.training.fused.fusion_key` names.
        training_data: the views they share.

    Attributes:
        members: in the order of the members.
        stacks: weights of each network, by name.
        sums: losses (K,) summed since they were last cleared.
    """

    def __init__(self, config: TrainConfig, training_data: TrainingData) -> None:
        self.config = config
        self.training_data = training_data
        self.skeleton = training_data.inputs.skeleton
        self.members: list[Member] = []
        self.sums: dict[str, Tensor] = {}
        self.like = training_data.inputs.poses.new_empty(0)
        self._reference = training_data.reals.evenly_spaced(REFERENCE).poses.cpu()
        networks = build_networks(config, self.skeleton, self._reference)
        betas = (config.optim.beta1, config.optim.beta2)
        device, dtype = self.like.device, self.like.dtype
        self.stacks = {name: Stack(networks[name], betas, device, dtype) for name in NETWORKS}
        self.average = Stack(networks["generator"], None, device, dtype)

    def add(self, config: TrainConfig, saved: TrainingState | None) -> Member:
        """Add a training, at its start or from a state.

        Raises:
            InputError: the state belongs to a different configuration.
        """
        networks = build_networks(config, self.skeleton, self._reference)
        critic = cast("Critic", networks["critic"])
        member = Member(
            config=config,
            kcs=critic.kcs.to(self.like),
            generator=cast("Generator", networks["generator"]).to(self.like),
        )
        parts: dict[str, dict[str, Tensor]] = {}
        if saved is not None:
            parts = restore(member, saved, self.like.device)
        values = {name: parts.get(name, net.state_dict()) for name, net in networks.items()}
        for name, stack in self.stacks.items():
            stack.append(values[name], optimiser_moments(name, parts))
        self.average.append(values.get("average", values["generator"]), {})
        self.members.append(member)
        self._append_sums(parts.get("sums", {}))
        # Neighbours with one slope share the operations of their activation.
        rows = range(len(self.members))
        self.select(sorted(rows, key=lambda row: self.members[row].config.generator.slope))
        return member

    def _append_sums(self, values: Mapping[str, Tensor]) -> None:
        """Sums of the newest member: as they were when it was saved, else 0."""
        others = self.like.new_zeros(len(self.members) - 1)
        for name in self.sums.keys() | values.keys():
            value = values.get(name, self.like.new_zeros(())).to(self.like)
            self.sums[name] = torch.cat([self.sums.get(name, others), value[None]])

    def select(self, rows: Sequence[int]) -> None:
        """Keep these members, in this order."""
        for stack in (*self.stacks.values(), self.average):
            stack.select(rows)
        self.members = [self.members[row] for row in rows]
        self.sums = {name: total[list(rows)] for name, total in self.sums.items()}
        if rows:
            self._change()

    def _change(self) -> None:
        self.settings = MemberSettings(self.members, self.skeleton, self.like)

    def tensors(self, row: int) -> dict[str, Tensor]:
        """The tensors of a member's state, by dotted name."""
        stacks = self.stacks
        if self.members[row].config.optim.ema:
            stacks = stacks | {"average": self.average}
        found: dict[str, Tensor] = {}
        for name, stack in stacks.items():
            found |= {f"{name}.{key}": value for key, value in stack.values(row).items()}
            for index, moments in stack.moments(row).items():
                found |= {f"optim.{name}.{index}.{key}": value for key, value in moments.items()}
        if self.members[row].iteration > self.members[row].since:
            found |= {f"sums.{name}": total[row] for name, total in self.sums.items()}
        return found

    def take_sums(self, row: int) -> dict[str, float]:
        """The sums of a slice, which start anew."""
        found = {name: float(total[row]) for name, total in self.sums.items()}
        for total in self.sums.values():
            total[row] = 0
        return found

    def scored(self, row: int) -> Generator:
        """The generator of a member that is scored, as it is now."""
        member = self.members[row]
        stack = self.average if member.config.optim.ema else self.stacks["generator"]
        member.generator.load_state_dict(stack.values(row))
        return member.generator
