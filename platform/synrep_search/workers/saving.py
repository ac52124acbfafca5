"""Whether this process saves the state of a training: nobody should end it meanwhile."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_under_way: list[None] = []
"""An entry for each block of `saving` that this process is in."""


@contextmanager
def saving() -> Iterator[None]:
    """A block in which the state of a training is collected and written."""
    _under_way.append(None)
    try:
        yield
    finally:
        _under_way.pop()


def is_saving() -> bool:
    """Return whether a thread of this process is in a block of `saving`."""
    return bool(_under_way)
