"""A thread that copies a SQLite ledger to the search's storage, for machines that can vanish.

A copy is made when a trial has begun or ended, and every 30 s; copies that follow each other fast
become one. MLflow is told nothing that the newest copy does not hold: a search that goes on from
it may make other trials in the place of those that it lost, and their runs must not be there.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Self

from synrep_search.durability.database import UNREACHABLE
from synrep_search.errors import LedgerError
from synrep_search.paths import LEDGER_FILE

if TYPE_CHECKING:
    from synrep_search.paths import SearchPaths
    from synrep_search.search.loop import Search

COPY_S = 30.0
LOOK_S = 0.5
REST = 10
"""Copying takes at most one part in so many of the time."""


class LedgerBackup:
    """The thread, while the search runs; it has nothing to do if the ledger lies in the storage.

    Args:
        search: whose ledger is copied.
        paths: of the search.
    """

    def __init__(self, search: Search, paths: SearchPaths) -> None:
        self._search = search
        self._paths = paths
        self._ended = threading.Event()
        self._failing = False
        self._written: float | None = None
        self._copying = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="copies", daemon=True)

    def __enter__(self) -> Self:
        if self._search.copied:
            self._search.ledger.outbox.hold()
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._search.copied:
            self._thread.join()

    def last(self) -> None:
        """Copy the ledger now, whatever was copied before."""
        if self._search.copied:
            self._try()

    def _run(self) -> None:
        before, copied, rest = None, 0.0, 0.0
        while True:
            now = time.monotonic()
            state = self._search.ledger.index.counts()
            if now - copied > COPY_S or (state != before and now - copied > rest):
                self._try()
                before, copied = state, time.monotonic()
                rest = REST * (copied - now)
            if self._ended.wait(LOOK_S):
                return

    def _try(self) -> None:
        try:
            with self._copying:
                self._copy()
        except LedgerError as error:
            self._search.stop(str(error))
        except (OSError, sqlite3.Error, *UNREACHABLE) as error:
            if not self._failing:
                self._search.view.say(
                    f"the ledger can't be copied to {self._search.checkpoints.uri} ({error}); "
                    "trying again, MLflow waits for it"
                )
            self._failing = True
        else:
            if self._failing:
                self._search.view.say("the ledger is copied again")
            self._failing = False

    def _copy(self) -> None:
        ledger, local = self._search.ledger, self._paths.folder / f"{LEDGER_FILE}.copy"
        newest = ledger.outbox.newest()
        ledger.backup(local)
        try:
            self._put(local.read_bytes())
        finally:
            local.unlink(missing_ok=True)
        ledger.outbox.release(newest)

    def _put(self, content: bytes) -> None:
        storage = self._search.checkpoints
        if self._is_taken():
            raise LedgerError(
                f"another driver has taken the search over, from its copy in {storage.uri}"
            )
        self._written = None  # unknown, should the writing fail half-way
        storage.write(LEDGER_FILE, content)
        self._written = storage.modified(LEDGER_FILE)

    def _is_taken(self) -> bool:
        """Whether somebody else has written the copy since we did."""
        if self._written is None:
            return False
        try:
            return self._search.checkpoints.modified(LEDGER_FILE) != self._written
        except FileNotFoundError:
            return False
