"""Patience with a storage: what fails is tried again, and what goes on failing is told apart."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Between tries, each of which S3's client itself repeats for a while; an outage that is longer
parks the trial."""
FULL = {errno.ENOSPC, errno.EDQUOT}


class StorageFailed(Exception):  # noqa: N818 - what happened, in the slot's own words
    """The storage could not be used, however often it was tried.

    Args:
        error: the last one.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the storage failed: {str(error).strip() or type(error).__name__}"[:240])
        self.full = error.errno in FULL


def patiently(act: Callable[[], T]) -> T:
    """What `act` gives; its errors are waited out for a while, unless waiting can't help.

    Raises:
        StorageFailed: it went on failing, or there is no room.
        FileNotFoundError: from `act`; a file that is not there won't come.
    """
    for pause in (*PAUSES_S, None):
        try:
            return act()
        except FileNotFoundError:
            raise
        except OSError as error:
            if pause is None or error.errno in FULL:
                raise StorageFailed(error) from error
            time.sleep(pause)
    raise AssertionError("unreachable")
