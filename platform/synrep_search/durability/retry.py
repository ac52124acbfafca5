"""Patience with a storage: what fails is tried again, and what goes on failing is told apart."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Between tries, each of which S3's client itself repeats for a while; an outage that is longer
parks the trial."""
FULL = {errno.ENOSPC, errno.EDQUOT}


class StorageUnavailable(Exception):  # noqa: N818 - what happened, in the slot's own words
    """The storage could not be used, however often it was tried.

    Args:
        error: the last one.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the storage failed: {str(error).strip() or type(error).__name__}"[:240])
        self.full = error.errno in FULL


def with_retries(act: Callable[[], T]) -> T:
    """What `act` gives; its errors are waited out for a while, unless waiting can't help.

    Raises:
        StorageUnavailable: it went on failing, or there is no room.
        FileNotFoundError: from `act`; a file that is not there won't come.
    """
    for pause in (*BACKOFF_S, None):
        try:
            return act()
        except FileNotFoundError:
            raise
        except OSError as error:
            if pause is None or error.errno in FULL:
                raise StorageUnavailable(error) from error
            time.sleep(pause)
    raise AssertionError("unreachable")


SHORTEST_S, LONGEST_S = 15.0, 240.0
"""Of a trial's first time here; each further one is twice as long."""


class StorageBackoff:
    """Which trials are deferred, and until when; a new driver starts with none."""

    def __init__(self) -> None:
        self._times: dict[int, tuple[float, float]] = {}

    def defer(self, number: int) -> float:
        """Park a trial; the seconds that it stays."""
        _, before = self._times.get(number, (0.0, SHORTEST_S / 2))
        pause = min(LONGEST_S, 2 * before)
        self._times[number] = (time.monotonic() + pause, pause)
        return pause

    def release(self, number: int) -> None:
        """A trial's storage works."""
        self._times.pop(number, None)

    def deferred(self) -> set[int]:
        """Trials that may not be tried yet."""
        now = time.monotonic()
        return {number for number, (until, _) in self._times.items() if until > now}
