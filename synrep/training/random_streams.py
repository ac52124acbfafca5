"""Random numbers and data order as pure functions of (seed, stream, step).

There is no generator state to save in a checkpoint: a training resumed at step n draws the same
numbers as an uninterrupted one, and so does a member of a fused training.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from synrep.errors import InputError


def seed_of(seed: int, stream: str, step: int) -> int:
    """Return the 63-bit seed of one step of one stream, derived with BLAKE2b."""
    digest = hashlib.blake2b(f"{seed}/{stream}/{step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


class RandomStreams:
    """The random streams of one training.

    Args:
        seed: seed of the training.
        device: device on which the numbers are generated.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.seed = seed
        self.device = device
        self._generator = torch.Generator(device=device)
        self._orders: dict[str, tuple[int, Tensor]] = {}

    def at(self, stream: str, step: int) -> torch.Generator:
        """Return a generator seeded for one step of a stream. Valid until the next call."""
        return self._generator.manual_seed(seed_of(self.seed, stream, step))

    def uniform(self, stream: str, step: int, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return numbers of the given shape, uniformly distributed in [0, 1)."""
        generator = self.at(stream, step)
        return torch.rand(shape, generator=generator, device=self.device, dtype=dtype)

    def batch(self, stream: str, step: int, size: int, total: int) -> Tensor:
        """Return the indices (size,) of a batch.

        Every epoch is a new random permutation of the `total` indices, of which an incomplete last
        batch is dropped.

        Raises:
            InputError: `size` exceeds `total`.
        """
        if size > total:
            raise InputError(
                "batch_size", f"{size} is more than the {total} views", "use at most that many"
            )
        epoch, within = divmod(step, total // size)
        cached_epoch, order = self._orders.get(stream, (-1, None))
        if cached_epoch != epoch or order is None:
            generator = self.at(f"order/{stream}", epoch)
            # int32 takes half the memory of int64; every training holds a permutation of its own.
            order = torch.randperm(
                total, generator=generator, device=self.device, dtype=torch.int32
            )
            self._orders[stream] = (epoch, order)
        return order[within * size : (within + 1) * size].long()
