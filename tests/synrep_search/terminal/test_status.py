"""How a search stands: the contract of `status --json`, and the tables for people."""

from __future__ import annotations

import io
import json
import time
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from synrep_search.paths import SearchPaths
from synrep_search.terminal.status import list_table, shown, status, trials

if TYPE_CHECKING:
    from pathlib import Path

    from synrep_search.search.loop import Search

KEYS = [
    "name", "state", "target", "trials", "best", "metric", "attempts", "tracking_uri",
    "experiment_id", "parent_run_id",
]  # fmt: skip
STATES = ["waiting", "running", "completed", "stopped_early", "diverged", "failed"]


def drawn(what: object, width: int = 80) -> str:
    """A thing as it looks on some columns, as the commands print it."""
    console = Console(file=io.StringIO(), width=width)
    console.print(what, crop=False)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_the_contract(make_search, make_spec, make_report, tmp_path: Path) -> None:
    """Exactly these keys, JSON values, and the numbers of the ledger."""
    search = make_search(make_spec())
    paths = SearchPaths(tmp_path, search.ledger.name)
    found = status(search.ledger, paths)
    assert list(found) == KEYS
    assert (found["best"], found["attempts"]) == (None, 0)
    assert (found["experiment_id"], found["parent_run_id"]) == (None, None)
    first = search.next_job()
    search.on_lost(0, "its node was lost", preempted=True)
    first = search.next_job()
    search.next_job()
    search.on_reports([make_report(first, 1, 5.0)])
    search.on_reports([make_report(first, 9, 7.0, ended="completed")])
    search.ledger.note_runs("1", "abc")
    found = status(search.ledger, paths)
    assert json.loads(json.dumps(found)) == found
    assert list(found) == KEYS
    assert found["trials"] == dict.fromkeys(STATES, 0) | {"running": 1, "completed": 1}
    assert found["best"] == {
        "number": 0, "value": 5.0, "params": search.ledger.trial(0).params,
    }  # fmt: skip
    assert (found["metric"], found["target"], found["attempts"]) == ("loss", 4, 3)
    assert (found["experiment_id"], found["parent_run_id"]) == ("1", "abc")
    assert found["tracking_uri"] == f"sqlite:///{tmp_path / 'mlflow.db'}"


def test_states_of_a_search(make_search, make_spec, make_report, tmp_path: Path) -> None:
    """Running under a live lease; else interrupted, finished, or failed without any result."""
    search = make_search(make_spec(search={"trials": 1}, failures={"retries": 0}))
    ledger, paths = search.ledger, SearchPaths(tmp_path, search.ledger.name)
    assert status(ledger, paths)["state"] == "interrupted"
    ledger.lease.acquire()
    assert status(ledger, paths)["state"] == "running"
    search.next_job()
    search.on_lost(0, "its process died")
    ledger.lease.release()
    assert status(ledger, paths)["state"] == "failed"
    ledger.set_target(2)
    assert status(ledger, paths)["state"] == "interrupted"
    job = search.next_job()
    search.on_reports([make_report(job, 9, 1.0, ended="completed")])
    assert status(ledger, paths)["state"] == "finished"


def test_for_people(make_search, make_spec, make_report, tmp_path: Path) -> None:
    """The same on 80 columns, with the way to go on."""
    search = make_search(make_spec())
    ledger, paths = search.ledger, SearchPaths(tmp_path, search.ledger.name)
    begun = drawn(shown(status(ledger, paths), ledger, paths))
    assert "none yet; target 4" in begun
    job = search.next_job()
    search.on_reports([make_report(job, 9, 0.125, ended="completed")])
    text = drawn(shown(status(ledger, paths), ledger, paths))
    words = (ledger.name, "interrupted", "1 completed", "target 4", "0.125", "loss", "c0de")
    for word in words:
        assert word in text
    lines = text.splitlines()
    assert f"resume with: synrep-search resume {ledger.name} --home {tmp_path}" in lines


@pytest.fixture
def lost(make_search, make_spec, make_report) -> Search:
    """Six trials: completed, three diverged, one that failed, and one that waits."""
    search = make_search(make_spec(search={"trials": 6}, failures={"retries": 0}))
    jobs = [search.next_job() for _ in range(6)]
    search.on_reports([make_report(jobs[0], 9, 0.5, ended="completed")])
    search.on_lost(4, f"RuntimeError: {'no room ' * 20}\x1b[2J")
    search.on_lost(5, "its node was lost", preempted=True)
    for number in (3, 2, 1):
        cause = f"loss is\nnan at {number}"
        search.on_reports([make_report(jobs[number], 2, ended="diverged", cause=cause)])
    return search


