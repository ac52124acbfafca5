"""Baselines as trainers of a search: found by name, searched, stopped and resumed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from synrep_search.messages import TrialJob, TrialReport
from synrep_search.trainers import TRAINERS
from synrep_search.workers.attempt import Attempt

from synrep.baselines.config import KudoConfig, RepNetConfig
from synrep.baselines.kudo import KudoTraining
from synrep.baselines.predict import predict_poses
from synrep.baselines.repnet import RepNetTraining
from synrep.config import DataConfig
from synrep.datasets.views import load_views
from synrep.storage import Storage
from synrep.training.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

TRAINED = {
    "repnet": {"width": 16, "pose_width": 8, "kcs_width": 8},
    "kudo": {"width": 16},
}
COMMON = {"iterations": 8, "reports": 4, "batch_size": 16, "evaluation": {"views": 64}}
FILE = """\
name: small
trainer: {trainer}
train: {{iterations: 8, reports: 2, batch_size: 16, width: 16, evaluation.views: 64}}
space: {{learning_rate: {{log: [1.0e-4, 1.0e-3]}}, slope: {{float: [0, 0.3]}}}}
search: {{minimize: validation/mpjpe_mm, trials: 2}}
"""
both = pytest.mark.parametrize("name", TRAINED)


def attempt(name: str, folder: Path, report: TrialReport | None = None) -> list[TrialReport]:
    """Reports of an attempt at a trial, from a report's checkpoint or from the start."""
    job = TrialJob(
        number=0,
        attempt=1,
        trainer=name,
        config={**COMMON, **TRAINED[name], "seed": 7},
        checkpoints=str(folder),
        resume_from=() if report is None or report.checkpoint is None else (report.checkpoint,),
    )
    trial, found = Attempt(job, "cpu", 1), []
    while not (found and found[-1].ended):
        found.append(trial.advance())
    return found


def test_names_lead_to_configurations_and_trainings() -> None:
    """And nothing that is held fixed is missing from the configuration."""
    wanted = {"repnet": (RepNetConfig, RepNetTraining), "kudo": (KudoConfig, KudoTraining)}
    for name, (config, training) in wanted.items():
        assert TRAINERS[name].config_model() is config
        assert TRAINERS[name].training_class() is training
        for field in TRAINERS[name].unsearchable:
            section, _, rest = field.partition(".")
            assert section in config.model_fields
            assert not rest or rest in DataConfig.model_fields


@both
def test_a_search_of_two_trials(run: Callable[..., Result], name: str) -> None:
    """It ends with the better of both, and scores as the model's would."""
    Path("file.yaml").write_text(FILE.format(trainer=name))
    result = run("launch", "file.yaml", "--local", "--yes")
    assert result.exit_code == 0, result.output
    found = json.loads(run("status", "small", "--json").output)
    assert (found["state"], found["trials"]["completed"]) == ("finished", 2)
    assert 20 < found["best"]["value"] < 2000
    assert set(found["best"]["params"]) == {"learning_rate", "slope"}


@both
@pytest.mark.parametrize(
    ("space", "reason"),
    [
        ("baseline: {choice: [repnet, kudo]}", "it identifies the baseline"),
        ("data.pair_real: {choice: [true, false]}", "the 2D pose of a real 3D pose"),
        ("evaluation.views: {int: [10, 20]}", "how the goal is measured"),
    ],
)
def test_what_cannot_be_searched(
    run: Callable[..., Result], name: str, space: str, reason: str
) -> None:
    """Is refused with the reason, before anything is written."""
    Path("file.yaml").write_text(f"trainer: {name}\nspace: {{{space}}}\n")
    result = run("launch", "file.yaml", "--local", "--yes")
    assert result.exit_code == 2
    assert reason in " ".join(result.output.split())
    assert not Path("searches").exists()


@both
def test_a_trial_resumes(name: str, tmp_path: Path) -> None:
    """Going on from its third report, it ends with the same bits; every goal is reported.

    Its last checkpoint is enough to lift the views of the test split.
    """
    whole = attempt(name, tmp_path)
    assert [report.ended for report in whole] == ["", "", "", "completed"]
    goals = {goal for goal in TRAINERS[name].goals if goal.startswith("validation/")}
    assert goals <= set(whole[0].metrics)
    (last,) = attempt(name, tmp_path, whole[2])
    assert last.metrics == whole[3].metrics
    assert last.checkpoint == whole[3].checkpoint
    assert last.checkpoint is not None
    state = load_checkpoint(Storage.at(tmp_path), last.checkpoint)
    views = load_views(DataConfig(), "test").evenly_spaced(20)
    assert predict_poses(state, views).shape == (20, 17, 3)


def test_configurations_load_no_torch() -> None:
    """A search file that trains a baseline is read without it."""
    code = "import sys, synrep.baselines.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
