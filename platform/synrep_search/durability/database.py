"""The database of a ledger: connection settings, and the tables that supplement Optuna's."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError

from synrep.storage import masked
from synrep_search.errors import LedgerError, NoSearch
from synrep_search.search_file import SearchSpec
from synrep_search.search_file.fields import valid_keys
from synrep_search.search_file.problems import explain

metadata = sa.MetaData()

leases = sa.Table(
    "synrep_lease",
    metadata,
    sa.Column("search", sa.String(200), primary_key=True),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("heartbeat", sa.Float, nullable=False),
    sa.Column("stop_requested", sa.Boolean, nullable=False),
)
"""The lease of each search; the owner is empty if no driver runs it, heartbeats are in seconds
since 1970."""

events = sa.Table(
    "synrep_event",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("search", sa.String(200), nullable=False),
    sa.Column("trial", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("time_ms", sa.BigInteger, nullable=False),
    sa.Column("value", sa.Float(53)),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("delivered", sa.Boolean, nullable=False),
    sa.UniqueConstraint("search", "trial", "kind", "step"),
    sa.Index("synrep_event_pending", "search", "delivered", "id"),
)
"""Reports and all other events for MLflow, in the order of writing; see `outbox`."""

NOTICE_LOSS = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""Connection options with which the loss of PostgreSQL's machine is noticed in about 30 seconds."""
LIBPQ = {"psycopg", "psycopg2"}
"""PostgreSQL drivers that accept these options; others raise an error."""
SEARCH_ITSELF = -1
"""The `trial` of events about the search as a whole."""


def connection_arguments(url: sa.URL) -> dict[str, Any]:
    """Return the connection arguments for a URL; options in the URL take precedence."""
    if url.get_backend_name() == "sqlite":
        return {"timeout": 30}
    postgresql = url.get_backend_name() == "postgresql"
    defaults = NOTICE_LOSS if postgresql and url.get_driver_name() in LIBPQ else {}
    return {name: value for name, value in defaults.items() if name not in url.query}


def require_tables(url: str, arguments: dict[str, Any]) -> None:
    """Check that a database has the tables of a ledger.

    Args:
        url: URL of the database.
        arguments: keyword arguments of SQLAlchemy's `create_engine`.

    Raises:
        NoSearch: the tables are missing.
    """
    engine = sa.create_engine(url, **arguments)
    try:
        # This table is created last, after all of Optuna's.
        if not sa.inspect(engine).has_table(events.name):
            raise NoSearch(f"{masked(url)} holds no search, or a launch has only just begun")
    finally:
        engine.dispose()


def read_spec(name: str, text: str, code: str) -> SearchSpec:
    """Parse the specification of a search from a ledger.

    Args:
        name: name of the search.
        text: the specification as JSON.
        code: version of synrep-search that launched the search.

    Raises:
        LedgerError: this version can't read the specification.
    """
    try:
        return SearchSpec.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        rule = explain(first, valid_keys(SearchSpec, first["loc"][:-1]))
        raise LedgerError(
            f"search {name!r} was made by another version of synrep-search ({code}), and this one "
            f"can't read it: {place}: {rule}; use that version, or launch another search"
        ) from None


def tune_sqlite(connection: Any, _record: object) -> None:
    """Configure a new connection to a SQLite file."""
    # With WAL, readers never wait for the driver, and a commit needs no disk flush. A power failure
    # can lose the last commits but not damage the file; a killed process loses nothing.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def cause_of(error: BaseException) -> str:
    """Return the database's error message, without the SQL statement and its parameters."""
    original = getattr(error, "orig", None) or error
    return str(original).strip().splitlines()[0]


def copy_sqlite(engine: sa.Engine, path: Path) -> None:
    """Copy a SQLite database that may be in use to a file. The file is written atomically.

    Raises:
        LedgerError: the database is not a SQLite file.
        sqlite3.Error: the database can't be read, or the disk is full.
    """
    source = engine.url.database
    if engine.dialect.name != "sqlite" or source is None:
        raise LedgerError(
            "only a SQLite ledger can be copied; back up a database server with its own tools"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    # mode=rw: otherwise SQLite would create a missing file, and an empty ledger would replace the
    # last good copy.
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
