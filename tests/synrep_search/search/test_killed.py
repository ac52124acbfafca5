"""A search of fused trials whose driver is killed twice: nothing is lost, doubled or different.

cluster/test_lost_machines.py shows the same of trials that are not fused, and of lost machines.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import pytest
from mlflow import MlflowClient
from synrep_search.durability.ledger import Ledger
from synrep_search.paths import SearchPaths

if TYPE_CHECKING:
    from pathlib import Path

TRIALS, REPORTS = 3, 12
PATIENCE_S = 240

# Nothing that depends on timing: points are drawn by number, and every trial runs its full length.
SEARCH = f"""\
name: killed
train:
  iterations: 960
  reports: {REPORTS}
  batch_size: 32
  generator.width: 32
  generator.dropout: 0.1
  reprojection_network.width: 32
  critic.branch_width: 16
  evaluation.views: 256
space:
  loss.lambda_angle: {{log: [0.1, 10]}}
  optim.lr_generator: {{log: [1e-4, 1e-3]}}
search: {{minimize: validation/mpjpe_mm, trials: {TRIALS}, sampler: {{random: {{seed: 3}}}}}}
tracking: {{keep_best: 1}}
"""


def command(*words: str) -> list[str]:
    """A call of the command line."""
    return [sys.executable, "-m", "synrep_search.cli", *words]


def ledger_of(home: Path) -> Ledger:
    """The ledger of the search in a home."""
    return Ledger.open(SearchPaths(home, "killed").ledger_url(), "killed")


def reports(home: Path) -> dict[int, dict[int, Any]]:
    """Metrics and checkpoint of every report, by trial and iteration."""
    ledger = ledger_of(home)
    found = {
        trial.number: {
            event.step: (event.payload["metrics"], event.payload["checkpoint"])
            for event in ledger.outbox.reports(trial.number)
        }
        for trial in ledger.index.trials()
    }
    ledger.close()
    return found


def counted(home: Path) -> list[int]:
    """Reports of each trial so far, read without disturbing the driver."""
    file = home / "killed" / "ledger.sqlite"
    query = "SELECT COUNT(*) FROM synrep_event WHERE kind = 'report' AND trial >= 0 GROUP BY trial"
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            return [count for (count,) in connection.execute(query)]
    except sqlite3.OperationalError:  # not there yet
        return []


def kill_after(words: list[str], log: IO[bytes], home: Path, count: int) -> None:
    """Kill a driver as soon as its search has some reports and a trial in the middle."""
    process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        give_up = time.monotonic() + PATIENCE_S
        while True:
            found = counted(home)
            if sum(found) >= count and any(some < REPORTS for some in found):
                return
            assert process.poll() is None, f"it ended before it could be killed: {found}"
            assert time.monotonic() < give_up, f"too slow: {found}"
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True, kw_only=True)
class Story:
    """What became of the killed search, and of the same one left alone."""

    home: Path
    alone: Path
    status: dict[str, Any]
    running: list[int]


@pytest.fixture(scope="module")
def story(system, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The search launched, killed, resumed, killed, resumed to its end; and run undisturbed."""
    folder = tmp_path_factory.mktemp("killed")
    file, home, alone = folder / "killed.yaml", folder / "home", folder / "alone"
    poses = os.environ.get("SYNREP_DATA")
    text = SEARCH + (f"data: {{poses: {poses}}}\n" if poses else "")
    file.write_text(text + "resources: {fuse: 2}\n")
    running = []
    with (folder / "log").open("wb") as log:
        launch = command("launch", str(file), "--home", str(home), "--yes")
        resume = command("resume", "killed", "--home", str(home))
        for words, count in ((launch, 5), (resume, 17)):
            kill_after(words, log, home, count)
            ledger = ledger_of(home)
            running.append(ledger.index.counts()["running"])
            ledger.close()
        subprocess.run(resume, stdout=log, stderr=log, check=True, timeout=PATIENCE_S)
        launch = command("launch", str(file), "--home", str(alone), "--yes")
        subprocess.run(launch, stdout=log, stderr=log, check=True, timeout=PATIENCE_S)
    asked = command("status", "killed", "--home", str(home), "--json")
    status = json.loads(subprocess.run(asked, check=True, capture_output=True).stdout)
    return Story(home=home, alone=alone, status=status, running=running)


@pytest.mark.timeout(4 * PATIENCE_S)
def test_the_target_is_reached(story) -> None:
    """No trial is lost or doubled, numbers continue, and the interruptions are on record."""
    assert all(count > 0 for count in story.running), "killed while nothing ran"
    assert story.status["state"] == "finished"
    assert story.status["trials"]["completed"] == sum(story.status["trials"].values()) == TRIALS
    assert story.status["attempts"] == TRIALS + sum(story.running)
    ledger = ledger_of(story.home)
    trials = ledger.index.trials()
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert len({trial.record.key for trial in trials}) == TRIALS
    causes = [attempt.cause for trial in trials for attempt in trial.record.attempts]
    assert causes.count("interrupted: the driver died") == sum(story.running)
    ledger.close()


def test_an_interrupted_trial_ends_like_one_left_alone(story) -> None:
    """Bit for bit: all metrics of all reports, and the bytes of the last checkpoint."""
    killed, alone = reports(story.home), reports(story.alone)
    assert killed == alone
    assert all(len(steps) == REPORTS for steps in killed.values())


def test_mlflow_has_one_run_a_trial(story) -> None:
    """Each with every step once and a right status, below one parent."""
    client = MlflowClient(f"sqlite:///{story.home / 'mlflow.db'}")
    runs = client.search_runs([story.status["experiment_id"]])
    parents = [run for run in runs if "synrep.trial" not in run.data.tags]
    assert [run.info.run_id for run in parents] == [story.status["parent_run_id"]]
    children = {int(run.data.tags["synrep.trial"]): run for run in runs if run not in parents}
    assert sorted(children) == list(range(TRIALS))
    assert len(runs) == TRIALS + 1
    assert {run.info.status for run in runs} == {"FINISHED"}
    recorded = reports(story.home)
    for number, run in children.items():
        assert run.data.tags["synrep.state"] == "completed"
        for name in ("validation/mpjpe_mm", "best/validation/mpjpe_mm"):
            history = client.get_metric_history(run.info.run_id, name)
            assert sorted(row.step for row in history) == sorted(recorded[number])
        logged = client.get_metric_history(run.info.run_id, "validation/mpjpe_mm")
        assert {row.step: row.value for row in logged} == {
            step: metrics["validation/mpjpe_mm"] for step, (metrics, _) in recorded[number].items()
        }
