"""A thread of the driver that renews its lease and detects when the search must stop."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from synrep_search.durability.study.storage import UNREACHABLE
from synrep_search.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from synrep_search.durability.lease import Lease
    from synrep_search.search.loop import Search

HEARTBEAT_S = 5.0
"""Interval between two heartbeats."""
GRACE_S = 30.0
"""Time for running trials to pause after the search was asked to stop. It begins anew with every
trial that has paused, and does not pass while one is being saved."""


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
        search, patience = self._search, _Patience(self._search)
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
            if search.stopping and patience.ended():
                _interrupt()


class _Patience:
    """How long to wait for the trials of a search that was asked to stop."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._running = -1
        self._since = 0.0

    def ended(self) -> bool:
        """Whether nothing has happened for too long."""
        now, running = time.monotonic(), len(self._search.running)
        if running != self._running or self._search.is_saving():
            self._running, self._since = running, now
        return now - self._since > GRACE_S


@contextmanager
def renewed(lease: Lease) -> Iterator[None]:
    """Renew a lease in a thread while a search is prepared in the block.

    That somebody else has taken it over is noticed by `LeaseHeartbeat` afterwards.
    """
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(HEARTBEAT_S):
            with suppress(LedgerError, *UNREACHABLE):
                lease.heartbeat()

    thread = threading.Thread(target=run, name="preparing", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _interrupt() -> None:
    """Send this process SIGINT, as a second Ctrl-C would."""
    os.kill(os.getpid(), signal.SIGINT)
