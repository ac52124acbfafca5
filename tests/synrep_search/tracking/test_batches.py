"""Events of many reports become what one call can log."""

from __future__ import annotations

from synrep_search.durability.database import SEARCH_ITSELF
from synrep_search.durability.outbox import Event
from synrep_search.tracking.batches import by_run


def test_reports_of_a_trial_are_one_list_of_metrics() -> None:
    """Steps and times are those of the reports; the best so far is among the metrics."""
    events = [
        Event(
            id=step,
            trial=4,
            kind="report",
            step=step,
            time_ms=1000 + step,
            payload={"metrics": {"loss": 1 / step}, "best": {"best/loss": 1 / step}},
        )
        for step in (1, 2)
    ]
    changes = by_run(events)[4]
    rows = [(metric.key, metric.value, metric.timestamp, metric.step) for metric in changes.metrics]
    assert rows == [
        ("loss", 1.0, 1001, 1),
        ("best/loss", 1.0, 1001, 1),
        ("loss", 0.5, 1002, 2),
        ("best/loss", 0.5, 1002, 2),
    ]
    assert changes.ids == [1, 2]
    assert not changes.started


def test_the_last_state_counts_in_whatever_order_events_come() -> None:
    """The order is that of writing; the search itself comes before its trials."""
    states = [
        Event(id=1, trial=0, kind="start", step=0, payload={"params": {"x": 1}, "tags": {}}),
        Event(id=3, trial=0, kind="state", step=3, payload={"state": "waiting", "cause": "lost"}),
        Event(id=5, trial=0, kind="state", step=4, payload={"state": "running", "cause": ""}),
        Event(id=9, trial=0, kind="artifacts", step=4, payload={"folder": "a"}),
        Event(id=7, trial=SEARCH_ITSELF, kind="state", step=0, payload={"state": "running"}),
    ]
    found = by_run(reversed(states))
    assert list(found) == [SEARCH_ITSELF, 0]
    assert found[0].tags == {"synrep.state": "running", "synrep.cause": ""}
    assert found[0].params == {"x": "1"}
    assert found[0].started
    assert found[0].ids == [1, 3, 5]
    assert [event.id for event in found[0].files] == [9]


def test_a_specification_is_noted_only_when_it_is_stored() -> None:
    """It is a file, and stores of files fail more often than metrics do."""
    payload = {"params": {}, "tags": {"synrep.code": "a"}, "spec": {"name": "b"}}
    event = Event(id=1, trial=SEARCH_ITSELF, kind="start", step=0, payload=payload)
    changes = by_run([event])[SEARCH_ITSELF]
    assert changes.started
    assert changes.tags == {"synrep.code": "a"}
    assert changes.ids == []
    assert changes.files == [event]
