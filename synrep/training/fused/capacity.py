"""How many trainings to fuse, found by trying: it depends on sizes, caches and the device."""

from __future__ import annotations

import itertools
import os
import time
from typing import TYPE_CHECKING

import torch

from synrep.training.fused.step import FusedGan
from synrep.training.loop import TrainingData, retain_freed_memory
from synrep.training.step import Gan

if TYPE_CHECKING:
    from collections.abc import Callable

    from synrep.config import TrainConfig

ROUNDS = 3
"""Each number is tried this often, in turn: what else the machine does then hits all alike."""
SECONDS = 0.05
"""Time for one try, or two steps if those take longer."""
ENOUGH = 1.5
"""Seconds after which nothing new is tried: networks that take longer gain little by fusing."""
GAIN = 1.15
"""Fusing must be faster by this factor: what varies less is noise, and alone is simpler."""


def fastest_capacity(
    config: TrainConfig, *, most: int, device: str = "cpu", threads: int | None = None
) -> int:
    """The number of fused trainings with the most iterations a second, in all.

    Tries 1 (`Training` itself), 4, 16, ... in about two seconds, as far as memory goes.

    Args:
        config: any of the configurations to fuse.
        most: the largest number of use.
        device: where to train.
        threads: CPU threads; all of the machine's if omitted.

    Raises:
        InputError: the poses can't be used.
    """
    if most == 1:
        return 1
    if threads is not None:
        torch.set_num_threads(threads)
    retain_freed_memory()
    training_data = TrainingData.load(config, torch.device(device), torch.float32)
    plain, numbers = Gan(config, training_data.inputs, training_data.reals), itertools.count()
    steps: dict[int, Callable[[], object]] = {1: lambda: plain.iterate(next(numbers))}
    end = time.perf_counter() + ENOUGH
    times = {1: _seconds(steps[1], device)}
    for capacity in _capacities(most):
        if time.perf_counter() > end or not _fits(plain, capacity, device):
            break
        try:
            steps[capacity] = _fused(config, training_data, capacity)
            times[capacity] = _seconds(steps[capacity], device) / capacity
        except torch.OutOfMemoryError:
            steps.pop(capacity, None)
            break
    for capacity in list(times) * (ROUNDS - 1):
        if time.perf_counter() < end:
            times[capacity] = min(times[capacity], _seconds(steps[capacity], device) / capacity)
    best = min(times, key=lambda capacity: times[capacity])
    return best if times[best] * GAIN < times[1] else 1


def _fused(config: TrainConfig, training_data: TrainingData, capacity: int) -> Callable[[], object]:
    """The step of a fused training with so many members."""
    fused = FusedGan(config, training_data)
    for seed in range(capacity):
        fused.add(config.model_copy(update={"seed": seed}), None)
    return fused.iterate


def _capacities(most: int) -> list[int]:
    """4, 16, ... and the largest."""
    return sorted({*(4**power for power in range(1, 10) if 4**power < most), most} - {1})


def _seconds(step: Callable[[], object], device: str) -> float:
    """The shortest of several steps."""
    shortest = float("inf")
    end = time.perf_counter() + SECONDS
    for number in itertools.count():
        start = time.perf_counter()
        step()
        if device != "cpu":
            torch.accelerator.synchronize()
        shortest = min(shortest, time.perf_counter() - start)
        if number and time.perf_counter() > end:
            return shortest
    raise AssertionError("the loop has no other end")


def _fits(plain: Gan, capacity: int, device: str) -> bool:
    """Whether main memory holds that many; a GPU says so itself."""
    if device != "cpu":
        return True
    weights = [weight for network in plain.networks.values() for weight in network.parameters()]
    # Weights, gradients, two moments, and as much again while members join.
    needed = 8 * capacity * sum(weight.nbytes for weight in weights)
    return needed < os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
