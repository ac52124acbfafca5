"""Random numbers and data order as pure functions of (seed, stream, step).

Nothing here has a state that a checkpoint must carry: a training that goes on at step n draws
what it would have drawn, and so does the same configuration trained beside others.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from synrep.errors import InputError


def seed_of(seed: int, stream: str, step: int) -> int:
    """The seed of one step of one stream: 63 well-mixed bits."""
    digest = hashlib.blake2b(f"{seed}/{stream}/{step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


class RandomStreams:
    """All randomness of one training.

    Args:
        seed: of the training.
        device: where the numbers are needed.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.seed = seed
        self.device = device
        self._generator = torch.Generator(device=device)
        self._orders: dict[str, tuple[int, Tensor]] = {}

    def at(self, stream: str, step: int) -> torch.Generator:
        """A generator set to the start of a stream's step. Valid until the next call."""
        return self._generator.manual_seed(seed_of(self.seed, stream, step))

    def uniform(self, stream: str, step: int, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Numbers in [0, 1) of a shape."""
        generator = self.at(stream, step)
        return torch.rand(shape, generator=generator, device=self.device, dtype=dtype)

    def batch(self, stream: str, step: int, size: int, total: int) -> Tensor:
        """Positions (size,) of a batch: every epoch visits each of `total` once, in a new order.

        Raises:
            InputError: there are fewer than `size` positions.
        """
        if size > total:
            raise InputError(
                "batch_size", f"{size} is more than the {total} views", "use at most that many"
            )
        epoch, within = divmod(step, total // size)
        known, order = self._orders.get(stream, (-1, None))
        if known != epoch or order is None:
            generator = self.at(f"order/{stream}", epoch)
            # Half of the memory of the usual 64 bits: every training has an order of its own.
            order = torch.randperm(
                total, generator=generator, device=self.device, dtype=torch.int32
            )
            self._orders[stream] = (epoch, order)
        return order[within * size : (within + 1) * size].long()
