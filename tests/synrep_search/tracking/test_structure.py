"""What a search looks like in MLflow: a parent, a child for each trial, and what they hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from synrep_search.durability.database import SEARCH_ITSELF
from synrep_search.workers.attempt import Attempt

if TYPE_CHECKING:
    from mlflow import MlflowClient

STATES = """
trainer: scripted
train: {iterations: 4, reports: 4, metrics: 3}
space: {x: {float: [0, 100]}, nan_at: {choice: [0, 2]}, fail_at: {choice: [0, 2]}}
start_from:
  - {x: 0.5, nan_at: 0, fail_at: 0}
  - {x: 50, nan_at: 0, fail_at: 0}
  - {x: 0.5, nan_at: 2, fail_at: 0}
  - {x: 0.5, nan_at: 0, fail_at: 2}
search: {minimize: loss, trials: 4, early_stopping: {asha: {grace: 0.5, reduction: 2}}}
failures: {retries: 0}
"""


@pytest.fixture
def finished(server, tmp_path: Path, make_tracked) -> Any:
    """A search whose trials ended in every way there is."""
    tracked = make_tracked(tmp_path, server.uri, STATES)
    tracked.run()
    return tracked


def test_a_search_is_a_parent_with_a_child_for_each_trial(finished, client: MlflowClient) -> None:
    """Tags, params, metrics, states and the specification are where they are looked for."""
    runs = finished.runs()
    assert sorted(runs) == [SEARCH_ITSELF, 0, 1, 2, 3]
    parent = runs[SEARCH_ITSELF]
    provenance = {"synrep.id": finished.ledger.provenance["id"], "synrep.code": "abc123"}
    assert parent.info.status == "FINISHED"
    assert provenance.items() <= parent.data.tags.items()
    assert parent.data.tags["synrep.data"] == "f00d"
    assert parent.data.params == {}
    assert parent.data.metrics["best/trial"] == 0
    assert parent.info.run_id == finished.ledger.mlflow["parent"]
    file = client.download_artifacts(parent.info.run_id, "spec.json")
    spec = json.loads(Path(file).read_text(encoding="utf-8"))
    assert spec == finished.ledger.spec.model_dump(mode="json")
    for number in range(4):
        tags = runs[number].data.tags
        assert tags["mlflow.parentRunId"] == parent.info.run_id
        assert tags["synrep.search"] == finished.ledger.name
        assert tags["synrep.trial"] == str(number)
        assert tags["synrep.seed"] == str(finished.ledger.trial(number).record.seed)
        assert provenance.items() <= tags.items()
        params = finished.ledger.trial(number).params
        assert runs[number].data.params == {name: str(value) for name, value in params.items()}
    ended = {run.data.tags["synrep.state"]: run.info.status for run in runs.values()}
    assert ended == {
        "finished": "FINISHED",
        "completed": "FINISHED",
        "stopped_early": "KILLED",
        "diverged": "FAILED",
        "failed": "FAILED",
    }
    assert "nan" in runs[2].data.tags["synrep.cause"]
    assert "the script says so" in runs[3].data.tags["synrep.cause"]
    assert all(run.info.end_time >= run.info.start_time for run in runs.values())


def test_each_step_is_there_once_with_the_best_so_far(finished) -> None:
    """A metric's last value is the last report's; `best/` keeps the best and its step."""
    trial = finished.ledger.trial(0)
    loss = finished.history(0, "loss")
    assert [step for step, _ in loss] == [1, 2, 3, 4]
    assert [step for step, _ in finished.history(0, "metric_2")] == [1, 2, 3, 4]
    best = [(step, min(value for at, value in loss if at <= step)) for step, _ in loss]
    assert finished.history(0, "best/loss") == best
    metrics = finished.runs()[0].data.metrics
    assert metrics["best/loss"] == trial.value
    assert metrics["best/step"] == trial.best_iteration


def test_delivering_everything_again_changes_nothing(finished, client: MlflowClient) -> None:
    """A driver may die between a delivery and its note of it, at any event."""

    def content() -> list[tuple[object, ...]]:
        rows = []
        for number, run in sorted(finished.runs().items()):
            for metric in sorted(run.data.metrics):
                rows += [(number, metric, *row) for row in finished.history(number, metric)]
            files = [file.path for file in client.list_artifacts(run.info.run_id)]
            rows.append((number, run.info.status, run.info.end_time, run.data.tags, files))
        return rows

    before = content()
    assert finished.deliver_again() == 0
    assert content() == before


def test_an_interrupted_search_goes_on_in_the_same_runs(tracked) -> None:
    """Its waiting trial is killed in MLflow, then running again, then finished; no step twice."""

    def interrupted(search) -> None:
        attempt = Attempt(search.next_job(), "cpu", 1)
        search.on_reports([attempt.advance()])
        search.stop("a test")

    tracked.run(interrupted)
    before = tracked.runs()
    assert before[0].info.status == "KILLED"
    assert before[0].data.tags["synrep.state"] == "waiting"
    assert before[SEARCH_ITSELF].info.status == "KILLED"
    assert before[SEARCH_ITSELF].data.tags["synrep.state"] == "interrupted"
    tracked.run()
    after = tracked.runs()
    assert {number: after[number].info.run_id for number in before} == {
        number: run.info.run_id for number, run in before.items()
    }
    assert {run.info.status for run in after.values()} == {"FINISHED"}
    assert [step for step, _ in tracked.history(0, "loss")] == [2, 4]
