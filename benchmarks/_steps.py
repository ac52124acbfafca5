"""What the benchmarks of the training step share: configurations, necessary products, timing."""

from __future__ import annotations

import argparse
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from synrep.config import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that both have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="also write the rows to a file")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    return parser


def configuration(width: int, branch: int, batch: int, number: int = 0) -> TrainConfig:
    """A configuration of the paper's model in other sizes; `number` tells members apart."""
    return TrainConfig.model_validate(
        {
            "seed": number,
            "batch_size": batch,
            "generator": {"width": width},
            "reprojection_network": {"width": width},
            "critic": {"branch_width": branch, "gp_weight": 10.0 + number},
            "optim": {"lr_generator": 8e-5 * (1 + number / 8)},
            "data": {"poses": os.environ.get("SYNREP_DATA", "synthetic")},
        }
    )


def interleaved(
    tasks: Mapping[str, Callable[[], object]], rounds: int, repeats: int = 1
) -> dict[str, float]:
    """Median seconds of each task, run in turns so that a busy machine slows all alike."""
    for task in tasks.values():
        task()
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            for _ in range(repeats):
                start = time.perf_counter()
                task()
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


@dataclass(frozen=True)
class Product:
    """One matrix product (m, k) x (k, n); a transposed operand is stored the other way round."""

    m: int
    k: int
    n: int
    left_transposed: bool = False
    right_transposed: bool = False

    @property
    def flop(self) -> int:
        """Multiplications and additions."""
        return 2 * self.m * self.k * self.n

    def operands(self) -> tuple[Tensor, Tensor, Tensor]:
        """Two random operands and room for the result."""
        left = (
            torch.randn(self.k, self.m).T if self.left_transposed else torch.randn(self.m, self.k)
        )
        right = (
            torch.randn(self.n, self.k).T if self.right_transposed else torch.randn(self.k, self.n)
        )
        return left, right, torch.empty(self.m, self.n)


def _forward(rows: int, shapes: list[tuple[int, int]]) -> Iterator[Product]:
    for inputs, outputs in shapes:
        yield Product(rows, inputs, outputs, right_transposed=True)


def _signals(rows: int, shapes: list[tuple[int, int]]) -> Iterator[Product]:
    for inputs, outputs in shapes:
        yield Product(rows, outputs, inputs)


def _gradients(rows: int, shapes: list[tuple[int, int]]) -> Iterator[Product]:
    for inputs, outputs in shapes:
        yield Product(outputs, rows, inputs, left_transposed=True)


def necessary_products(config: TrainConfig, joints: int = 17) -> list[Product]:
    """The matrix products that one step of the default model can't do without.

    The gradient penalty takes one forward and one backward pass for the gradient, one more
    forward pass for its direction, and one product a weight for the gradient of the penalty.
    """
    batch, width = config.batch_size, config.generator.width
    hidden = [(width, width)]
    lifting = [(2 * joints, width), *hidden * (2 * config.generator.blocks), (width, joints)]
    back = [(3 * joints, width), *hidden * (2 * config.reprojection_network.blocks)]
    back.append((width, 2 * joints))
    w = config.critic.branch_width
    first = [(3 * joints, w), (2 * joints, w), ((joints - 1) ** 2, w)]
    inner = [(w, w), (w, w), (w, w), (3 * w, w), (w, 1)]
    critic = [*first, *inner]
    return [
        *_forward(batch, lifting), *_signals(batch, lifting[1:]), *_gradients(batch, lifting),
        *_forward(batch, back), *_signals(batch, back), *_gradients(batch, back),
        *_forward(3 * batch, critic), *_signals(3 * batch, inner), *_signals(batch, first),
        *_forward(batch, critic), *_gradients(3 * batch, critic),
        *_forward(batch, critic), *_signals(batch, critic),
    ]  # fmt: skip


class Products:
    """Necessary products and nothing else, by torch.mm, each with operands of its own.

    Operands that are used in turn are as far from the processor's caches as in a training step.
    """

    def __init__(self, config: TrainConfig) -> None:
        products = necessary_products(config)
        self.flop = sum(product.flop for product in products)
        self._operands = [product.operands() for product in products]

    def __call__(self) -> None:
        """Do all of them once."""
        for left, right, out in self._operands:
            torch.mm(left, right, out=out)

    def repeated_seconds(self, repeats: int = 5) -> float:
        """Median seconds of all of them if each is done several times on end.

        From the second time on its operands are in the caches, which a training step can't have.
        """
        total = 0.0
        for left, right, out in self._operands:
            times = []
            for _ in range(repeats + 1):
                start = time.perf_counter()
                torch.mm(left, right, out=out)
                times.append(time.perf_counter() - start)
            total += statistics.median(times[1:])
        return total
