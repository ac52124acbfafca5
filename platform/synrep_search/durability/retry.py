"""Retry storage operations with exponential back-off, and defer trials whose storage fails."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Delays between attempts of an operation, each of which the S3 client itself retries for a while.
After a longer outage, the trial is deferred."""
FULL = {errno.ENOSPC, errno.EDQUOT}
"""Error codes of a full storage."""


class StorageUnavailable(Exception):  # noqa: N818 - named after the state
    """A storage operation failed in spite of retries.

    Args:
        error: the last error.

    Attributes:
        full: whether the storage is full.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the storage failed: {str(error).strip() or type(error).__name__}"[:240])
        self.full = error.errno in FULL


def with_retries(act: Callable[[], T]) -> T:
    """Return the result of `act`, which is retried on errors that may be temporary.

    Raises:
        StorageUnavailable: all attempts failed, or the storage is full.
        FileNotFoundError: raised by `act`; not retried, since a missing file won't appear.
    """
    for delay in (*BACKOFF_S, None):
        try:
            return act()
        except FileNotFoundError:
            raise
        except OSError as error:
            if delay is None or error.errno in FULL:
                raise StorageUnavailable(error) from error
            time.sleep(delay)
    raise AssertionError("unreachable")


SHORTEST_S, LONGEST_S = 15.0, 240.0
"""Delay of a trial's first deferral, which doubles with each further one, and its upper limit."""


class StorageBackoff:
    """The deferred trials and the ends of their back-offs, for the lifetime of the driver."""

    def __init__(self) -> None:
        self._deferrals: dict[int, tuple[float, float]] = {}

    def defer(self, number: int) -> float:
        """Defer a trial, and return the delay in seconds."""
        _, before = self._deferrals.get(number, (0.0, SHORTEST_S / 2))
        delay = min(LONGEST_S, 2 * before)
        self._deferrals[number] = (time.monotonic() + delay, delay)
        return delay

    def release(self, number: int) -> None:
        """End the back-off of a trial, since its storage works again."""
        self._deferrals.pop(number, None)

    def deferred(self) -> set[int]:
        """Return the trials that must not be started yet."""
        now = time.monotonic()
        return {number for number, (until, _) in self._deferrals.items() if until > now}
