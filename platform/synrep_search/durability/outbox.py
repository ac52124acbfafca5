"""Events for MLflow, kept until they are delivered; and all reports, kept for good.

An event is written in the driver and delivered by a thread, later or after a restart. Its key
(trial, kind, step) makes a repeated event the same event.
"""

from __future__ import annotations

import json
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

    from sqlalchemy import Engine

Kind = Literal["start", "report", "state", "artifacts", "champion"]


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
        step: iteration of a report, or of the checkpoint of a generator; distinguishes the events
            of other kinds.
        payload: JSON. That of `artifacts` (a generator that is kept) and `champion` (the best one)
            does not matter: trial and step say all. It named a folder in earlier versions.
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

    def pending(self, limit: int = 2000, *, besides: Iterable[int] = ()) -> list[Event]:
        """The oldest undelivered events that are not held back.

        Args:
            limit: number of events at most.
            besides: ids of events that are passed over.
        """
        which = [events.c.search == self._search, sa.not_(events.c.delivered)]
        passed_over = list(besides)
        if passed_over:
            which.append(events.c.id.not_in(passed_over))
        if self._released is not None:
            which.append(events.c.id <= self._released)
        return self._select(sa.select(events).where(*which).order_by(events.c.id).limit(limit))

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