def test_the_contract_of_trials(lost, tmp_path: Path) -> None:
    """Exactly these keys for each trial, by number; time goes on while a driver is alive only."""
    found = trials(lost.ledger)
    assert json.loads(json.dumps(found)) == found
    keys = ["number", "state", "value", "iteration", "attempts", "seconds", "cause", "params"]
    assert [list(one) for one in found] == [keys] * 6
    assert [one["number"] for one in found] == list(range(6))
    states = ["completed", "diverged", "diverged", "diverged", "failed", "waiting"]
    assert [one["state"] for one in found] == states
    assert (found[0]["value"], found[0]["iteration"], found[0]["cause"]) == (0.5, 9, "")
    assert (found[1]["value"], found[1]["iteration"]) == (None, 0)
    assert found[4]["cause"].startswith("died 1 times, at last: RuntimeError: no room")
    assert found[5]["cause"] == "its node was lost"
    assert [one["params"] for one in found] == [one.params for one in lost.ledger.index.trials()]
    for one, trial in zip(found, lost.ledger.index.trials(), strict=True):
        (attempt,) = trial.record.attempts
        assert one["seconds"] == pytest.approx(attempt.ended - attempt.started, abs=1e-3)
    before = found[5]["seconds"]
    lost.next_job()
    again = trials(lost.ledger)[5]
    assert (again["state"], again["attempts"], again["cause"]) == ("running", 2, "")
    assert again["seconds"] == before
    lost.ledger.lease.acquire()
    time.sleep(0.01)
    assert trials(lost.ledger)[5]["seconds"] > before


@pytest.mark.parametrize("width", [60, 200])
def test_all_trials_for_people(lost, width, tmp_path: Path) -> None:
    """Every trial with its cause, which has a column of its own if there is room."""
    ledger, paths = lost.ledger, SearchPaths(tmp_path, lost.ledger.name)
    text = drawn(shown(status(ledger, paths), ledger, paths, every=True), width)
    table = text[text.index("all trials") : text.index("resume with")]
    assert max(map(len, table.splitlines())) <= width
    assert "\N{HORIZONTAL ELLIPSIS}" not in table
    words = " ".join(table.split())
    for number in (1, 2, 3):
        assert f"at {number}" in words
    for trial in ledger.index.trials():
        (row,) = [line for line in table.splitlines() if line.split()[:1] == [str(trial.number)]]
        assert trial.state in row
        assert f"{trial.params['x']:.3g}" in row
    assert "\x1b" not in text
    assert ("cause" in table) == (width == 200)


def test_causes_for_people(lost, tmp_path: Path) -> None:
    """The three that ended last, each in a line, and how to see the others."""
    ledger, paths = lost.ledger, SearchPaths(tmp_path, lost.ledger.name)
    lines = drawn(shown(status(ledger, paths), ledger, paths)).splitlines()
    at = lines.index("trial 3 diverged: loss is nan at 3")
    assert lines[at : at + 4] == [
        *(f"trial {number} diverged: loss is nan at {number}" for number in (3, 2, 1)),
        f"all 4 causes: synrep-search status {paths.typed} --trials",
    ]
    assert "no room" not in "".join(lines)


def test_a_search_without_any_result_says_why(make_search, make_spec, tmp_path: Path) -> None:
    """A long cause is one line, whatever is in it."""
    search = make_search(make_spec(search={"trials": 1}, failures={"retries": 0}))
    ledger, paths = search.ledger, SearchPaths(tmp_path, search.ledger.name)
    search.next_job()
    search.on_lost(0, f"RuntimeError:\n{'no room ' * 20}\x1b[2J")
    lines = drawn(shown(status(ledger, paths), ledger, paths)).splitlines()
    (line,) = [line for line in lines if line.startswith("trial 0 failed: ")]
    assert line.endswith("at last: RuntimeError: " + "no room " * 20 + "\\x1b[2J")


def test_a_list_of_searches(make_search, make_spec, make_report, tmp_path: Path) -> None:
    """One row a search: name, state, ended and wanted trials, the best value."""
    found = []
    for reports in (1, 0):
        search = make_search(make_spec())
        if reports:
            job = search.next_job()
            search.on_reports([make_report(job, 9, 0.25, ended="completed")])
        found.append(status(search.ledger, SearchPaths(tmp_path, search.ledger.name)))
    rows = drawn(list_table(found)).splitlines()
    (first,) = [row for row in rows if found[0]["name"] in row]
    (second,) = [row for row in rows if found[1]["name"] in row]
    for word in ("interrupted", "1/4", "0.25", "loss"):
        assert word in first
    assert "0/4" in second
