"""The outbox, on SQLite and on PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from synrep_search.durability.database import SEARCH_ITSELF
from synrep_search.durability.outbox import Event, Outbox
from synrep_search.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def engine(database_url) -> Iterator[sa.Engine]:
    """The database."""
    made = sa.create_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def outbox(engine) -> Outbox:
    """An empty outbox."""
    return Outbox(engine, "s")


def event(step: int, trial: int = 0, kind: str = "report", **rest: Any) -> Event:
    """An event of trial 0."""
    return Event(trial=trial, kind=kind, step=step, payload={"step": step}, **rest)


def steps(found: list[Event]) -> list[tuple[int, int]]:
    """Trial and step of events."""
    return [(one.trial, one.step) for one in found]


def test_events_come_back_in_order(outbox) -> None:
    """Events are pending in the order in which they were written, as they were written."""
    written = [
        event(0, 1, "start", time_ms=5),
        event(3, value=0.1 + 0.2),
        event(1, 1, value=-1e300),
        event(2, SEARCH_ITSELF, "state", time_ms=10**13),
    ]
    for one in written:
        outbox.put(one)
    found = outbox.pending()
    assert steps(found) == [(1, 0), (0, 3), (1, 1), (-1, 2)]
    assert [(one.kind, one.payload, one.value, one.time_ms) for one in found] == [
        (one.kind, one.payload, one.value, one.time_ms) for one in written
    ]
    assert [one.id for one in found] == sorted(one.id for one in found)


def test_text_is_kept(outbox) -> None:
    """Any text survives, also the odd characters of a cause."""
    text = "µ ≠ 🦴 'quoted' \\ \n :name %s"
    outbox.put(Event(trial=0, kind="state", step=1, payload={"cause": text}))
    assert outbox.pending()[0].payload == {"cause": text}


def test_a_repeated_event_is_one_event(outbox) -> None:
    """Trial, kind and step make an event; the first of that key stays, delivered or not."""
    outbox.put(event(1, value=1.0, time_ms=1))
    outbox.put(event(1, value=2.0, time_ms=2))
    assert [(one.value, one.time_ms) for one in outbox.pending()] == [(1.0, 1)]
    outbox.mark([one.id for one in outbox.pending()])
    outbox.put(event(1, value=3.0))
    with outbox.together():
        outbox.put(event(1, value=4.0))
        outbox.put(event(1, value=5.0))
    assert outbox.depth() == 0
    for other in (event(2), event(1, 1), event(1, kind="state")):
        outbox.put(other)
    assert outbox.depth() == 3


def test_together(outbox) -> None:
    """What is put inside appears at the end, in order, and all of it."""
    outbox.put(event(1))
    with outbox.together():
        outbox.put(event(2))
        outbox.put(event(3))
        assert steps(outbox.pending()) == [(0, 1)]
    assert steps(outbox.pending()) == [(0, 1), (0, 2), (0, 3)]
    with outbox.together():
        pass
    assert outbox.depth() == 3


def put_together(outbox: Outbox, batch: list[Event], error: Exception | None = None) -> None:
    """Put a batch, and raise inside of it."""
    with outbox.together():
        for one in batch:
            outbox.put(one)
        if error is not None:
            raise error


def test_together_or_not_at_all(outbox) -> None:
    """An exception inside leaves nothing of the batch, and the outbox goes on."""
    with pytest.raises(KeyError):
        put_together(outbox, [event(1)], KeyError("x"))
    assert outbox.depth() == 0
    outbox.put(event(2))
    assert steps(outbox.pending()) == [(0, 2)]


def test_a_batch_that_breaks_is_not_written(outbox) -> None:
    """A database that refuses one event of a batch takes none of it."""
    bad = Event(trial=0, kind=None, step=2, payload={})  # type: ignore[arg-type]
    outbox.put(event(0))
    outbox.mark([outbox.pending()[0].id])
    with pytest.raises(sa.exc.DBAPIError):
        put_together(outbox, [event(1), bad])
    assert outbox.depth() == 0


def test_delivered_events_are_no_longer_pending(outbox) -> None:
    """What is marked leaves the queue, which can be read in pieces; the reports stay."""
    for step in range(5):
        outbox.put(event(step))
    first = outbox.pending(limit=2)
    assert steps(first) == [(0, 0), (0, 1)]
    outbox.mark([])
    outbox.mark(one.id for one in first)
    assert outbox.depth() == 3
    assert steps(outbox.pending()) == [(0, 2), (0, 3), (0, 4)]
    assert [one.step for one in outbox.reports(0)] == [4, 3, 2, 1, 0]
    assert [one.step for one in outbox.reports(0, last=2)] == [4, 3]
    assert outbox.reports(1) == []


def test_values_are_in_order(outbox, engine) -> None:
    """The values of trials' reports by iteration, whatever order they were written in."""
    for trial, step in ((1, 20), (0, 5), (1, 3), (0, 100)):
        outbox.put(event(step, trial, value=float(step)))
    outbox.put(event(1, 0, "state"))
    outbox.put(event(7, SEARCH_ITSELF))  # the search's own reports have no value
    Outbox(engine, "other").put(event(50, value=50.0))
    found = outbox.values()
    assert found == {0: {5: 5.0, 100: 100.0}, 1: {3: 3.0, 20: 20.0}}
    assert [list(values) for values in found.values()] == [[5, 100], [3, 20]]


def test_counted_steps(outbox) -> None:
    """Events that are only counted get the next number of their trial and kind."""
    found = []
    for _ in range(3):
        found.append(outbox.next_step(SEARCH_ITSELF, "state"))
        outbox.put(event(found[-1], SEARCH_ITSELF, "state"))
    assert found == [0, 1, 2]
    assert outbox.next_step(0, "state") == 0
    assert outbox.next_step(SEARCH_ITSELF, "start") == 0


def test_what_is_held_back_is_not_given_out(outbox) -> None:
    """Events are pending only as far as they were released, but count as undelivered."""
    outbox.put(event(1))
    outbox.hold()
    newest = outbox.newest()
    outbox.put(event(2))
    assert outbox.pending() == []
    assert outbox.depth() == 2
    outbox.release(newest)
    assert steps(outbox.pending()) == [(0, 1)]
    outbox.release(outbox.newest())
    assert steps(outbox.pending()) == [(0, 1), (0, 2)]


def test_events_can_be_passed_over(outbox) -> None:
    """Those behind them are given out all the same, however few are asked for."""
    for step in range(4):
        outbox.put(event(step))
    first = [one.id for one in outbox.pending(limit=2)]
    assert steps(outbox.pending(limit=1, besides=first)) == [(0, 2)]
    assert outbox.depth() == 4


@pytest.mark.parametrize("checkpoint", [{}, [], "a", {"file": "../a", "iteration": 1}])
def test_a_report_that_is_not_ours(outbox, checkpoint) -> None:
    """It is refused where it is read, since files are read and deleted by it."""
    outbox.put(Event(trial=2, kind="report", step=1, payload={"checkpoint": None}))
    outbox.put(Event(trial=2, kind="report", step=5, payload={"checkpoint": checkpoint}))
    with pytest.raises(LedgerError, match="report of trial 2 at 5 is damaged: restore the ledger"):
        outbox.reports(2)
