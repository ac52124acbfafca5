"""Choice of the number of trainings to fuse, by measuring step times on the device."""

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
"""Timing rounds; each round times every capacity, so that background load affects all alike."""
TIMING_SECONDS = 0.05
"""Duration of one timing; at least two steps are timed."""
BUDGET_SECONDS = 1.5
"""Time budget: no further timing starts after it. Slower networks gain little from fusing."""
MIN_SPEEDUP = 1.15
"""Minimum speed-up for fusing; smaller differences are noise, and a single training is simpler."""


def fastest_capacity(
    config: TrainConfig, *, most: int, device: str = "cpu", threads: int | None = None
) -> int:
    """Return the number of members with the highest total iterations per second.

    Times the capacities 1 (a single `Training`), 4, 16, ... for about two seconds, as far as memory
    allows.

    Args:
        config: any of the configurations to fuse.
        most: largest capacity to consider.
        device: device to train on.
        threads: number of CPU threads; all cores if omitted.

    Raises:
        InputError: the poses can't be used.
    """
    if most == 1:
        return 1
    if threads is not None:
        torch.set_num_threads(threads)
    retain_freed_memory()
    training_data = TrainingData.load(config, torch.device(device), torch.float32)
    single, iterations = Gan(config, training_data.inputs, training_data.reals), itertools.count()
    steps: dict[int, Callable[[], object]] = {1: lambda: single.iterate(next(iterations))}
    deadline = time.perf_counter() + BUDGET_SECONDS
    times = {1: _step_seconds(steps[1], device)}
    for capacity in _capacities(most):
        if time.perf_counter() > deadline or not _fits_memory(single, capacity, device):
            break
        try:
            steps[capacity] = _fused_step(config, training_data, capacity)
            times[capacity] = _step_seconds(steps[capacity], device) / capacity
        except torch.OutOfMemoryError:
            steps.pop(capacity, None)
            break
    for capacity in list(times) * (ROUNDS - 1):
        if time.perf_counter() < deadline:
            times[capacity] = min(
                times[capacity], _step_seconds(steps[capacity], device) / capacity
            )
    best = min(times, key=lambda capacity: times[capacity])
    return best if times[best] * MIN_SPEEDUP < times[1] else 1


def _fused_step(
    config: TrainConfig, training_data: TrainingData, capacity: int
) -> Callable[[], object]:
    """Return the step function of a fused training with `capacity` members."""
    fused = FusedGan(config, training_data)
    for seed in range(capacity):
        fused.add(config.model_copy(update={"seed": seed}), None)
    return fused.iterate


def _capacities(most: int) -> list[int]:
    """Return the capacities to time besides 1: the powers of 4 below `most`, and `most`."""
    return sorted({*(4**power for power in range(1, 10) if 4**power < most), most} - {1})


def _step_seconds(step: Callable[[], object], device: str) -> float:
    """Time several steps and return the shortest duration in seconds."""
    shortest = float("inf")
    deadline = time.perf_counter() + TIMING_SECONDS
    for count in itertools.count():
        start = time.perf_counter()
        step()
        if device != "cpu":
            torch.accelerator.synchronize()
        shortest = min(shortest, time.perf_counter() - start)
        if count and time.perf_counter() > deadline:
            return shortest
    raise AssertionError("unreachable: the loop ends only by returning")


def _fits_memory(single: Gan, capacity: int, device: str) -> bool:
    """Estimate whether main memory suffices; a GPU raises an out-of-memory error instead."""
    if device != "cpu":
        return True
    weights = [weight for network in single.networks.values() for weight in network.parameters()]
    # Weights, gradients and two moments, and a second copy of each while members join.
    needed = 8 * capacity * sum(weight.nbytes for weight in weights)
    return needed < os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
