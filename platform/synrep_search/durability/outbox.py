"""Events for MLflow, kept until they are delivered; and all reports, kept for good.

An event is written in the driver and delivered by a thread, later or after a restart. Its key
(trial, kind, step) makes a repeated event the same event.
"""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from pydantic import ConfigDict, ValidationError
from sqlalchemy.dialects import postgresql, sqlite

from synrep.schema import Section
from synrep.training.checkpoint import CheckpointRef
from synrep_search.durability.database import events
from synrep_search.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine

Kind = Literal["start", "report", "state", "artifacts", "champion"]

FILES: tuple[Kind, ...] = ("artifacts", "champion")
"""Kinds of events whose payload names a folder of exported files."""
EXPORT = re.compile(r"[0-9]{4,}-[0-9a-f]{12}")
"""What such a folder is called; see `paths`."""


class _Reported(Section):
    """The part of a report's payload that files are read and deleted by."""

    model_config = ConfigDict(extra="ignore")

    checkpoint: CheckpointRef | None = None


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that MLflow is told.

    Attributes:
        trial: number, or `database.SEARCH_ITSELF`.
        kind: what it is.
        step: iteration of a report; distinguishes the events of other kinds.
        payload: JSON.
        value: of a trial's report: the best value of the goal's metric so far.
        time_ms: when it happened, since 1970.
        id: order of writing; 0 before it is written.
    """

    trial: int
    kind: Kind
    step: int
    payload: dict[str, Any]
    value: float | None = None
    time_ms: int = field(default_factory=now_ms)
    id: int = 0


def export_folder(event: Event, exports: Path) -> Path | None:
    """The folder that an event names; None for any other name than that of an export.

    Args:
        event: of one of the kinds in `FILES`.
        exports: folder of all exports of the search, on this machine.
    """
    name = event.payload.get("folder")
    return exports / name if isinstance(name, str) and EXPORT.fullmatch(name) else None


class Outbox:
    """The events of one search: put by the driver's main thread, marked by its delivery.

    Args:
        engine: of the ledger's database.
        search: name.
    """

    def __init__(self, engine: Engine, search: str) -> None:
        self._engine = engine
        self._search = search
        dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
        self._insert = dialect.insert(events).on_conflict_do_nothing()
        self._batch: list[Event] | None = None
        self._released: int | None = None
        self.exports: Path | None = None
        """Folder of the exports, once all that can be made are made: another machine, which told
        of them, may have had others. Events with files are delivered from then on."""

    def hold(self) -> None:
        """Give out nothing until `release` says how far."""
        self._released = 0

    def release(self, event: int) -> None:
        """Give out events up to this id."""
        self._released = event

    def newest(self) -> int:
        """Id of the newest event; 0 if there is none."""
        query = sa.select(sa.func.max(events.c.id)).where(events.c.search == self._search)
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one() or 0)

    def put(self, event: Event) -> None:
        """Write an event; nothing happens if it was there already."""
        if self._batch is None:
            self._write([event])
        else:
            self._batch.append(event)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Events that are put inside are written at its end, all or none of them."""
        assert self._batch is None, "batches do not nest"
        self._batch = []
        try:
            yield
            self._write(self._batch)
        finally:
            self._batch = None

    def next_step(self, trial: int, kind: Kind) -> int:
        """The step of the next event of a kind that is only counted."""
        query = sa.select(sa.func.count()).where(*self._of(kind), events.c.trial == trial)
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def pending(self, limit: int = 2000, *, files: bool = True) -> list[Event]:
        """The oldest undelivered events that are not held back; also those with files or not."""
        which = [events.c.search == self._search, sa.not_(events.c.delivered)]
        if not files:
            which.append(events.c.kind.not_in(FILES))
        if self._released is not None:
            which.append(events.c.id <= self._released)
        return self._select(sa.select(events).where(*which).order_by(events.c.id).limit(limit))

    def files(self) -> list[Event]:
        """The undelivered events with files, also those that are held back."""
        which = (events.c.search == self._search, sa.not_(events.c.delivered))
        return self._select(sa.select(events).where(*which, events.c.kind.in_(FILES)))

    def forget(self, ids: Iterable[int]) -> None:
        """Remove events that can't be delivered any more, so that others can take their place."""
        with self._engine.begin() as connection:
            connection.execute(events.delete().where(events.c.id.in_(list(ids))))

    def depth(self) -> int:
        """Number of undelivered events."""
        query = sa.select(sa.func.count()).where(
            events.c.search == self._search, sa.not_(events.c.delivered)
        )
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def mark(self, ids: Iterable[int]) -> None:
        """Note that events were delivered."""
        rows = [{"event": event} for event in ids]
        if rows:
            statement = events.update().where(events.c.id == sa.bindparam("event"))
            with self._engine.begin() as connection:
                connection.execute(statement.values(delivered=True), rows)

    def redeliver(self, trial: int | None = None) -> None:
        """Make the events of a trial, or all, undelivered again."""
        which = [events.c.search == self._search]
        if trial is not None:
            which.append(events.c.trial == trial)
        with self._engine.begin() as connection:
            connection.execute(events.update().where(*which).values(delivered=False))

    def reports(self, trial: int, last: int | None = None) -> list[Event]:
        """Reports of a trial, the newest first.

        Raises:
            LedgerError: one of them was not written by us.
        """
        mine = (*self._of("report"), events.c.trial == trial)
        query = sa.select(events).where(*mine).order_by(events.c.step.desc())
        found = self._select(query.limit(last))
        for event in found:
            try:
                _Reported.model_validate(event.payload)
            except ValidationError:
                which = f"the ledger's report of trial {trial} at {event.step}"
                remedy = "restore the ledger from a copy, or launch the search anew"
                raise LedgerError(f"{which} is damaged: {remedy}") from None
        return found

    def values(self) -> dict[int, dict[int, float]]:
        """Best value so far at each report, by trial and iteration, in order."""
        query = (
            sa.select(events.c.trial, events.c.step, events.c.value)
            .where(*self._of("report"), events.c.value.is_not(None))
            .order_by(events.c.trial, events.c.step)
        )
        found: dict[int, dict[int, float]] = {}
        with self._engine.connect() as connection:
            for trial, step, value in connection.execute(query):
                found.setdefault(trial, {})[step] = value
        return found

    def _write(self, batch: list[Event]) -> None:
        rows = [
            {
                "search": self._search,
                "trial": event.trial,
                "kind": event.kind,
                "step": event.step,
                "time_ms": event.time_ms,
                "value": event.value,
                "payload": json.dumps(event.payload),
                "delivered": False,
            }
            for event in batch
        ]
        if rows:
            with self._engine.begin() as connection:
                connection.execute(self._insert, rows)

    def _of(self, kind: Kind) -> tuple[sa.ColumnElement[bool], ...]:
        return events.c.search == self._search, events.c.kind == kind

    def _select(self, query: sa.Select[Any]) -> list[Event]:
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            Event(
                id=row.id,
                trial=row.trial,
                kind=row.kind,
                step=row.step,
                time_ms=row.time_ms,
                value=row.value,
                payload=json.loads(row.payload),
            )
            for row in rows
        ]
