"""The weights of K copies of one network, stacked, with their gradients and Adam's moments.

All weights of a copy lie in one flat row: its Adam update, its clipping and its moving average
are one operation each, however many layers it has. Matrix products see views [K, out, in].
Axes: K members, n numbers in a row.
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
"""Numbers; weights start at multiples of it, for whole vector registers."""

Moments = dict[int, dict[str, Tensor]]
"""As in a PyTorch optimiser's state: by number of the weight, then 'step', 'exp_avg', ..."""


@dataclass(frozen=True, kw_only=True)
class FlatLayout:
    """Where each weight of a network lies in a row.

    Attributes:
        shapes: of all weights and running statistics, by name.
        starts: their first position, in the row of weights or in that of statistics.
        weights: names of weights in the order of the network's parameters.
        trained: numbers, in that order, of those that are updated.
        counters: names of integer statistics.
        lengths: of a row of weights, and of one of statistics.
    """

    shapes: dict[str, torch.Size]
    starts: dict[str, int]
    weights: list[str]
    trained: list[int]
    counters: list[str]
    lengths: tuple[int, int]

    @classmethod
    def of(cls, network: nn.Module) -> FlatLayout:
        """The layout of a network's state dictionary."""
        unused = cancelled_biases(network)
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
            trained=[i for i, weight in enumerate(weights.values()) if weight not in unused],
            counters=[name for name, value in state.items() if not value.is_floating_point()],
            lengths=(ends[0], ends[1]),
        )

    def views(self, rows: Tensor, *, statistics: bool = False) -> dict[str, Tensor]:
        """Each weight as [K, *shape], sharing the memory of rows [K, n]."""
        return {
            name: rows[:, start : start + self.shapes[name].numel()].view(-1, *self.shapes[name])
            for name, start in self.starts.items()
            if (name not in self.weights) == statistics
        }


class Stack:
    """K copies of one network.

    Args:
        network: gives the layout; its values are not used.
        betas: Adam's; omitted for a network that is not trained.
        device: of all tensors.
        dtype: likewise.

    Attributes:
        weights: each weight by name, [K, *shape].
        gradients: likewise; who computes a gradient writes it here.
        statistics: running statistics by name, [K, *shape].
        rows: all weights of each copy, [K, n].
        updates: of the running statistics, for each copy.
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
        self._like = torch.empty(0, device=device, dtype=dtype)
        self.steps: list[Tensor] = []
        self.updates: list[int] = []
        length, other = self.layout.lengths
        slopes = length if betas else 0
        lengths = (length, slopes, slopes, slopes, other)
        self._set([self._like.new_zeros(0, n) for n in lengths])

    def _set(self, flat: Sequence[Tensor]) -> None:
        self._flat = list(flat)
        if self.betas and self.betas[0] == 0:
            # Without momentum the first moment is the gradient itself.
            self._flat[2] = self._flat[1]
        self.rows, self.slopes, self._first, self._second, running = self._flat
        self.weights = self.layout.views(self.rows)
        self.gradients = self.layout.views(self.slopes) if self.betas else {}
        self.statistics = self.layout.views(running, statistics=True)
        columns = (self.rows, self.slopes, self._first, self._second)
        self._columns = [list(column.unbind(0)) for column in columns]

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, rows: Sequence[int]) -> None:
        """Keep these copies, in this order."""
        self.steps = [self.steps[row] for row in rows]
        self.updates = [self.updates[row] for row in rows]
        index = torch.tensor(rows, dtype=torch.long, device=self._like.device)
        self._set([flat.index_select(0, index) for flat in self._flat])

    def append(self, values: Mapping[str, Tensor], moments: Moments) -> None:
        """Add a copy with a state dictionary and the state of its optimiser."""
        names = self.layout.weights
        step = next((m["step"] for m in moments.values()), torch.tensor(0.0))
        self.steps.append(step.to(self._like.device, torch.float32).clone())
        counters = self.layout.counters
        self.updates.append(int(values[counters[0]]) if counters else 0)
        trained = {names[i]: moments[i] for i in self.layout.trained if i in moments}
        first = {name: moment["exp_avg"] for name, moment in trained.items()}
        second = {name: moment["exp_avg_sq"] for name, moment in trained.items()}
        added = [self._row(values), self._row(first), self._row(first), self._row(second)]
        if not self.betas:
            added[1:] = [row[:0] for row in added[1:]]
        added.append(self._row(values, statistics=True))
        pairs = zip(self._flat, added, strict=True)
        self._set([torch.cat([flat, row[None]]) for flat, row in pairs])

    def _row(self, values: Mapping[str, Tensor], *, statistics: bool = False) -> Tensor:
        row = self._like.new_zeros(1, self.layout.lengths[statistics])
        for name, view in self.layout.views(row, statistics=statistics).items():
            if name in values:
                view[0] = values[name]
        return row[0]

    def values(self, row: int) -> dict[str, Tensor]:
        """The state dictionary of one copy; floating-point values share its memory."""
        named = {name: value[row] for name, value in {**self.weights, **self.statistics}.items()}
        return named | {name: torch.tensor(self.updates[row]) for name in self.layout.counters}

    def moments(self, row: int) -> Moments:
        """The state of one copy's optimiser; empty before the first step."""
        if not self.betas or not self.steps[row]:
            return {}
        first, second = self.layout.views(self._first), self.layout.views(self._second)
        return {
            index: {
                "step": self.steps[row],
                "exp_avg": first[name][row],
                "exp_avg_sq": second[name][row],
            }
            for index, name in enumerate(self.layout.weights)
            if index in self.layout.trained
        }

    def descend(self, rates: Sequence[float], bounds: Tensor | None = None) -> None:
        """One step of Adam in each copy.

        Args:
            rates: learning rate of each copy.
            bounds: (K, 1) on the norm of each copy's gradient.
        """
        if bounds is not None:
            norms = torch.linalg.vector_norm(self.slopes, dim=1, keepdim=True)
            self.slopes.mul_((bounds / (norms + 1e-6)).clamp_max(1.0))
        assert self.betas is not None
        for row, rate in enumerate(rates):
            weight, gradient, first, second = ([column[row]] for column in self._columns)
            adam(
                weight, gradient, first, second, [], [self.steps[row]],
                fused=True, amsgrad=False, beta1=self.betas[0], beta2=self.betas[1], lr=rate,
                weight_decay=0.0, eps=1e-8, maximize=False,
            )  # fmt: skip

    def follow(self, other: Stack, part: Tensor) -> None:
        """Move weights and statistics by a part (K, 1) of the way to those of another stack."""
        for mine, theirs in ((self.rows, other.rows), (self._flat[-1], other._flat[-1])):
            mine.lerp_(theirs, part)
        self.updates = list(other.updates)

    def count_update(self) -> None:
        """Note that the running statistics of all copies were updated."""
        self.updates = [updates + 1 for updates in self.updates]


def unbounded(bounds: Sequence[float]) -> list[float]:
    """Bounds of which 0 means none."""
    return [bound or math.inf for bound in bounds]
