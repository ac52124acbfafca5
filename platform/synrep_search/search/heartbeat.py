"""A thread of the driver that renews its lease and detects when the search must stop."""

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
"""Interval between two heartbeats."""
GRACE_S = 30.0
"""Time for running trials to pause after the search was asked to stop."""


class LeaseHeartbeat:
    """Context manager that renews the lease in a thread while the search runs.

    Args:
        search: the search; its ledger's lease must be held.
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
        """Raise LedgerError if the lease was lost, after which nothing may be written."""
        if self._lost:
            raise LedgerError(self._lost)

    def _run(self) -> None:
        search, stopping_since = self._search, 0.0
        hours = search.spec.budget.hours
        while not self._ended.wait(HEARTBEAT_S):
            try:
                if search.ledger.lease.heartbeat():
                    search.stop("requested by `synrep-search stop`")
            except UNREACHABLE:
                pass  # the driver detects this itself when it needs the ledger
            except LedgerError as error:
                self._lost = str(error)
                search.stop(self._lost)
                _interrupt()
                return
            now = time.monotonic()
            if hours is not None and now - search.started > hours * 3600:
                search.stop(f"the budget of {hours:g} hours is used up")
            if search.stopping:
                stopping_since = stopping_since or now
                if now - stopping_since > GRACE_S:
                    _interrupt()


def _interrupt() -> None:
    """Send this process SIGINT, as a second Ctrl-C would."""
    os.kill(os.getpid(), signal.SIGINT)
