"""LedgerBackup of a SQLite ledger, for searches whose driver runs on a machine that can vanish."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from synrep_search.errors import LedgerError

if TYPE_CHECKING:
    from sqlalchemy import Engine


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
