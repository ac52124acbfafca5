"""`synrep evaluate`: the scores, what qualifies them, baselines, and other poses."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from synrep.baselines.config import KudoConfig, RepNetConfig, SupervisedConfig
from synrep.baselines.kudo import KudoTraining
from synrep.baselines.predict import predict_poses
from synrep.baselines.repnet import RepNetTraining
from synrep.baselines.supervised import SupervisedTraining
from synrep.cli.main import main
from synrep.config import DataConfig, EvaluationConfig, TrainConfig
from synrep.datasets.store.store import write_store
from synrep.datasets.synthetic.generate import description, generate
from synrep.datasets.views import load_views
from synrep.errors import InputError
from synrep.evaluation.tables import BodyScale, score
from synrep.inference.lifter import Lifter
from synrep.storage import Storage
from synrep.training.checkpoint import save_checkpoint
from synrep.training.loop import Training

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SCORED = [10, 8, 14, 15, 16, 11, 12, 13, 1, 2, 3, 4, 5, 6]
"""Human3.6M's numbers of the 14 joints: no pelvis, spine and nose."""
COMMON: dict[str, Any] = {
    "seed": 3,
    "iterations": 2,
    "reports": 1,
    "batch_size": 16,
    "data": DataConfig(cameras=1),
    "evaluation": EvaluationConfig(views=64),
}
BASELINES = {
    "repnet": (RepNetTraining, RepNetConfig(**COMMON, width=16, pose_width=8, kcs_width=8)),
    "kudo": (KudoTraining, KudoConfig(**COMMON, width=16)),
    "supervised": (SupervisedTraining, SupervisedConfig(**COMMON)),
}


def evaluate(*words: object) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["evaluate", *map(str, words)])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a training that has seen almost nothing."""
    return saved(Training(TrainConfig(**COMMON), threads=1), tmp_path_factory.mktemp("run"))


def saved(training: Training, folder: Path) -> Path:
    """A checkpoint file of a training after its first report."""
    training.advance()
    ref = save_checkpoint(Storage.at(folder), training.state(), training.iteration)
    return folder / ref.file


def official(made: NDArray[np.float64], true: NDArray[np.float64]) -> tuple[float, float]:
    """3DPCK and AUC in percent, from the definition: every joint has the same weight."""
    off = (made - made[:, :1] - true + true[:, :1])[:, SCORED]
    errors = np.sqrt((off**2).sum(-1)).reshape(-1)
    shares = [100 * float((errors < limit).mean()) for limit in range(0, 151, 5)]
    return shares[-1], sum(shares) / len(shares)


def test_scores_of_3dhp_follow_the_official_rule() -> None:
    """Strictly below 150 mm, over 14 joints, each pose relative to its pelvis."""
    views = load_views(DataConfig(), "validation").evenly_spaced(300)
    made = views.poses * torch.tensor([1.3, 0.8, 0.2]) + 0.1
    body = BodyScale(bone_length_sum_mm=4000.0, scale_mm=300.0)
    row = score(made, views, EvaluationConfig(), body)["errors"]["mean of frames"]
    scale = views.scale_mm[:, None, None].double().numpy()
    pck, auc = official(made.double().numpy() * scale, views.poses.double().numpy() * scale)
    assert 20 < pck < 99
    assert row["pck"] == pytest.approx(pck, abs=0.02)
    assert row["auc"] == pytest.approx(auc, abs=0.02)


def test_table_and_json_have_the_same_scores(checkpoint: Path) -> None:
    """3DPCK and AUC stand beside the errors, with their threshold and joints."""
    found = json.loads(evaluate(checkpoint, "--json").output)
    row = found["model"]["errors"]["mean of frames"]
    shown = evaluate(checkpoint).output
    line = next(line for line in shown.splitlines() if "mean of frames" in line)
    cells = [cell.strip() for cell in line.split("│")]
    assert cells[2] == f"{row['mpjpe_mm']:.1f}"
    assert cells[-3:-1] == [f"{row['pck']:.1f}", f"{row['auc']:.1f}"]
    assert "3DPCK at 150 mm" in shown
    assert "14 joints" in shown


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_are_scored(name: str, tmp_path: Path) -> None:
    """By their own networks, under the same measures."""
    kind, config = BASELINES[name]
    training: Training = kind(config, threads=1)  # type: ignore[arg-type]
    file = saved(training, tmp_path)
    found = json.loads(evaluate(file, "--json").output)
    assert (found["trainer"], found["seed"]) == (name, 3)
    views = load_views(config.data, "test")
    made = predict_poses(training, views)
    errors = (made - views.poses).norm(dim=-1).mean(-1) * views.scale_mm
    error = found["model"]["errors"]["mean of frames"]["mpjpe_mm"]
    assert error == pytest.approx(float(errors.mean()), rel=1e-5)
    refused = evaluate(file, "--references")
    assert refused.exit_code == 2
    assert "synrep reproduce benchmark" in refused.output
    with pytest.raises(InputError, match="is the training of a baseline"):
        Lifter.load(file)


def test_a_baseline_of_another_version_is_one_clear_error(tmp_path: Path) -> None:
    """Its configuration has a field that is unknown here."""
    training = KudoTraining(KudoConfig(**COMMON, width=16), threads=1)
    state = training.state()
    state.meta["config"]["breadth"] = 3
    ref = save_checkpoint(Storage.at(tmp_path), state, 1)
    result = evaluate(tmp_path / ref.file)
    assert result.exit_code == 2
    assert "not a checkpoint of this version" in result.output
    assert "Traceback" not in result.output


def test_transfer_and_damaged_views_are_told(checkpoint: Path, tmp_path: Path) -> None:
    """Which poses it was trained and tested on; views without a size, each before one camera."""
    splits = generate(1, 1.0)
    test = splits["test"]
    joints = test.joints_mm.copy()
    joints[5:8] = joints[5:8, :1]
    splits["test"] = dataclasses.replace(test, joints_mm=joints)
    write_store(tmp_path / "elsewhere", description(), splits)
    result = evaluate(checkpoint, "--poses", tmp_path / "elsewhere")
    assert result.exit_code == 0, result.output
    for words in (
        "synrep, seed 3, trained on synthetic",
        "tested on elsewhere: 480 views of the test subjects",
        "3 of these views are damaged",
    ):
        assert words in result.output
    found = json.loads(evaluate(checkpoint, "--poses", tmp_path / "elsewhere", "--json").output)
    assert found["trained_on"] == "synthetic"
    assert found["tested_on"] == str(tmp_path / "elsewhere")
    assert found["model"]["damaged_views"] == 3
    assert "damaged" not in evaluate(checkpoint).output
