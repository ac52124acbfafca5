"""Exports of the best generators: all in one process, only what is missing, whole or not at all."""

from __future__ import annotations

import io
import json
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console
from synrep_search.durability.ledger import Ledger
from synrep_search.errors import LedgerError
from synrep_search.paths import SearchPaths, trial_folder
from synrep_search.search.loop import Search
from synrep_search.search_file import load_spec
from synrep_search.terminal.progress import ProgressDisplay
from synrep_search.tracking.exports import Exports, export_trial
from synrep_search.workers.local import run

from synrep.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

SMALL = """
name: small
trainer: synrep
data: {poses: synthetic}
train:
  {iterations: 4, reports: 2, batch_size: 16, generator.width: 16, critic.branch_width: 16,
   reprojection_network.width: 16, evaluation.views: 16}
space: {optim.lr_generator: {log: [1e-4, 1e-3]}}
search: {minimize: validation/mpjpe_mm, trials: 3}
tracking: {keep_best: 3}
"""
SCRIPTED = """
name: scripted
trainer: scripted
train: {iterations: 2, reports: 1}
space: {x: {float: [0, 1]}}
search: {minimize: loss, trials: 1}
"""


def trained(home: Path, text: str) -> tuple[Ledger, SearchPaths, ProgressDisplay]:
    """A search that ran to its end, without MLflow."""
    (home / "a.yaml").write_text(text, encoding="utf-8")
    spec = load_spec(home / "a.yaml")
    paths = SearchPaths(home, spec.name)
    paths.folder.mkdir()
    origin = {"id": "0", "code": "", "data": "", "created": ""}
    ledger = Ledger.create(paths.ledger_url(spec), spec, origin)
    view = ProgressDisplay(Console(file=io.StringIO(), width=200))
    run(Search(ledger, paths, view))
    return ledger, paths, view


def said(view: ProgressDisplay) -> str:
    """What a view was told."""
    assert isinstance(view.console.file, io.StringIO)
    return view.console.file.getvalue()


def spoil(ledger: Ledger, paths: SearchPaths, damaged: int, lost: int) -> None:
    """Damage the newest checkpoint of one trial, and delete those of another."""
    keys = {number: ledger.trial(number).record.key for number in (damaged, lost)}
    folder = {number: paths.folder / trial_folder(number, key) for number, key in keys.items()}
    newest = folder[damaged] / ledger.checkpoints(damaged)[0].file
    newest.write_bytes(newest.read_bytes()[:-1] + b"\1")
    for ref in ledger.checkpoints(lost):
        (folder[lost] / ref.file).unlink()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A search of three trials: a sound one, one with a damaged checkpoint, one with none."""
    ledger, paths, view = trained(tmp_path_factory.mktemp("home"), SMALL)
    sound, damaged, lost = (trial.number for trial in ledger.index.best(3))
    spoil(ledger, paths, damaged, lost)
    Exports(ledger, paths, view.say).keep_best()
    return ledger, paths, view, (sound, damaged, lost)


def test_the_best_are_exported_and_announced(exported) -> None:
    """Each folder is complete; the best one is also `best/` and the champion."""
    ledger, paths, view, (sound, damaged, lost) = exported
    events = [event for event in ledger.outbox.pending() if event.kind in ("artifacts", "champion")]
    assert [(event.trial, event.kind) for event in events] == [
        (sound, "artifacts"),
        (sound, "champion"),
        (damaged, "artifacts"),
        (lost, "artifacts"),
    ]
    files = {path.name for path in paths.best.iterdir()}
    assert files >= {"generator.safetensors", "model.onnx", "config.json", "metrics.json"}
    numbers = json.loads((paths.best / "metrics.json").read_text(encoding="utf-8"))["metrics"]
    assert numbers["trial"] == sound
    assert numbers["validation/mpjpe_mm"] == ledger.trial(sound).value
    assert f"exported trial {sound} (1 of 3)" in said(view)


def test_a_damaged_checkpoint_is_passed_over(exported) -> None:
    """The one before it serves; the folder's name says which it was."""
    ledger, paths, _, (_, damaged, _) = exported
    before = ledger.checkpoints(damaged)[1]
    assert [path.name for path in paths.exports.glob(f"{damaged:04d}-*")] == [
        f"{damaged:04d}-{before.sha256[:12]}"
    ]


