"""MLflow's store of a home, a SQLite file: made by one process, and followed when it is moved."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

from synrep_search.locks import exclusive
from synrep_search.paths import artifact_folder, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Callable

BESIDE = ("", "-wal", "-shm", "-journal")
"""Endings of the files that SQLite keeps for one database."""
LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)
"""Columns in which MLflow keeps absolute addresses of files."""


class Refused(Exception):  # noqa: N818 - what happened, in the delivery's own words
    """MLflow can't take anything of this search until somebody mends something."""


def make_ready(file: Path, say: Callable[[str], None]) -> None:
    """Make the store if it is missing; see that it is whole and that its artifacts are beside it.

    MLflow makes its tables by dozens of migrations, which two processes must not do at once. They
    are therefore made in another file, which gets its name when it is complete.

    Args:
        file: of the store.
        say: told that the store was moved.

    Raises:
        Refused: the store is half made.
    """
    with exclusive(file.with_name(f"{file.name}.lock")):
        if not file.exists() or not file.stat().st_size:
            _make(file)
        with closing(sqlite3.connect(file, timeout=30)) as connection:
            # Several drivers and MLflow's pages share this file: readers never wait for a writer.
            connection.execute("PRAGMA journal_mode=WAL")
            if _names(connection, "_alembic_tmp_"):
                raise Refused(half_made(file))
            _follow(connection, artifact_folder(file), say)


def half_made(file: Path) -> str:
    """What to do about a store whose migrations were cut off or got in each other's way."""
    return (
        f"its tables are half made; remedy: move {file} away (with its -wal and -shm), then resume "
        "each search, which sends all again"
    )


def _make(file: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import (  # noqa: PLC0415 - MLflow's pages need no mlflow here
        SqlAlchemyStore,
    )

    new = file.with_name(f"{file.name}.new")
    _remove(new)  # of a process that was killed here
    uri, store = sqlite_url(new), cast("Any", SqlAlchemyStore)
    try:
        store(uri, artifact_folder(file).as_uri())
        store._engine_map.pop(uri).dispose()  # noqa: SLF001 - else it is kept for ever
        new.replace(file)
    except BaseException:  # such as a full disk
        engine = store._engine_map.pop(uri, None)  # noqa: SLF001 - or it would serve the next attempt
        if engine is not None:
            engine.dispose()
        _remove(new)
        raise


def _remove(file: Path) -> None:
    """Remove a database with all that SQLite keeps for it."""
    for ending in BESIDE:
        Path(f"{file}{ending}").unlink(missing_ok=True)


def _follow(connection: sqlite3.Connection, here: Path, say: Callable[[str], None]) -> None:
    """Correct the addresses of artifacts in a store that was moved with its folder."""
    if not _has(connection, "experiments", "artifact_location"):
        return
    known = connection.execute("SELECT DISTINCT artifact_location FROM experiments")
    for before in {_folder(location) for (location,) in known}:
        if before is None or _same(before, here):
            continue
        with connection:
            for table, column in LOCATIONS:
                if not _has(connection, table, column):
                    continue
                old, new = before.as_uri(), here.as_uri()
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 - constants
                    f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
                )
        say(f"MLflow's artifacts are in {here} from now on: the home was in {before.parent}")


def _folder(location: str | None) -> Path | None:
    """The folder `mlartifacts` that a location names, which only our experiments have."""
    parts = urlsplit(location or "")
    path = Path(unquote(parts.path))
    if parts.scheme != "file" or not path.is_absolute():
        return None
    return next((one for one in (path, path.parent) if one.name == "mlartifacts"), None)


def _same(one: Path, other: Path) -> bool:
    """Whether two paths name one folder, perhaps by way of a link."""
    return one == other or os.path.realpath(one) == os.path.realpath(other)


def _names(connection: sqlite3.Connection, prefix: str) -> list[str]:
    """Tables whose names begin so."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, ?) = ?"
    return [name for (name,) in connection.execute(query, (len(prefix), prefix))]


def _has(connection: sqlite3.Connection, table: str, column: str) -> bool:
    query = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?"
    return connection.execute(query, (table, column)).fetchone() is not None
