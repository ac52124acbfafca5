"""A thread beside the driver that keeps its lease and notices when the search is to stop."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Self

from synrep_search.durability.study.storage import UNREACHABLE
from synrep_search.errors import LedgerError

if TYPE_CHECKING:
    from synrep_search.search.loop import Search

HEARTBEAT_S = 5.0
GRACE_S = 30.0
"""Time for running trials to pause after the first signal."""


class LeaseHeartbeat:
    """The thread, while the search runs.

    Args:
        search: whose lease it keeps.
    """

    def __init__(self, search: Search) -> None:
        self._search = search
        self._ended = threading.Event()
        self._lost = ""
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def check(self) -> None:
        """Raise if the lease was lost: from then on nothing may be written."""
        if self._lost:
            raise LedgerError(self._lost)

    def _run(self) -> None:
        search, stopping = self._search, 0.0
        hours = search.spec.budget.hours
        while not self._ended.wait(HEARTBEAT_S):
            try:
                if search.ledger.lease.heartbeat():
                    search.stop("asked by `synrep-search stop`")
            except UNREACHABLE:
                pass  # the driver will notice, if it needs the ledger before it is back
            except LedgerError as error:
                self._lost = str(error)
                search.stop(self._lost)
                _interrupt()
                return
            now = time.monotonic()
            if hours is not None and now - search.started > hours * 3600:
                search.stop(f"the budget of {hours:g} hours is used up")
            if search.stopping:
                stopping = stopping or now
                if now - stopping > GRACE_S:
                    _interrupt()


def _interrupt() -> None:
    """Like a second Ctrl-C."""
    os.kill(os.getpid(), signal.SIGINT)
