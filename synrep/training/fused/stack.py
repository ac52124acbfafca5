"""Stacked weights of one network of all members, with their gradients and Adam moments.

The weights of each member are stored contiguously in one row of a matrix, so that the Adam update,
gradient clipping and the moving average are one operation each, independent of the number of
layers. Matrix products use views [K, out, in] of these rows.
Axes: K members, n elements of a row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from synrep.model.networks import cancelled_biases

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ALIGNMENT = 16
"""Each weight starts at a multiple of this many elements, to align it to vector registers."""

Moments = dict[int, dict[str, Tensor]]
"""State of a PyTorch optimiser: parameter index, then 'step', 'exp_avg', 'exp_avg_sq'."""


@dataclass(frozen=True, kw_only=True)
class FlatLayout:
    """Layout of the weights and running statistics of a network in a row.

    Attributes:
        shapes: shapes of all weights and running statistics, by name.
        starts: offsets in the row of weights or in the row of statistics, by name.
        weights: names of the weights, in the order of the network's parameters.
        trained: indices of the trained weights in that order.
        counters: names of integer statistics.
        lengths: lengths of a row of weights and of a row of statistics.
    """

    shapes: dict[str, torch.Size]
    starts: dict[str, int]
    weights: list[str]
    trained: list[int]
    counters: list[str]
    lengths: tuple[int, int]

    @classmethod
    def of(cls, network: nn.Module) -> FlatLayout:
        """Build the layout from a network's state dictionary."""
        cancelled = cancelled_biases(network)
        weights = dict(network.named_parameters())
        state = network.state_dict()
        starts: dict[str, int] = {}
        ends = [0, 0]
        for name, value in {**weights, **state}.items():
            if value.is_floating_point():
                kind = int(name not in weights)
                starts[name] = ends[kind]
                ends[kind] += -(-value.numel() // ALIGNMENT) * ALIGNMENT
        return cls(
            shapes={name: state[name].shape for name in starts},
            starts=starts,
            weights=list(weights),
            trained=[i for i, weight in enumerate(weights.values()) if weight not in cancelled],
            counters=[name for name, value in state.items() if not value.is_floating_point()],
            lengths=(ends[0], ends[1]),
        )

    def views(self, rows: Tensor, *, statistics: bool = False) -> dict[str, Tensor]:
        """Return each weight as a view [K, *shape] of rows [K, n]."""
        return {
            name: rows[:, start : start + self.shapes[name].numel()].view(-1, *self.shapes[name])
            for name, start in self.starts.items()
            if (name not in self.weights) == statistics
        }


class Stack:
    """One network of each of K members, with stacked weights.

    Args:
        network: network that determines the layout; its values are not used.
        betas: betas of Adam; None for a network that is not trained.
        device: device of all tensors.
        dtype: dtype of all floating-point tensors.

    Attributes:
        weights: weights by name, [K, *shape].
        gradients: gradients by name, [K, *shape]; backward passes write into them.
        statistics: running statistics by name, [K, *shape].
        weight_rows: all weights of each member, [K, n].
        gradient_rows: all gradients of each member, [K, n].
        steps: step counter of each member's Adam state.
        updates: number of updates of the running statistics of each member.
    """

    def __init__(
        self,
        network: nn.Module,
        betas: tuple[float, float] | None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.layout = FlatLayout.of(network)
        self.betas = betas
        self._template = torch.empty(0, device=device, dtype=dtype)
        self.steps: list[Tensor] = []
        self.updates: list[int] = []
        length, statistics = self.layout.lengths
        trained = length if betas else 0
        lengths = (length, trained, trained, trained, statistics)
        self._set([self._template.new_zeros(0, n) for n in lengths])

    def _set(self, flat: Sequence[Tensor]) -> None:
        self._flat = list(flat)
        if self.betas and self.betas[0] == 0:
            # With beta1 = 0 the first moment equals the gradient, so they share memory.
            self._flat[2] = self._flat[1]
        self.weight_rows, self.gradient_rows, self._exp_avg, self._exp_avg_sq, running = self._flat
        self.weights = self.layout.views(self.weight_rows)
        self.gradients = self.layout.views(self.gradient_rows) if self.betas else {}
        self.statistics = self.layout.views(running, statistics=True)
        columns = (self.weight_rows, self.gradient_rows, self._exp_avg, self._exp_avg_sq)
        self._columns = [list(column.unbind(0)) for column in columns]

    def __len__(self) -> int:
        return len(self.weight_rows)

    def select(self, rows: Sequence[int]) -> None:
        """Keep only these members, in this order."""
        self.steps = [self.steps[row] for row in rows]
        self.updates = [self.updates[row] for row in rows]
        index = torch.tensor(rows, dtype=torch.long, device=self._template.device)
        self._set([flat.index_select(0, index) for flat in self._flat])

    def append(self, values: Mapping[str, Tensor], moments: Moments) -> None:
        """Append a member, from the state dictionary of its network and its optimiser moments."""
        names = self.layout.weights
        step = next((m["step"] for m in moments.values()), torch.tensor(0.0))
        self.steps.append(step.to(self._template.device, torch.float32).clone())
        counters = self.layout.counters
        self.updates.append(int(values[counters[0]]) if counters else 0)
        trained = {names[i]: moments[i] for i in self.layout.trained if i in moments}
        first = {name: moment["exp_avg"] for name, moment in trained.items()}
        second = {name: moment["exp_avg_sq"] for name, moment in trained.items()}
        # The initial gradients are arbitrary, but with beta1 = 0 they are also the first moment.
        rows = [self._row(values), self._row(first), self._row(first), self._row(second)]
        if not self.betas:
            rows[1:] = [row[:0] for row in rows[1:]]
        rows.append(self._row(values, statistics=True))
        pairs = zip(self._flat, rows, strict=True)
        self._set([torch.cat([flat, row[None]]) for flat, row in pairs])

    def _row(self, values: Mapping[str, Tensor], *, statistics: bool = False) -> Tensor:
        row = self._template.new_zeros(1, self.layout.lengths[statistics])
        for name, view in self.layout.views(row, statistics=statistics).items():
            if name in values:
                view[0] = values[name]
        return row[0]

    def values(self, row: int) -> dict[str, Tensor]:
        """Return the state dictionary of one member; floating-point values are views."""
        tensors = {name: value[row] for name, value in {**self.weights, **self.statistics}.items()}
        return tensors | {name: torch.tensor(self.updates[row]) for name in self.layout.counters}

    def moments(self, row: int) -> Moments:
        """Return the optimiser moments of one member; empty before its first step."""
        if not self.betas or not self.steps[row]:
            return {}
        first, second = self.layout.views(self._exp_avg), self.layout.views(self._exp_avg_sq)
        return {
            index: {
                "step": self.steps[row],
                "exp_avg": first[name][row],
                "exp_avg_sq": second[name][row],
            }
            for index, name in enumerate(self.layout.weights)
            if index in self.layout.trained
        }

    def adam_step(self, rates: Sequence[float], max_norms: Tensor | None = None) -> None:
        """Take one Adam step for each member.

        Args:
            rates: learning rate of each member.
            max_norms: bound (K, 1) on the gradient norm of each member; no clipping if None.
        """
        if max_norms is not None:
            norms = torch.linalg.vector_norm(self.gradient_rows, dim=1, keepdim=True)
            self.gradient_rows.mul_((max_norms / (norms + 1e-6)).clamp_max(1.0))
        assert self.betas is not None
        for row, rate in enumerate(rates):
            weight, gradient, first, second = ([column[row]] for column in self._columns)
            adam(
                weight, gradient, first, second, [], [self.steps[row]],
                fused=True, amsgrad=False, beta1=self.betas[0], beta2=self.betas[1], lr=rate,
                weight_decay=0.0, eps=1e-8, maximize=False,
            )  # fmt: skip

    def lerp(self, other: Stack, weight: Tensor) -> None:
        """Interpolate weights and statistics towards another stack, with weights (K, 1)."""
        for own, target in (
            (self.weight_rows, other.weight_rows),
            (self._flat[-1], other._flat[-1]),
        ):
            own.lerp_(target, weight)
        self.updates = list(other.updates)

    def count_update(self) -> None:
        """Increment the number of statistics updates of all members."""
        self.updates = [updates + 1 for updates in self.updates]


def zero_to_inf(bounds: Sequence[float]) -> list[float]:
    """Replace bounds of 0, which mean no bound, by infinity."""
    return [bound or math.inf for bound in bounds]
