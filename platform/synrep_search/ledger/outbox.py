"""Events for MLflow, kept until they are delivered; and all reports, kept for good.

An event is written in the driver and delivered by a thread, later or after a restart. Its key
(trial, kind, step) makes a repeated event the same event.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from synrep_search.ledger.database import events

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Engine

Kind = Literal["start", "report", "state", "artifacts", "champion"]


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that MLflow is told.

    Attributes:
        id: order of writing.
        trial: number, or `database.SEARCH_ITSELF`.
        kind: what it is.
        step: iteration of a report; distinguishes the events of other kinds.
        time_ms: when it happened, since 1970.
        payload: JSON.
    """

    id: int
    trial: int
    kind: Kind
    step: int
    time_ms: int
    payload: dict[str, Any]


class Outbox:
    """The events of one search.

    Args:
        engine: of the ledger's database.
        search: name.
    """

    def __init__(self, engine: Engine, search: str) -> None:
        self._engine = engine
        self._search = search
        dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
        self._insert = dialect.insert(events).on_conflict_do_nothing()

    def put(
        self, trial: int, kind: Kind, step: int, payload: Any, time_ms: int | None = None
    ) -> bool:
        """Write an event; false if it was there already."""
        row = {
            "search": self._search,
            "trial": trial,
            "kind": kind,
            "step": step,
            "time_ms": int(time.time() * 1000) if time_ms is None else time_ms,
            "payload": json.dumps(payload),
            "delivered": False,
        }
        with self._engine.begin() as connection:
            return bool(connection.execute(self._insert, row).rowcount == 1)

    def next_step(self, trial: int, kind: Kind) -> int:
        """The step of the next event of a kind that is only counted."""
        query = sa.select(sa.func.count()).where(*self._of(trial, kind))
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def pending(self, limit: int = 2000) -> list[Event]:
        """The oldest undelivered events."""
        return self._select(
            sa.select(events)
            .where(events.c.search == self._search, sa.not_(events.c.delivered))
            .order_by(events.c.id)
            .limit(limit)
        )

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

    def reports(self, trial: int, last: int | None = None) -> list[Event]:
        """Reports of a trial, the newest first."""
        query = sa.select(events).where(*self._of(trial, "report")).order_by(events.c.step.desc())
        return self._select(query.limit(last))

    def _of(self, trial: int, kind: Kind) -> Sequence[sa.ColumnElement[bool]]:
        return (events.c.search == self._search, events.c.trial == trial, events.c.kind == kind)

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
                payload=json.loads(row.payload),
            )
            for row in rows
        ]
