"""The outbox: events for MLflow with their delivery status, and with them all reports.

The driver writes an event; the delivery thread sends it later, perhaps after a restart. Events are
never deleted. The key (trial, kind, step) makes writing idempotent: a repeated event is ignored.
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
    """The part of a report's payload that decides which files are read and deleted."""

    model_config = ConfigDict(extra="ignore")

    checkpoint: CheckpointRef | None = None


def now_ms() -> int:
    """Return the current time in milliseconds since 1970."""
    return int(time.time() * 1000)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One change that MLflow is to show.

    Attributes:
        trial: number of the trial, or `database.SEARCH_ITSELF`.
        kind: kind of change; `artifacts` is a generator that is kept, `champion` the best one.
        step: iteration of a report or of a generator's checkpoint; a counter for other kinds.
        payload: content, serialisable as JSON. Ignored for `artifacts` and `champion`, which trial
            and step determine; earlier versions stored a folder there.
        value: for a trial's report, the best value of the objective so far.
        time_ms: time of the change, in milliseconds since 1970.
        id: row id, ascending in the order of writing; 0 before the event is written.
    """

    trial: int
    kind: Kind
    step: int
    payload: dict[str, Any]
    value: float | None = None
    time_ms: int = field(default_factory=now_ms)
    id: int = 0


class Outbox:
    """The events of one search: the driver's main thread writes them, the delivery marks them.

    Args:
        engine: SQLAlchemy engine of the ledger's database.
        search: name of the search.
    """

    def __init__(self, engine: Engine, search: str) -> None:
        self._engine = engine
        self._search = search
        dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
        self._insert = dialect.insert(events).on_conflict_do_nothing()
        self._batch: list[Event] | None = None
        self._released: int | None = None

    def hold(self) -> None:
        """Make `pending` return nothing until `release` is called."""
        self._released = 0

    def release(self, event: int) -> None:
        """Let `pending` return events up to and including this id."""
        self._released = event

    def newest(self) -> int:
        """Return the id of the newest event; 0 if there is none."""
        query = sa.select(sa.func.max(events.c.id)).where(events.c.search == self._search)
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one() or 0)

    def put(self, event: Event) -> None:
        """Write an event; an event that exists already is ignored."""
        if self._batch is None:
            self._write([event])
        else:
            self._batch.append(event)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write all events that are put inside the context in one transaction at its end."""
        assert self._batch is None, "batches do not nest"
        self._batch = []
        try:
            yield
            self._write(self._batch)
        finally:
            self._batch = None

    def next_step(self, trial: int, kind: Kind) -> int:
        """Return the next step for kinds of events whose step is a counter."""
        query = sa.select(sa.func.count()).where(*self._of(kind), events.c.trial == trial)
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def pending(self, limit: int = 2000, *, besides: Iterable[int] = ()) -> list[Event]:
        """Return the oldest undelivered events that are not held back, in the order of writing.

        Args:
            limit: maximum number of events.
            besides: ids of events to skip.
        """
        which = [events.c.search == self._search, sa.not_(events.c.delivered)]
        skipped = list(besides)
        if skipped:
            which.append(events.c.id.not_in(skipped))
        if self._released is not None:
            which.append(events.c.id <= self._released)
        return self._select(sa.select(events).where(*which).order_by(events.c.id).limit(limit))

    def depth(self) -> int:
        """Return the number of undelivered events."""
        query = sa.select(sa.func.count()).where(
            events.c.search == self._search, sa.not_(events.c.delivered)
        )
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def mark(self, ids: Iterable[int]) -> None:
        """Mark events as delivered."""
        rows = [{"event": event} for event in ids]
        if rows:
            statement = events.update().where(events.c.id == sa.bindparam("event"))
            with self._engine.begin() as connection:
                connection.execute(statement.values(delivered=True), rows)

    def redeliver(self, trial: int | None = None) -> None:
        """Mark the events of a trial, or all events if it is None, as undelivered."""
        which = [events.c.search == self._search]
        if trial is not None:
            which.append(events.c.trial == trial)
        with self._engine.begin() as connection:
            connection.execute(events.update().where(*which).values(delivered=False))

    def reports(self, trial: int, last: int | None = None) -> list[Event]:
        """Return the reports of a trial, newest first.

        Args:
            trial: number of the trial.
            last: maximum number of reports; None for all.

        Raises:
            LedgerError: a report in the database is damaged.
        """
        mine = (*self._of("report"), events.c.trial == trial)
        query = sa.select(events).where(*mine).order_by(events.c.step.desc())
        selected = self._select(query.limit(last))
        for event in selected:
            try:
                _Reported.model_validate(event.payload)
            except ValidationError:
                which = f"the ledger's report of trial {trial} at {event.step}"
                remedy = "restore the ledger from a copy, or launch the search again"
                raise LedgerError(f"{which} is damaged: {remedy}") from None
        return selected

    def values(self) -> dict[int, dict[int, float]]:
        """Return the best value so far at each report, by trial and iteration, in order."""
        query = (
            sa.select(events.c.trial, events.c.step, events.c.value)
            .where(*self._of("report"), events.c.value.is_not(None))
            .order_by(events.c.trial, events.c.step)
        )
        values: dict[int, dict[int, float]] = {}
        with self._engine.connect() as connection:
            for trial, step, value in connection.execute(query):
                values.setdefault(trial, {})[step] = value
        return values

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
