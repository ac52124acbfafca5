"""Poses without validation subjects: everything works, and nothing is chosen by training poses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner, Result

from synrep.cli.main import main
from synrep.config import DataConfig, TrainConfig
from synrep.datasets.store.store import write_store
from synrep.datasets.synthetic.generate import description, generate
from synrep.datasets.views import load_views
from synrep.inference.lifter import Lifter
from synrep.training.checkpoint import read_checkpoint
from synrep.training.fused.loop import FusedTraining
from synrep.training.loop import Training
from synrep.training.run_folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

SMALL = [
    "-o", "iterations=12", "-o", "reports=3", "-o", "batch_size=32", "-o", "generator.width=16",
    "-o", "reprojection_network.width=16", "-o", "critic.branch_width=8",
    "-o", "evaluation.views=100",
]  # fmt: skip


def synrep(*words: object) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def poses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of training and test subjects."""
    folder = tmp_path_factory.mktemp("stores") / "two-splits"
    splits = generate(0, 1.0)
    del splits["validation"]
    write_store(folder, description(), splits)
    return folder


@pytest.fixture(scope="module")
def run_folder(poses: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small training on it."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    result = synrep("train", "--out", folder, "--threads", 1, *SMALL, "-o", f"data.poses={poses}")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert "100 views of the training subjects" in lines[0]
    assert "training P1" in lines[1]
    assert "the last generator is the result" in lines[-2]
    return folder


def test_reports_are_of_training_subjects_and_say_so(run_folder: Path, poses: Path) -> None:
    """No error is called one of validation; the views are a fixed even sample of the training's."""
    log = [json.loads(line) for line in (run_folder / "log.jsonl").read_text().splitlines()]
    assert len(log) == 3
    for row in log:
        assert {"training/mpjpe_mm", "training/depth_spread"} <= set(row)
        assert not [name for name in row if name.startswith("validation/")]
    trained = Lifter.load(RunFolder(run_folder).newest())
    views = load_views(DataConfig(poses=str(poses)), "train").evenly_spaced(100)
    made = trained.network().lift(views.keypoints, views.ray).detach()
    errors = (made - views.poses).norm(dim=-1).mean(-1) * views.scale_mm
    assert log[-1]["training/mpjpe_mm"] == pytest.approx(float(errors.mean()), rel=1e-4)


def test_the_last_generator_is_the_result(run_folder: Path) -> None:
    """A checkpoint contains no best generator, whatever the errors on training poses."""
    file = RunFolder(run_folder).newest()
    state, trained = read_checkpoint(file), Lifter.load(file)
    assert state.meta["best"] is None
    assert trained.best == {}
    for name, value in trained.weights.items():
        np.testing.assert_array_equal(value, state.arrays[f"generator.{name}"])


def test_a_stopped_training_goes_on(run_folder: Path) -> None:
    """A damaged newest checkpoint costs one report, and the log ends the same."""
    before = (run_folder / "log.jsonl").read_text()
    newest = max((run_folder / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-1])
    result = synrep("train", "--out", run_folder, "--resume", "--threads", 1)
    assert result.exit_code == 0, result.output
    assert (run_folder / "log.jsonl").read_text() == before


def test_fused_trainings_choose_nothing_either(poses: Path) -> None:
    """A member reports the same errors as a single training, under the same names."""
    text = f"""{{"iterations": 4, "reports": 2, "batch_size": 32, "generator": {{"width": 16}},
        "reprojection_network": {{"width": 16}}, "critic": {{"branch_width": 8}},
        "evaluation": {{"views": 50}}, "data": {{"poses": {json.dumps(str(poses))}}}}}"""
    config = TrainConfig.model_validate_json(text)
    fused = FusedTraining(2, threads=1)
    slot = fused.join(config)
    (found,) = fused.advance().values()
    assert isinstance(found, dict)
    assert found == pytest.approx(Training(config, threads=1).advance(), rel=1e-3, abs=1e-6)
    assert "training/mpjpe_mm" in found
    assert fused.state(slot).meta["best"] is None


def test_evaluate_and_draw(run_folder: Path, tmp_path: Path) -> None:
    """On test subjects; validation subjects are told not to exist."""
    found = json.loads(synrep("evaluate", run_folder, "--references", "--json").stdout)
    assert found["best_on_validation"] == {}
    assert found["model"]["views"] == 4 * 480
    result = synrep("evaluate", run_folder, "--split", "validation")
    assert result.exit_code == 2
    assert "no split 'validation' (it has train, test" in result.output
    picture = tmp_path / "clip.png"
    result = synrep("draw", run_folder, "--action", "walk", "--out", picture)
    assert result.exit_code == 0, result.output
    assert picture.stat().st_size > 10_000


def test_export_and_lift(run_folder: Path, tmp_path: Path) -> None:
    """The exported generator is the last one, and lifts."""
    exported = tmp_path / "exported"
    result = synrep("export", run_folder, "--to", exported)
    assert result.exit_code == 0, result.output
    assert Lifter.load(exported).best == {}
    readme = (exported / "README.md").read_text()
    assert "best validation" not in readme
    assert "the last generator, chosen by nothing" in readme
    keypoints = tmp_path / "keypoints.json"
    keypoints.write_text(json.dumps([[[50 + n * 7 % 90, 50 + n * 11 % 70] for n in range(17)]] * 2))
    out = tmp_path / "poses.json"
    result = synrep("lift", exported, keypoints, "--skeleton", "human36m-17", "--out", out)
    assert result.exit_code == 0, result.output
    assert "2 poses" in result.output
