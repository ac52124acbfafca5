"""Open and close the ledger's database, and convert its errors."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.exc import SQLAlchemyError

from synrep.storage import masked
from synrep_search.durability.database import (
    cause_of,
    connection_arguments,
    metadata,
    require_tables,
    tune_sqlite,
)
from synrep_search.errors import LedgerError, LedgerLost

if TYPE_CHECKING:
    from collections.abc import Iterator

UNREACHABLE = (SQLAlchemyError, StorageInternalError)
"""Exceptions of a failing database, raised by SQLAlchemy and by Optuna."""


class _Storage(RDBStorage):
    """Optuna's storage, extended to studies whose search space may change."""

    def _set_trial_param_without_commit(self, *arguments: Any, **named: Any) -> None:
        # Optuna compares each parameter with its distribution in an earlier trial and rejects
        # another kind, scale or set of options. Here samplers use a study in memory instead, so
        # that check is skipped.
        named["previous_distribution"] = arguments[4]
        super()._set_trial_param_without_commit(*arguments, **named)


def open_storage(url: str, *, make: bool = True) -> RDBStorage:
    """Open Optuna's storage on a database that also has the tables of the ledger.

    Args:
        url: URL of the database.
        make: create missing tables. Readers pass False, so as not to interfere with a launch that
            is creating the tables at the same time.

    Raises:
        NoSearch: the tables are missing.
        LedgerError: the database can't be reached or is not a ledger.
    """
    try:
        sa.make_url(url)
    except (SQLAlchemyError, ValueError):  # the error message may contain parts of a password
        rule = "must be a URL like postgresql://user@host/database or sqlite:////folder/file"
        raise LedgerError(f"the ledger's address {rule}") from None
    sqlite = url.startswith("sqlite")
    arguments = {"connect_args": connection_arguments(sa.make_url(url))}
    try:
        if not make:
            require_tables(url, arguments)
        storage = _Storage(url, engine_kwargs=arguments | {"pool_pre_ping": not sqlite})
        if sqlite:
            sa.event.listen(storage.engine, "connect", tune_sqlite)
            storage.engine.dispose()
        metadata.create_all(storage.engine)
    except (SQLAlchemyError, RuntimeError, ImportError) as error:
        raise LedgerError(f"the ledger {masked(url)} can't be opened: {cause_of(error)}") from None
    return storage


@contextmanager
def opened(url: str, *, make: bool) -> Iterator[RDBStorage]:
    """Open a storage, and close it if the body of the context fails; see `open_storage`."""
    storage = open_storage(url, make=make)
    try:
        yield storage
    except BaseException:
        close(storage)
        raise


@contextmanager
def lost_as_error(search: str) -> Iterator[None]:
    """Convert the exceptions of a failing database to `LedgerLost`.

    Raises:
        LedgerLost: the database failed.
    """
    try:
        yield
    except UNREACHABLE as error:
        cause = cause_of(getattr(error, "__cause__", None) or error)
        raise LedgerLost(
            f"the ledger failed ({cause}); when it is back: synrep-search resume {search}"
        ) from None


def close(storage: RDBStorage) -> None:
    """Close all connections of a storage."""
    storage.remove_session()
    storage.engine.dispose()
