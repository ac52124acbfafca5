"""The database of a ledger: Optuna's own tables, and two of ours beside them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from synrep.storage import masked
from synrep_search.errors import LedgerError, LedgerLost, NoSearch
from synrep_search.search_file import SearchSpec
from synrep_search.search_file.fields import valid_keys
from synrep_search.search_file.problems import explain

if TYPE_CHECKING:
    from collections.abc import Iterator

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
UNREACHABLE = (SQLAlchemyError, StorageInternalError)
"""What a database that fails raises, ours and Optuna's."""
SEARCH_ITSELF = -1
"""The `trial` of events about the search as a whole."""


class _Storage(RDBStorage):
    """Optuna's storage, for studies whose space may be changed."""

    def _set_trial_param_without_commit(self, *arguments: Any, **named: Any) -> None:
        # It would look up an earlier trial's distribution for each parameter, and refuse another
        # kind, scale or set of options. The sampler learns from a study in memory instead.
        named["previous_distribution"] = arguments[4]
        super()._set_trial_param_without_commit(*arguments, **named)


def open_storage(url: str, *, make: bool = True) -> RDBStorage:
    """Optuna's storage on a database, with our tables.

    Args:
        url: of the database.
        make: make the tables where they are missing. A reader doesn't: it would get in the way of
            a launch that is making them just now.

    Raises:
        NoSearch: the tables are missing.
        LedgerError: the database can't be reached or is not a ledger.
    """
    try:
        sa.make_url(url)
    except (SQLAlchemyError, ValueError):  # the message could quote a part of a password
        rule = "must be a URL as postgresql://user@host/database or sqlite:////folder/file"
        raise LedgerError(f"the ledger's address {rule}") from None
    sqlite = url.startswith("sqlite")
    arguments = {"connect_args": _connection(sa.make_url(url))}
    try:
        if not make:
            _require_tables(url, arguments)
        storage = _Storage(url, engine_kwargs=arguments | {"pool_pre_ping": not sqlite})
        if sqlite:
            sa.event.listen(storage.engine, "connect", _tune_sqlite)
            storage.engine.dispose()
        metadata.create_all(storage.engine)
    except (SQLAlchemyError, RuntimeError, ImportError) as error:
        raise LedgerError(f"the ledger {masked(url)} can't be opened: {_cause(error)}") from None
    return storage


def _connection(url: sa.URL) -> dict[str, Any]:
    """Arguments of a connection; what the URL says itself stays."""
    if url.get_backend_name() == "sqlite":
        return {"timeout": 30}
    postgresql = url.get_backend_name() == "postgresql"
    wanted = NOTICE_LOSS if postgresql and url.get_driver_name() in LIBPQ else {}
    return {name: value for name, value in wanted.items() if name not in url.query}


def _require_tables(url: str, arguments: dict[str, Any]) -> None:
    engine = sa.create_engine(url, **arguments)
    try:
        # Made last, when all of Optuna's are there.
        if not sa.inspect(engine).has_table(events.name):
            raise NoSearch(f"{masked(url)} holds no search, or a launch has only just begun")
    finally:
        engine.dispose()


@contextmanager
def opened(url: str, *, make: bool) -> Iterator[RDBStorage]:
    """A storage that is closed again if no ledger comes of it; see `open_storage`."""
    storage = open_storage(url, make=make)
    try:
        yield storage
    except BaseException:
        close(storage)
        raise


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


def remove_stub(storage: RDBStorage, name: str, early: set[str]) -> bool:
    """Remove what a launch that was cut off has left of a study; false if it is more than that.

    Args:
        storage: of the ledger.
        name: of the study.
        early: attributes that a launch writes before the study is a search.
    """
    for known in storage.get_all_studies():
        if known.study_name == name:
            key = known._study_id  # noqa: SLF001 - Optuna has no public way
            if set(known.user_attrs) - early or storage.get_n_trials(key):
                return False
            storage.delete_study(key)
    return True


@contextmanager
def lost_as_error(search: str) -> Iterator[None]:
    """Turns what a failing database raises into one error.

    Raises:
        LedgerLost: the database failed.
    """
    try:
        yield
    except UNREACHABLE as error:
        cause = _cause(getattr(error, "__cause__", None) or error)
        raise LedgerLost(
            f"the ledger failed ({cause}); when it is back: synrep-search resume {search}"
        ) from None


def close(storage: RDBStorage) -> None:
    """Let go of a database."""
    storage.remove_session()
    storage.engine.dispose()


def _tune_sqlite(connection: Any, _record: object) -> None:
    # Readers never wait for the driver, and a commit costs no disk flush. A power cut can lose
    # the last moments, never the file; a killed process loses nothing.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _cause(error: BaseException) -> str:
    """The database's own words, without the statement and its parameters."""
    original = getattr(error, "orig", None) or error
    return str(original).strip().splitlines()[0]
