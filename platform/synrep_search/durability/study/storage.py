"""Databases with the tables of Optuna and ours: opened, closed, and what their failures raise."""

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
"""What a database that fails raises, ours and Optuna's."""


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
    """A storage that is closed again if no ledger comes of it; see `open_storage`."""
    storage = open_storage(url, make=make)
    try:
        yield storage
    except BaseException:
        close(storage)
        raise


@contextmanager
def lost_as_error(search: str) -> Iterator[None]:
    """Turns what a failing database raises into one error.

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
    """Let go of a database."""
    storage.remove_session()
    storage.engine.dispose()