def test_what_cannot_be_exported_is_said(exported) -> None:
    """It holds up nothing else."""
    ledger, _, view, (_, _, lost) = exported
    missing = ledger.checkpoints(lost)[-1].file
    problem = f"the generator of trial {lost} can't be exported: checkpoint {missing} is missing"
    assert problem in said(view)


def test_an_export_that_exists_is_used_again(
    exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process is started for it; a folder that exists is never written over."""
    ledger, paths, _, (sound, _, _) = exported
    monkeypatch.setattr(subprocess, "Popen", None)
    to = tmp_path / "new" / "folder"
    assert export_trial(ledger, paths, None, to) == sound
    assert (to / "model.onnx").read_bytes() == (paths.best / "model.onnx").read_bytes()
    with pytest.raises(InputError, match="exists already"):
        export_trial(ledger, paths, sound, to)


def test_an_export_that_cannot_be_made_leaves_nothing(exported, tmp_path: Path) -> None:
    """The message says why."""
    ledger, paths, _, (_, _, lost) = exported
    with pytest.raises(LedgerError, match="is missing"):
        export_trial(ledger, paths, lost, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_process_that_dies_is_said(
    exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E.g. for want of memory."""
    ledger, paths, _, (_, damaged, _) = exported
    monkeypatch.setattr("sys.executable", "/bin/false")
    monkeypatch.setattr(paths, "exports", tmp_path / "exports")
    with pytest.raises(LedgerError, match="the export process failed: exit code 1"):
        export_trial(ledger, paths, damaged, tmp_path / "new")


def test_what_can_come_back_is_told_from_what_cannot(
    exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A storage that has no trial at all is only away; a checkpoint that is gone is gone."""
    ledger, paths, view, (sound, _, lost) = exported
    assert Exports(ledger, paths, view.say).make([lost])[lost].lasting
    trials = paths.folder / "trials"
    trials.rename(paths.folder / "away")
    (paths.folder / "away" / "file").write_text("a file where a folder should be")
    monkeypatch.setattr(paths, "exports", paths.folder / "new")
    try:
        found = Exports(ledger, paths, view.say).make([sound, lost])
        assert not any(outcome.lasting or outcome.folder for outcome in found.values())
        trials.symlink_to(paths.folder / "away" / "file")  # it can't be read, whatever is there
        found = Exports(ledger, paths, view.say).make([sound])
        assert not any(outcome.lasting or outcome.folder for outcome in found.values())
        trials.unlink()
    finally:
        (paths.folder / "away").rename(trials)


def test_the_driver_and_its_delivery_make_an_export_once(
    exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both may ask for it at the same time."""
    ledger, paths, _, (sound, _, _) = exported
    monkeypatch.setattr(paths, "exports", tmp_path / "exports")
    lines: list[str] = []
    exports = Exports(ledger, paths, lines.append)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: exports.make([sound])[sound], range(2)))
    assert found[0] == found[1]
    assert [line for line in lines if line.startswith("exporting")] == lines[:1]


def test_an_export_under_way_can_be_stopped(
    exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that ends leaves no process behind; the export can be asked for again."""
    ledger, paths, _, (sound, _, _) = exported
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    slow.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(slow))
    monkeypatch.setattr(paths, "exports", tmp_path / "exports")
    started = threading.Event()
    exports = Exports(ledger, paths, lambda _: started.set())
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(exports.make, [sound])
        assert started.wait(20)
        while not future.done():
            exports.stop()
            time.sleep(0.1)
    assert future.result()[sound].problem.startswith("the export process failed")
    assert not future.result()[sound].lasting


def test_other_trainers_have_nothing_to_export(tmp_path: Path) -> None:
    """It is no mistake at the end of a search, and one when it is asked for."""
    ledger, paths, view = trained(tmp_path, SCRIPTED)
    Exports(ledger, paths, view.say).keep_best()
    assert not paths.exports.exists()
    with pytest.raises(LedgerError, match="trains no generator"):
        export_trial(ledger, paths, None, tmp_path / "new")
