"""A server that is gone for a while: training continues, and everything arrives."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from synrep_search.durability.database import SEARCH_ITSELF
from synrep_search.tracking.ui import free_port
from synrep_search.workers.attempt import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from synrep_search.search.loop import Search


def run_with(act: Callable[[int], None]) -> Callable[[Search], None]:
    """A local runner that does something before each report, by its count over all trials."""

    def runner(search: Search) -> None:
        count = 0
        while (job := search.next_job()) is not None:
            attempt, goes_on = Attempt(job, "cpu", 1), True
            while goes_on:
                act(count)
                count += 1
                goes_on = bool(search.on_reports([attempt.advance()]))

    return runner


def check(tracked) -> None:
    """All of a search of three trials has arrived, and nothing twice."""
    assert tracked.ledger.outbox.depth() == 0
    runs = tracked.runs()
    assert sorted(runs) == [SEARCH_ITSELF, 0, 1, 2]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for trial in range(3):
        assert [step for step, _ in tracked.history(trial, "loss")] == [2, 4]


def test_a_search_outlives_its_server(server, tmp_path: Path, make_tracked) -> None:
    """Stopped in the middle and back before the end: all has arrived when the search ends."""
    tracked = make_tracked(tmp_path, server.uri)

    def act(count: int) -> None:
        if count == 1:
            until(lambda: tracked.ledger.outbox.depth() == 0)
            server.stop()
        if count == 4:
            until(lambda: "does not answer; training continues" in tracked.said)
            server.start()

    tracked.run(run_with(act))
    check(tracked)
    assert "is back" in tracked.said


def test_what_a_missing_server_did_not_get_is_delivered_later(
    server, tmp_path: Path, make_tracked
) -> None:
    """The end of the search does not wait for it; `resume` delivers what was kept."""
    nowhere = f"http://127.0.0.1:{free_port(0)}"
    tracked = make_tracked(tmp_path, nowhere)
    last = 0.0

    def act(_count: int) -> None:
        nonlocal last
        last = time.monotonic()

    search = tracked.run(run_with(act))
    assert time.monotonic() - last < 5
    assert search.ledger.target_met
    assert tracked.ledger.outbox.depth() > 0
    assert tracked.said.count("does not answer; training continues, events are kept") == 1
    assert f"`synrep-search resume {tracked.ledger.name} --home {tmp_path}" in tracked.said
    spec = tracked.ledger.spec
    tracking = spec.tracking.model_copy(update={"uri": server.uri})
    tracked.ledger.replace_spec(spec.model_copy(update={"tracking": tracking}))
    tracked.uri = server.uri
    tracked.run()
    check(tracked)


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
