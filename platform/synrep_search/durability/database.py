"""The database of a ledger: how it is connected to, and our tables beside Optuna's."""

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
"""Who runs a search now; an empty owner is nobody. Heartbeats are seconds since 1970."""

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
"""All reports and everything else that MLflow is told, in order; see `outbox`."""

NOTICE_LOSS = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""So that a PostgreSQL whose machine vanishes without a word fails within half a minute or so."""
LIBPQ = {"psycopg", "psycopg2"}
"""Drivers of PostgreSQL that know these arguments; others would refuse them."""
SEARCH_ITSELF = -1
"""The `trial` of events about the search as a whole."""


def connection_arguments(url: sa.URL) -> dict[str, Any]:
    """Arguments of a connection; what the URL says itself stays."""
    if url.get_backend_name() == "sqlite":
        return {"timeout": 30}
    postgresql = url.get_backend_name() == "postgresql"
    wanted = NOTICE_LOSS if postgresql and url.get_driver_name() in LIBPQ else {}
    return {name: value for name, value in wanted.items() if name not in url.query}


def require_tables(url: str, arguments: dict[str, Any]) -> None:
    """Look for the tables of a ledger.

    Args:
        url: of the database.
        arguments: of SQLAlchemy's engine.

    Raises:
        NoSearch: they are missing.
    """
    engine = sa.create_engine(url, **arguments)
    try:
        # Made last, when all of Optuna's are there.
        if not sa.inspect(engine).has_table(events.name):
            raise NoSearch(f"{masked(url)} holds no search, or a launch has only just begun")
    finally:
        engine.dispose()


def read_spec(name: str, text: str, code: str) -> SearchSpec:
    """The specification of a search, as a ledger holds it.

    Args:
        name: of the search.
        text: JSON.
        code: version that launched the search.

    Raises:
        LedgerError: it is not what this version writes.
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
    """Settings of a new connection to a SQLite file."""
    # Readers never wait for the driver, and a commit costs no disk flush. A power cut can lose
    # the last moments, never the file; a killed process loses nothing.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def cause_of(error: BaseException) -> str:
    """The database's own words, without the statement and its parameters."""
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
            "only a SQLite ledger is copied; back up a database server with its own tools"
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
