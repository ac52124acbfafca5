"""What delivery does when MLflow, or somebody who uses it, gets in its way."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from synrep_search.durability.database import SEARCH_ITSELF
from synrep_search.durability.ledger import Ledger
from synrep_search.tracking.client import open_client

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow import MlflowClient


def test_searches_of_one_name_do_not_mix(server, tmp_path: Path, make_tracked) -> None:
    """Two homes may use the same name on one server; an id tells them apart."""
    one = make_tracked(tmp_path / "one", server.uri)
    two = make_tracked(tmp_path / "two", server.uri)
    url = f"sqlite:///{tmp_path / 'two.sqlite'}"
    provenance = one.ledger.provenance | {"id": uuid.uuid4().hex}
    two.ledger = Ledger.create(url, one.ledger.spec, provenance)
    for tracked, value in ((one, 1.0), (two, 2.0)):
        tracked.begin(0)
        tracked.put(0, "report", 1, metrics={"loss": value})
        assert tracked.deliver() == 0
    assert one.history(0, "loss") == [(1, 1.0)]
    assert two.history(0, "loss") == [(1, 2.0)]
    assert one.runs()[0].info.run_id != two.runs()[0].info.run_id


def test_a_refused_metric_is_said_once_and_holds_up_nothing(tracked) -> None:
    """MLflow takes only some names; the ledger keeps the others."""
    tracked.begin(0, 1)
    for step in (1, 2):
        for trial in (0, 1):
            tracked.put(trial, "report", step, metrics={"loss": 1.0, "50%": 2.0})
    tracked.put(0, "state", 3, state="completed", cause="")
    assert tracked.deliver() == 0
    assert [step for step, _ in tracked.history(1, "loss")] == [1, 2]
    assert tracked.runs()[0].info.status == "FINISHED"
    assert tracked.said.count("MLflow refuses metric '50%'") == 1
    assert tracked.ledger.outbox.reports(0)[0].payload["metrics"]["50%"] == 2.0


def test_an_experiment_that_cannot_be_used_is_said_once(tracked, client: MlflowClient) -> None:
    """The events are kept until it can be; what to do is said."""
    name = f"deleted-{tracked.ledger.name}"
    tracked.use_experiment(name)
    experiment = client.create_experiment(name)
    client.delete_experiment(experiment)
    tracked.begin(0)
    began = time.monotonic()
    assert tracked.deliver() == 2
    assert time.monotonic() - began < 10
    assert tracked.said.count("was deleted: restore it with `mlflow experiments restore") == 1
    client.restore_experiment(experiment)
    assert tracked.deliver() == 0
    assert sorted(tracked.runs()) == [SEARCH_ITSELF, 0]


def test_a_deleted_run_is_made_anew_from_the_ledger_once(tracked, client: MlflowClient) -> None:
    """All its steps and params are back; a run that is deleted again is left alone."""
    tracked.begin(0, 1)
    tracked.put(0, "report", 1, metrics={"loss": 1.0})
    delivery = tracked.delivery()
    delivery.start()
    try:
        assert delivery.flush(30) == 0
        first = tracked.runs()[0].info.run_id
        client.delete_run(first)
        tracked.put(0, "report", 2, metrics={"loss": 0.5})
        assert delivery.flush(30) == 0
        second = tracked.runs()[0]
        assert second.info.run_id != first
        assert second.data.params == {"x": "0.5"}
        assert tracked.history(0, "loss") == [(1, 1.0), (2, 0.5)]
        client.delete_run(second.info.run_id)
        tracked.put(0, "report", 3, metrics={"loss": 0.4})
        tracked.put(1, "report", 3, metrics={"loss": 0.3})
        assert delivery.flush(30) == 0
    finally:
        delivery.stop()
    assert sorted(tracked.runs()) == [SEARCH_ITSELF, 1]
    assert tracked.history(1, "loss") == [(3, 0.3)]
    assert "the run of trial 0 is no longer in MLflow; it is being recreated" in tracked.said
    assert "the run of trial 0 was deleted again; it will not be recreated" in tracked.said


def test_a_new_parent_takes_over_the_children(tracked, client: MlflowClient) -> None:
    """A parent that was deleted comes back with its tags, and the children show below it."""
    tracked.begin(0)
    tracked.deliver()
    client.delete_run(tracked.runs()[SEARCH_ITSELF].info.run_id)
    tracked.put(SEARCH_ITSELF, "state", 1, state="finished")
    tracked.deliver()
    tracked.put(0, "report", 1, metrics={"loss": 1.0})
    tracked.deliver()
    runs = tracked.runs()
    assert runs[SEARCH_ITSELF].info.status == "FINISHED"
    assert runs[0].data.tags["mlflow.parentRunId"] == runs[SEARCH_ITSELF].info.run_id
    assert tracked.ledger.mlflow["parent"] == runs[SEARCH_ITSELF].info.run_id


def test_a_store_that_lost_everything_is_filled_again(tracked, client: MlflowClient) -> None:
    """MLflow can be rebuilt from the ledger."""
    tracked.begin(0, 1)
    tracked.put(1, "report", 1, metrics={"loss": 1.0})
    tracked.deliver()
    for run in tracked.runs().values():
        client.delete_run(run.info.run_id)
    tracked.put(0, "report", 1, metrics={"loss": 2.0})
    assert tracked.deliver() == 0
    assert sorted(tracked.runs()) == [SEARCH_ITSELF, 0, 1]
    assert tracked.history(1, "loss") == [(1, 1.0)]
    assert "they are being recreated" in tracked.said


def test_a_run_that_was_made_twice_becomes_one(tracked, client: MlflowClient) -> None:
    """A server may make a run though its answer is lost; the next driver mends that."""
    tracked.begin(0)
    tracked.put(0, "report", 1, metrics={"loss": 1.0})
    tracked.deliver()
    first = tracked.runs()[0]
    double = client.create_run(
        first.info.experiment_id, tags=first.data.tags, start_time=first.info.start_time - 1
    )
    tracked.put(0, "report", 2, metrics={"loss": 0.5})
    assert tracked.deliver() == 0
    tracked.deliver()
    assert tracked.runs()[0].info.run_id == double.info.run_id
    assert tracked.runs()[0].data.params == {"x": "0.5"}
    assert tracked.history(0, "loss") == [(1, 1.0), (2, 0.5)]


def test_a_generator_that_cannot_be_exported_holds_up_nothing(tracked) -> None:
    """It waits while its storage is away, and is given up when its checkpoints are no good."""
    tracked.run()
    trials, away = tracked.paths.folder / "trials", tracked.paths.folder / "away"
    trials.rename(away)
    tracked.put(0, "artifacts", 4)
    tracked.put(0, "champion", 4)
    tracked.put(1, "report", 5, metrics={"loss": 1.0})
    assert tracked.deliver() == 2
    assert tracked.history(1, "loss")[-1] == (5, 1.0)
    assert "the generator of trial 0 can't be exported: checkpoint" in tracked.said
    assert "MLflow will not show" not in tracked.said
    away.rename(trials)
    assert tracked.deliver() == 0
    assert tracked.said.count("MLflow will not show the generator of trial 0") == 1
    assert stored(tracked, 0) == []


def stored(tracked, trial: int) -> list[str]:
    """Files that MLflow has of a trial's generator."""
    run = tracked.runs()[trial].info.run_id
    return [file.path for file in open_client(tracked.uri).list_artifacts(run, "generator")]


