"""Generators that MLflow lacks, and that were exported in another place than they are needed."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console
from synrep_search.durability.ledger import Ledger
from synrep_search.durability.outbox import Event
from synrep_search.durability.restore import restore_copy
from synrep_search.paths import LEDGER_FILE, SearchPaths, trial_folder
from synrep_search.search.driver import run_search
from synrep_search.terminal.progress import ProgressDisplay
from synrep_search.tracking.client import open_client
from synrep_search.tracking.ui import free_port
from synrep_search.workers.local import run as run_locally

if TYPE_CHECKING:
    from pathlib import Path

# MLflow's own code has type hints of which MLflow warns when it is imported.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
    pytest.mark.timeout(400),
]

SMALL = """
trainer: synrep
storage: {storage}
data: {{poses: synthetic}}
train:
  {{iterations: 2, reports: 1, batch_size: 16, generator.width: 16, critic.branch_width: 16,
    reprojection_network.width: 16, evaluation.views: 16}}
space: {{optim.lr_generator: {{log: [1e-4, 1e-3]}}}}
search: {{minimize: validation/mpjpe_mm, trials: 2}}
"""


def kinds(ledger: Ledger) -> list[str]:
    """Of the events that are not delivered."""
    return [event.kind for event in ledger.outbox.pending()]


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory, make_tracked) -> Path:
    """The storage of a search that ended on a machine that is gone, while MLflow was away."""
    folder: Path = tmp_path_factory.mktemp("lost")
    nowhere = f"http://127.0.0.1:{free_port(0)}"
    tracked = make_tracked(folder / "home", nowhere, SMALL.format(storage=folder / "bucket"))
    tracked.run()
    assert (tracked.paths.best / "model.onnx").exists()
    assert kinds(tracked.ledger).count("artifacts") == 2
    tracked.ledger.close()
    (copy,) = (folder / "bucket").iterdir()
    with closing(sqlite3.connect(copy / LEDGER_FILE)) as connection:
        connection.execute("UPDATE synrep_lease SET owner = ''")  # this process is not its driver
        connection.commit()
    shutil.rmtree(folder / "home")
    return copy


@pytest.fixture
def moved(lost: Path, tmp_path: Path, make_tracked) -> Any:
    """That search in a new home, with an MLflow that works."""
    shutil.copytree(lost, tmp_path / "bucket" / lost.name)
    tracked = make_tracked(tmp_path / "unused", f"sqlite:///{tmp_path / 'mlflow.db'}")
    tracked.ledger.close()
    tracked.paths = restore_copy(str(tmp_path / "bucket" / lost.name), tmp_path / "new")
    return tracked


def resume(tracked: Any) -> None:
    """A new driver, for which MLflow is there."""
    tracked.ledger = ledger = Ledger.open(tracked.paths.ledger_url(), tracked.paths.name)
    tracking = ledger.spec.tracking.model_copy(update={"uri": tracked.uri})
    ledger.replace_spec(ledger.spec.model_copy(update={"tracking": tracking}))
    view = ProgressDisplay(Console(file=tracked.output, width=200))
    run_search(ledger, tracked.paths, run_locally, view)


def check(tracked: Any) -> None:
    """MLflow has all generators and the champion, and nothing is left to deliver."""
    assert tracked.ledger.outbox.depth() == 0
    client, runs = open_client(tracked.uri), tracked.runs()
    for number in (0, 1):
        files = client.list_artifacts(runs[number].info.run_id, "generator")
        assert "generator/model.onnx" in {file.path for file in files}
    version = client.get_model_version_by_alias(tracked.ledger.name, "champion")
    assert version.run_id == runs[tracked.ledger.index.first().number].info.run_id


def test_what_a_lost_machine_has_not_told_is_made_again(moved, tmp_path: Path) -> None:
    """Also in a home that was moved, and for a server that has lost its data."""
    resume(moved)
    check(moved)
    moved.ledger.close()
    (tmp_path / "new").rename(tmp_path / "third")
    moved.paths = SearchPaths(tmp_path / "third", moved.paths.name)
    for run in moved.runs().values():
        open_client(moved.uri).delete_run(run.info.run_id)
    resume(moved)
    check(moved)


def test_what_an_earlier_version_told_is_delivered(moved) -> None:
    """It named folders. Also what is not among the best any more; and nothing stays for ever."""
    with closing(sqlite3.connect(moved.paths.ledger_file)) as connection:
        connection.execute("DELETE FROM synrep_event WHERE kind IN ('artifacts', 'champion')")
        connection.commit()
    ledger = Ledger.open(moved.paths.ledger_url(), moved.paths.name)
    tracking = ledger.spec.tracking.model_copy(update={"keep_best": 1})
    ledger.replace_spec(ledger.spec.model_copy(update={"tracking": tracking}))
    for number, name in ((0, ""), (1, ""), (0, "0000-0123456789ab"), (9, "/etc"), (18, "0001-0")):
        step, files = 0, {"folder": name}
        if not name:
            ref = ledger.checkpoints(number)[0]
            step, files["folder"] = ref.iteration, f"{number:04d}-{ref.sha256[:12]}"
        ledger.outbox.put(Event(trial=number, kind="artifacts", step=step, payload=files))
    ledger.close()
    resume(moved)
    check(moved)
    for number in (9, 18):
        assert f"MLflow will not show the generator of trial {number}" in moved.said


def test_what_is_gone_for_good_is_given_up(moved, tmp_path: Path) -> None:
    """The other generators arrive, and no event stays for ever."""
    with closing(Ledger.open(moved.paths.ledger_url(), moved.paths.name)) as ledger:
        best, other = (trial.number for trial in ledger.index.best(2))
        folder = trial_folder(other, ledger.trial(other).record.key)
    shutil.rmtree(tmp_path / "bucket" / moved.paths.name / folder)
    resume(moved)
    assert moved.ledger.outbox.depth() == 0
    assert f"MLflow will not show the generator of trial {other}" in moved.said
    client, run = open_client(moved.uri), moved.runs()[best].info.run_id
    assert client.get_model_version_by_alias(moved.ledger.name, "champion").run_id == run
    assert (moved.paths.best / "model.onnx").exists()


def test_a_storage_that_is_away_is_waited_for(moved, tmp_path: Path) -> None:
    """What can't be exported today stays in the outbox, and holds up nothing."""
    with closing(Ledger.open(moved.paths.ledger_url(), moved.paths.name)) as ledger:
        folders = [
            tmp_path / "bucket" / ledger.name / trial_folder(trial.number, trial.record.key)
            for trial in ledger.index.trials()
        ]
    away = tmp_path / "away"
    away.mkdir()
    for folder in folders:
        folder.rename(away / folder.name)
    resume(moved)
    assert kinds(moved.ledger).count("artifacts") == 2
    assert moved.runs()[0].info.status == "FINISHED"
    moved.ledger.close()
    for folder in folders:
        (away / folder.name).rename(folder)
    resume(moved)
    check(moved)
