"""How many trainings to fuse, found by trying: it depends on sizes, caches and the device."""

from __future__ import annotations

import itertools
import os
import time
from typing import TYPE_CHECKING

import torch

from synrep.fused.gan import FusedGan
from synrep.gan import Gan
from synrep.training import Material, settle_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from synrep.config import TrainConfig

SECONDS = 2.0
"""Time for trying, after the views are open."""

WORTH_FUSING = 1.1
"""How much faster than alone fused trainings must be: their reports come later."""

WORTH_MORE = 1.03
"""How much faster more fused trainings must be than fewer: less is noise."""


def fastest_capacity(
    config: TrainConfig, *, most: int, device: str = "cpu", threads: int | None = None
) -> int:
    """The number of fused trainings with the most iterations a second, in all.

    Tries 1 (`Training` itself), 2, 4, ... in about two seconds, as far as memory goes and larger
    numbers are faster.

    Args:
        config: any of the configurations to fuse.
        most: the largest number of use.
        device: where to train.
        threads: CPU threads; all of the machine's if omitted.

    Raises:
        InputError: the poses can't be used.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    settle_memory()
    material = Material.open(config, torch.device(device), torch.float32)
    end = time.perf_counter() + SECONDS
    plain, numbers = Gan(config, material.inputs, material.reals), itertools.count()
    best, least = 1, _seconds(lambda: plain.iterate(next(numbers)), device, SECONDS / 4)
    fused = FusedGan(config, material)
    for capacity in _capacities(most):
        expected = 2 * capacity * least
        if time.perf_counter() + expected > end or not _fits(plain, capacity, device):
            break
        try:
            while len(fused.members) < capacity:
                fused.add(config.model_copy(update={"seed": len(fused.members)}), None)
            member = _seconds(fused.iterate, device, SECONDS / 16) / capacity
        except torch.OutOfMemoryError:
            break
        if member * (WORTH_FUSING if best == 1 else WORTH_MORE) < least:
            best, least = capacity, member
        elif member > least * WORTH_FUSING:
            break
    return best


def _capacities(most: int) -> list[int]:
    """2, 4, 8, ... and the largest."""
    return sorted({*(2**power for power in range(1, most.bit_length())), most} - {1})


def _seconds(step: Callable[[], object], device: str, limit: float) -> float:
    """The shortest of several steps, within a time limit but for the first two."""
    shortest = float("inf")
    end = time.perf_counter() + limit
    for number in range(50):
        start = time.perf_counter()
        step()
        if device != "cpu":
            torch.accelerator.synchronize()
        if number:
            shortest = min(shortest, time.perf_counter() - start)
        if number and time.perf_counter() > end:
            break
    return shortest


def _fits(plain: Gan, capacity: int, device: str) -> bool:
    """Whether main memory holds that many; a GPU says so itself."""
    if device != "cpu":
        return True
    weights = [weight for network in plain.networks.values() for weight in network.parameters()]
    # Weights, gradients, two moments, and as much again while members join.
    needed = 8 * capacity * sum(weight.nbytes for weight in weights)
    return needed < os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