def test_many_generators_that_wait_hold_up_nothing(tracked) -> None:
    """However long they wait, and before whatever else."""
    tracked.run()
    (tracked.paths.folder / "trials").rename(tracked.paths.folder / "away")
    with tracked.ledger.outbox.together():
        for step in range(2000):
            tracked.put(0, "artifacts", step)
    tracked.put(1, "report", 5, metrics={"loss": 1.0})
    assert tracked.deliver() == 2000
    assert tracked.history(1, "loss")[-1] == (5, 1.0)
    assert tracked.said.count("the generator of trial 0 can't be exported") == 1


def test_no_folder_but_an_export_is_stored(tracked, tmp_path: Path) -> None:
    """Whoever wrote the ledger does not say what leaves this machine."""
    inside = tracked.export(0, config="{}")
    outside = tmp_path / "0000-0123456789ab"
    outside.mkdir()
    (outside / "secret.json").write_text("{}", encoding="utf-8")
    tracked.begin(0, 1)
    up = "/".join([".."] * 2)
    names = (str(outside), f"{up}/{outside.name}", f"{inside.name}/..", ".", 7, inside.name)
    for step, name in enumerate(names):
        for trial in (0, 1):
            tracked.put(trial, "artifacts", step, folder=name)
    tracked.put(1, "champion", folder=str(outside), checkpoint="0" * 64)
    assert (tracked.paths.exports / up / outside.name).is_dir()
    assert tracked.deliver() == 0
    assert stored(tracked, 0) == ["generator/config.json"]
    assert stored(tracked, 1) == []
    assert not open_client(tracked.uri).search_model_versions(f"name = '{tracked.ledger.name}'")


def test_a_store_of_artifacts_that_fails_holds_up_nothing_else(
    tracked, client: MlflowClient, tmp_path: Path
) -> None:
    """Metrics and states arrive; the files are kept until they can be stored."""
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be", encoding="utf-8")
    tracked.use_experiment(f"blocked-{tracked.ledger.name}")
    client.create_experiment(f"blocked-{tracked.ledger.name}", blocked.as_uri())
    tracked.begin(0)
    tracked.export(0, config="{}")
    tracked.put(0, "artifacts")
    tracked.put(0, "report", 1, metrics={"loss": 1.0})
    tracked.put(0, "state", 3, state="completed", cause="")
    assert tracked.deliver() == 2
    assert tracked.history(0, "loss") == [(1, 1.0)]
    assert tracked.runs()[0].info.status == "FINISHED"
    assert "events are kept" in tracked.said
    blocked.unlink()
    assert tracked.deliver() == 0
    assert list(blocked.glob("*/artifacts/generator/config.json"))
    assert list(blocked.glob("*/artifacts/spec.json"))


def test_a_password_in_an_address_is_never_shown(tracked) -> None:
    """Not even where the error of a library repeats the address."""
    tracked.uri = "http://me:hunter2@127.0.0.1:9"
    tracked.begin()
    assert tracked.deliver() == 1
    assert "MLflow at http://me:***@127.0.0.1:9 does not answer" in tracked.said
    assert "hunter2" not in tracked.said
