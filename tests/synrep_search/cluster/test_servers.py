"""A search on several nodes that keeps everything on servers: ledger, checkpoints, runs."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

TRIALS, REPORTS = 6, 4
SEARCH = f"""\
trainer: scripted
train: {{iterations: 8, reports: {REPORTS}, sleep_s: 0.1}}
space: {{x: {{float: [-1, 1]}}, y: {{float: [-1, 1]}}}}
search: {{minimize: loss, trials: {TRIALS}}}
"""


@pytest.fixture(scope="module")
def finished(place) -> Any:
    """The search, launched and run to its end."""
    search = place.search(SEARCH)
    search.finish(search.launch())
    return search


@pytest.mark.timeout(600)
def test_all_trials_are_in_the_ledger(place, finished) -> None:
    """In PostgreSQL, each trained once, on as many slots as the nodes have."""
    count = sum(node.running for node in place.ray.nodes)
    assert f"{count} slots on {count + 1} nodes: {count} CPUs" in finished.output
    status = finished.status()
    assert status["state"] == "finished"
    assert status["trials"]["completed"] == sum(status["trials"].values()) == TRIALS
    assert status["attempts"] == TRIALS
    reports = finished.reports()
    assert sorted(reports) == list(range(TRIALS))
    assert all(sorted(steps) == [2, 4, 6, 8] for steps in reports.values())


def test_each_trial_has_one_run_with_the_ledgers_values(finished) -> None:
    """Below one parent, delivered to the server by the end of the search."""
    runs = finished.runs()
    assert sorted(runs) == [-1, *range(TRIALS)]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for number, steps in finished.reports().items():
        recorded = {step: metrics["loss"] for step, (metrics, _) in steps.items()}
        assert finished.history(runs[number], "loss") == recorded
        assert runs[number].data.tags["synrep.state"] == "completed"
        assert runs[number].data.tags["mlflow.parentRunId"] == runs[-1].info.run_id


def test_checkpoints_are_in_the_object_store(place, finished) -> None:
    """Those that the ledger names are there; nothing of them is on the driver's disk."""
    kept = place.objects.names(prefix=f"searches/{finished.name}/trials/")
    with closing(finished.opened()) as ledger:
        trials = ledger.index.trials()
    for trial in trials:
        _, newest = finished.reports()[trial.number][8]
        folder = f"searches/{finished.name}/trials/{trial.number:04d}"
        assert any(key.startswith(folder) and key.endswith(newest["file"]) for key in kept)
    assert not (place.home / finished.name / "trials").exists()


def test_no_secret_is_written_anywhere(place, finished) -> None:
    """Keys are in the environment of driver and workers, and stay there."""
    with closing(finished.opened()) as ledger:
        told = [finished.output, ledger.spec.model_dump_json(), str(ledger.provenance)]
    told += [str(run.to_dictionary()) for run in finished.runs().values()]
    for secret in (place.objects.secret_key, place.objects.access_key):
        assert not any(secret in text for text in told)


def test_a_name_is_taken_from_every_home(place, finished, tmp_path: Path) -> None:
    """The ledger is everybody's: another machine can't launch a second search of that name."""
    second = finished.begin("launch", str(finished.file), "--yes", home=tmp_path)
    assert second.wait(120) == 2
    assert "already contains a search" in finished.output
    assert not list(tmp_path.iterdir())
