"""Whatever the goal of a search: its exported weights are those that its numbers are of."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
import torch
from rich.console import Console
from synrep_search.durability.ledger import Ledger
from synrep_search.paths import SearchPaths, trial_folder
from synrep_search.search.loop import Search
from synrep_search.search_file import load_spec
from synrep_search.terminal.progress import ProgressDisplay
from synrep_search.tracking.exports import Exports
from synrep_search.trainers import TRAINERS
from synrep_search.workers.local import run

import synrep
from synrep.datasets.views import load_views
from synrep.evaluation.tables import errors, predict
from synrep.storage import Storage
from synrep.training.checkpoint import load_checkpoint, save_checkpoint
from synrep.training.fused import FusedTraining
from synrep.training.loop import Training
from synrep.training.protocol import Goal

if TYPE_CHECKING:
    from pathlib import Path

    from synrep_search.search_file import SearchSpec

GOALS = [
    *(("minimize", goal) for goal in TRAINERS["synrep"].goals if goal.startswith("validation/")),
    ("maximize", "validation/mpjpe_mm"),
]
TRAIN = {
    "iterations": 24, "reports": 12, "batch_size": 16, "generator.width": 16,
    "critic.branch_width": 16, "reprojection_network.width": 16, "evaluation.views": 64,
    "optim.lr_generator": 0.005,
}  # fmt: skip


def spec_of(direction: str, goal: str, fuse: str | int = "off") -> SearchSpec:
    """A search with that goal, whose errors go up and down."""
    return load_spec(
        {
            "name": "goal",
            "train": TRAIN,
            "space": {"loss.lambda_angle": {"log": [0.1, 1.0]}},
            "search": {direction: goal, "trials": 1},
            "resources": {"fuse": fuse},
        }
    )


def searched(home: Path, spec: SearchSpec) -> tuple[Ledger, SearchPaths]:
    """It, run to its end."""
    paths = SearchPaths(home, spec.name)
    paths.folder.mkdir()
    origin = {"id": "0", "code": "", "data": "", "created": ""}
    ledger = Ledger.create(paths.ledger_url(spec), spec, origin)
    run(Search(ledger, paths, ProgressDisplay(Console(file=io.StringIO()))))
    return ledger, paths


@pytest.mark.parametrize(("direction", "goal"), GOALS)
def test_numbers_are_of_the_exported_weights(direction: str, goal: str, tmp_path: Path) -> None:
    """Scoring the export on the same views gives what `metrics.json` says, and the ledger."""
    ledger, paths = searched(tmp_path, spec_of(direction, goal))
    Exports(ledger, paths, lambda _line: None).keep_best()
    found = json.loads((paths.best / "metrics.json").read_text(encoding="utf-8"))
    trial = ledger.index.first()
    assert trial is not None
    assert found["metrics"][goal] == found["best"]["value"] == trial.value
    assert found["metrics"]["iteration"] == found["best"]["iteration"] == trial.best_iteration
    scores = rescored(paths.best)
    told = {name: found["metrics"][f"validation/{name}"] for name in scores}
    assert told == pytest.approx(scores, rel=1e-4, abs=1e-4)
    header = json.loads((paths.best / "config.json").read_text(encoding="utf-8"))
    metric = goal.removeprefix("validation/")
    assert header["goal"] == {"metric": metric, "maximize": direction == "maximize"}
    assert f"best validation/{metric}" in (paths.best / "README.md").read_text(encoding="utf-8")


def rescored(folder: Path) -> dict[str, float]:
    """Errors of an export on the validation views of its training."""
    lifter = synrep.load_lifter(folder)
    config = lifter.config
    views = load_views(config.data, "validation").evenly_spaced(config.evaluation.views)
    with torch.no_grad():
        made = errors(predict(lifter.network(), views), views, config.evaluation, lifter.body)
    return {name: float(value.mean()) for name, value in made.items()}


def reports_of(training: Training) -> dict[int, dict[str, float]]:
    """All reports of a training by iteration."""
    found = {}
    while not training.finished:
        metrics = training.advance()
        assert metrics is not None
        found[training.iteration] = metrics
    return found


def test_goals_choose_different_iterations() -> None:
    """The test above would pass for any goal if all chose the same report."""
    config = synrep.configure(TRAIN)
    reports = reports_of(Training(config, threads=1))
    names = [goal for direction, goal in GOALS if direction == "minimize"]
    chosen = {name: min(reports, key=lambda at: reports[at][name]) for name in names}
    assert len(set(chosen.values())) > 1
    for name in names:
        goal = Goal(metric=name.removeprefix("validation/"))
        fused = FusedTraining(1, threads=1)
        number = fused.join(config, None, goal)
        while fused.advance():
            pass
        assert fused.state(number).meta["goal"]["metric"] == goal.metric
        alone = Training(config, threads=1, goal=goal)
        reports_of(alone)
        assert alone.best.iteration == chosen[name]
        assert alone.best.value == reports[chosen[name]][name]


def test_a_training_keeps_the_goal_that_it_began_with(tmp_path: Path) -> None:
    """A checkpoint of an earlier version has chosen by P1, whatever its search was for."""
    config = synrep.configure(TRAIN)
    training = Training(config, threads=1)
    training.advance()
    state = training.state()
    del state.meta["goal"]
    storage = Storage.at(tmp_path)
    saved = load_checkpoint(storage, save_checkpoint(storage, state, training.iteration))
    resumed = Training(config, threads=1, goal=Goal(metric="z_mm"))
    resumed.restore(saved)
    assert resumed.goal == Goal()
    reports = reports_of(resumed)
    values = {at: metrics["validation/mpjpe_mm"] for at, metrics in reports.items()}
    assert resumed.best.value == min(*values.values(), training.best.value)


def test_an_export_of_an_older_checkpoint_has_its_own_numbers(tmp_path: Path) -> None:
    """If the newest checkpoint is damaged, the numbers are of the one before it."""
    ledger, paths = searched(tmp_path, spec_of("maximize", "validation/z_mm"))
    trial = ledger.trial(0)
    newest = ledger.checkpoints(0)[0]
    file = paths.folder / trial_folder(0, trial.record.key) / newest.file
    file.write_bytes(b"damaged")
    Exports(ledger, paths, lambda _line: None).keep_best()
    found = json.loads((paths.best / "metrics.json").read_text(encoding="utf-8"))
    assert found["metrics"]["iteration"] == found["best"]["iteration"]
    assert found["metrics"]["validation/z_mm"] == found["best"]["value"]
