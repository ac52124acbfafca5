"""Members of a fused training: their stacked weights and settings, and adding and removing them.

Axes: K members.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from synrep.training.fused.settings import Member, MemberSettings
from synrep.training.fused.stack import Stack
from synrep.training.protocol import MPJPE
from synrep.training.state import optimiser_moments, restore
from synrep.training.step import REFERENCE, build_networks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synrep.config import TrainConfig
    from synrep.model.networks import Critic, Generator
    from synrep.training.checkpoint import TrainingState
    from synrep.training.loop import TrainingData
    from synrep.training.protocol import Goal

NETWORKS = ("generator", "reprojection", "critic")


class Members:
    """The K members of a fused training, with the stacks of their networks.

    Args:
        config: configuration of any member; all have the same `synrep.training.fused.fusion_key`.
        training_data: views that the members share.

    Attributes:
        members: members in the order of their rows.
        stacks: stacks of the trained networks, by name.
        average: stack of the generators' moving averages.
        settings: settings that differ between members.
        sums: losses (K,) by name, each member's summed since its last report.
        template: empty tensor with the device and dtype of the stacks.
    """

    def __init__(self, config: TrainConfig, training_data: TrainingData) -> None:
        self.config = config
        self.training_data = training_data
        self.skeleton = training_data.inputs.skeleton
        self.members: list[Member] = []
        self.sums: dict[str, Tensor] = {}
        self.template = training_data.inputs.poses.new_empty(0)
        self._reference = training_data.reals.evenly_spaced(REFERENCE).poses.cpu()
        networks = build_networks(config, self.skeleton, self._reference)
        betas = (config.optim.beta1, config.optim.beta2)
        device, dtype = self.template.device, self.template.dtype
        self.stacks = {name: Stack(networks[name], betas, device, dtype) for name in NETWORKS}
        self.average = Stack(networks["generator"], None, device, dtype)

    def add(self, config: TrainConfig, saved: TrainingState | None, goal: Goal = MPJPE) -> Member:
        """Add a training, new or resumed from a state.

        Raises:
            InputError: the state belongs to a different configuration or to other poses.
        """
        networks = build_networks(config, self.skeleton, self._reference)
        critic = cast("Critic", networks["critic"])
        member = Member(
            config=config,
            kcs=critic.kcs.to(self.template),
            generator=cast("Generator", networks["generator"]).to(self.template),
            goal=goal,
            origin=self.training_data.origin,
        )
        parts: dict[str, dict[str, Tensor]] = {}
        if saved is not None:
            parts = restore(member, saved, self.template.device)
        values = {name: parts.get(name, net.state_dict()) for name, net in networks.items()}
        for name, stack in self.stacks.items():
            stack.append(values[name], optimiser_moments(name, parts))
        self.average.append(values.get("average", values["generator"]), {})
        self.members.append(member)
        self._append_sums(parts.get("sums", {}))
        # Adjacent members with the same slope share the operations of their activation.
        rows = range(len(self.members))
        self.select(sorted(rows, key=lambda row: self.members[row].config.generator.slope))
        return member

    def _append_sums(self, values: Mapping[str, Tensor]) -> None:
        """Append the loss sums of the newest member: those of its saved state, or 0."""
        others = self.template.new_zeros(len(self.members) - 1)
        for name in self.sums.keys() | values.keys():
            value = values.get(name, self.template.new_zeros(())).to(self.template)
            self.sums[name] = torch.cat([self.sums.get(name, others), value[None]])

    def select(self, rows: Sequence[int]) -> None:
        """Keep only the members of these rows, in this order."""
        for stack in (*self.stacks.values(), self.average):
            stack.select(rows)
        self.members = [self.members[row] for row in rows]
        self.sums = {name: total[list(rows)] for name, total in self.sums.items()}
        if rows:
            self._update_settings()

    def _update_settings(self) -> None:
        self.settings = MemberSettings(self.members, self.skeleton, self.template)

    def tensors(self, row: int) -> dict[str, Tensor]:
        """Return the tensors of a member's state, by dotted name."""
        stacks = self.stacks
        if self.members[row].config.optim.ema:
            stacks = stacks | {"average": self.average}
        tensors: dict[str, Tensor] = {}
        for name, stack in stacks.items():
            tensors |= {f"{name}.{key}": value for key, value in stack.values(row).items()}
            for index, moments in stack.moments(row).items():
                tensors |= {f"optim.{name}.{index}.{key}": value for key, value in moments.items()}
        if self.members[row].iteration > self.members[row].last_report:
            tensors |= {f"sums.{name}": total[row] for name, total in self.sums.items()}
        return tensors

    def take_sums(self, row: int) -> dict[str, float]:
        """Return the loss sums of a member and reset them to 0."""
        sums = {name: float(total[row]) for name, total in self.sums.items()}
        for total in self.sums.values():
            total[row] = 0
        return sums

    def scored(self, row: int) -> Generator:
        """Return the generator of a member to score, with its current weights."""
        member = self.members[row]
        stack = self.average if member.config.optim.ema else self.stacks["generator"]
        member.generator.load_state_dict(stack.values(row))
        return member.generator
