"""A thread that copies a SQLite ledger to the search's storage, in case the machine is lost.

The ledger is copied when a trial starts or ends, and at least every 30 s; changes in quick
succession share one copy. Events are delivered to MLflow only once a copy contains them: a search
restored from an older copy may create different trials with the same numbers, and must not meet
MLflow runs of trials that it does not know.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Self

from synrep_search.durability.study.storage import UNREACHABLE
from synrep_search.errors import LedgerError
from synrep_search.paths import LEDGER_FILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from synrep.storage import Storage
    from synrep_search.durability.ledger import Ledger

COPY_S = 30.0
"""Longest time between two copies."""
POLL_S = 0.5
REST = 10
"""The thread rests after each copy for this many times its duration, but at most `COPY_S`."""


class LedgerBackup:
    """Context manager that copies the ledger in a thread while the search runs.

    Args:
        ledger: the ledger to copy.
        storage: the search's storage, which receives the copies.
        local: temporary file next to the ledger.
        say: shows a line to the user.
        stop: stops the search for a given reason.
        enabled: whether to copy at all; False if the ledger is in the storage anyway.
    """

    def __init__(
        self,
        ledger: Ledger,
        storage: Storage,
        local: Path,
        *,
        say: Callable[[str], None],
        stop: Callable[[str], None],
        enabled: bool = True,
    ) -> None:
        self._ledger = ledger
        self._storage = storage
        self._local = local
        self._say = say
        self._stop = stop
        self._enabled = enabled
        self._ended = threading.Event()
        self._failing = False
        self._written: float | None = None
        self._copying = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="copies", daemon=True)

    def __enter__(self) -> Self:
        if self._enabled:
            self._ledger.outbox.hold()
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._enabled:
            self._thread.join()

    def last(self) -> None:
        """Copy the ledger now, even if the last copy is recent."""
        if self._enabled:
            self._copy_or_warn()

    def _run(self) -> None:
        before, copied, rest = None, 0.0, 0.0
        while True:
            now = time.monotonic()
            state = self._ledger.index.counts()
            if now - copied > COPY_S or (state != before and now - copied > rest):
                self._copy_or_warn()
                before, copied = state, time.monotonic()
                rest = REST * (copied - now)
            if self._ended.wait(POLL_S):
                return

    def _copy_or_warn(self) -> None:
        try:
            with self._copying:
                self._copy()
        except LedgerError as error:
            self._stop(str(error))
        except (OSError, sqlite3.Error, *UNREACHABLE) as error:
            if not self._failing:
                self._say(
                    f"the ledger can't be copied to {self._storage.uri} ({error}); "
                    "retrying; until then, no events are delivered to MLflow"
                )
            self._failing = True
        else:
            if self._failing:
                self._say("the ledger can be copied again")
            self._failing = False

    def _copy(self) -> None:
        ledger, local = self._ledger, self._local
        newest = ledger.outbox.newest()
        ledger.backup(local)
        try:
            self._put(local.read_bytes())
        finally:
            local.unlink(missing_ok=True)
        ledger.outbox.release(newest)

    def _put(self, content: bytes) -> None:
        storage = self._storage
        if self._is_taken():
            raise LedgerError(
                f"another driver has taken over the search, from the ledger copy in {storage.uri}"
            )
        self._written = None  # unknown if the write fails midway
        storage.write(LEDGER_FILE, content)
        self._written = storage.modified(LEDGER_FILE)

    def _is_taken(self) -> bool:
        """Return whether another driver has written the copy since this one did."""
        if self._written is None:
            return False
        try:
            return self._storage.modified(LEDGER_FILE) != self._written
        except FileNotFoundError:
            return False
