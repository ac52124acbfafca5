"""A thread that copies a SQLite ledger to the search's storage, for machines that can vanish.

A copy is made when a trial has begun or ended, and every 30 s; copies that follow each other fast
become one. MLflow is told nothing that the newest copy does not hold: a search that goes on from
it may make other trials in the place of those that it lost, and their runs must not be there.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Self

from synrep_search.durability.study.storage import UNREACHABLE
from synrep_search.errors import LedgerError
from synrep_search.paths import LEDGER_FILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from synrep.storage import Storage
    from synrep_search.durability.ledger import Ledger

COPY_S = 30.0
LOOK_S = 0.5
REST = 10
"""Copying takes at most one part in so many of the time."""


class LedgerBackup:
    """The thread, while the search runs.

    Args:
        ledger: that is copied.
        storage: of the search, where the copy is kept.
        local: file beside the ledger, for a copy on its way.
        say: shows a line to the user.
        stop: ends the search, with the reason.
        enabled: whether there is anything to do; not if the ledger lies in the storage itself.
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
        """Copy the ledger now, whatever was copied before."""
        if self._enabled:
            self._try()

    def _run(self) -> None:
        before, copied, rest = None, 0.0, 0.0
        while True:
            now = time.monotonic()
            state = self._ledger.index.counts()
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
            self._stop(str(error))
        except (OSError, sqlite3.Error, *UNREACHABLE) as error:
            if not self._failing:
                self._say(
                    f"the ledger can't be copied to {self._storage.uri} ({error}); "
                    "trying again, MLflow waits for it"
                )
            self._failing = True
        else:
            if self._failing:
                self._say("the ledger is copied again")
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
            return self._storage.modified(LEDGER_FILE) != self._written
        except FileNotFoundError:
            return False


def copy_sqlite(engine: Engine, path: Path) -> None:
    """Copy a SQLite database to a file while it is in use; whole or not at all.

    Raises:
        LedgerError: the database is another one.
        sqlite3.Error: it can't be read, or there is no room.
    """
    source = engine.url.database
    if engine.dialect.name != "sqlite" or source is None:
        raise LedgerError("only a SQLite ledger is copied; the database server has its own ways")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    # By its path alone, a file that is gone would be made anew, and copied over the last good copy.
    existing = f"{Path(source).absolute().as_uri()}?mode=rw"
    try:
        with (
            closing(sqlite3.connect(existing, uri=True)) as live,
            closing(sqlite3.connect(temporary)) as copy,
        ):
            live.backup(copy)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
