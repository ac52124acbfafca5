"""How a search stands: the contract of `status --json`, and the tables for people."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

from rich.console import Console
from synrep_search.paths import SearchPaths
from synrep_search.status import list_table, shown, status

if TYPE_CHECKING:
    from pathlib import Path

KEYS = [
    "name", "state", "target", "trials", "best", "metric", "attempts", "tracking_uri",
    "experiment_id", "parent_run_id",
]  # fmt: skip
STATES = ["waiting", "running", "completed", "stopped_early", "diverged", "failed"]


def drawn(what: object) -> str:
    """A thing as it looks on 80 columns."""
    console = Console(file=io.StringIO(), width=80)
    console.print(what)
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
    begun = drawn(shown(status(ledger, paths), ledger))
    assert "none yet; target 4" in begun
    job = search.next_job()
    search.on_reports([make_report(job, 9, 0.125, ended="completed")])
    text = drawn(shown(status(ledger, paths), ledger))
    words = (ledger.name, "interrupted", "1 completed", "target 4", "0.125", "loss", "c0de")
    for word in words:
        assert word in text
    assert f"synrep-search resume {ledger.name}" in text


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
