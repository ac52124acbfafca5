"""Random numbers and data order as pure functions of (seed, stream, step).

Checkpoints need no random state: a training that resumes at step n draws the same numbers as an
uninterrupted one, and a member of a fused training draws the same numbers as a single training.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from synrep.errors import InputError


def seed_of(seed: int, stream: str, step: int) -> int:
    """Return the 63-bit seed of one step of one stream, a hash of the arguments."""
    digest = hashlib.blake2b(f"{seed}/{stream}/{step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


class RandomStreams:
    """Source of all random numbers of one training.

    Args:
        seed: seed of the training.
        device: device on which tensors are created.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.seed = seed
        self.device = device
        self._generator = torch.Generator(device=device)
        self._orders: dict[str, tuple[int, Tensor]] = {}

    def at(self, stream: str, step: int) -> torch.Generator:
        """Return a generator seeded for one step of a stream; the next call reseeds it."""
        return self._generator.manual_seed(seed_of(self.seed, stream, step))

    def uniform(self, stream: str, step: int, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Draw a tensor of the given shape, uniform in [0, 1)."""
        generator = self.at(stream, step)
        return torch.rand(shape, generator=generator, device=self.device, dtype=dtype)

    def batch(self, stream: str, step: int, size: int, total: int) -> Tensor:
        """Return the indices (size,) of one batch.

        Each epoch is `total // size` batches of a new random order of the `total` indices. Within
        an epoch no index comes twice, and the last `total % size` of the order are left out: others
        in each epoch, so that all are equally likely to be visited.

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
            # int32 halves the memory; every training stores its own permutation.
            order = torch.randperm(
                total, generator=generator, device=self.device, dtype=torch.int32
            )
            self._orders[stream] = (epoch, order)
        return order[within * size : (within + 1) * size].long()
