"""Baselines as trainings: what a checkpoint carries, what a seed decides, what is learnt."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from pydantic import ValidationError

from synrep.baselines.config import KudoConfig, RepNetConfig
from synrep.baselines.kudo import KudoTraining
from synrep.baselines.predict import predict_poses
from synrep.baselines.references import mean_depth
from synrep.baselines.repnet import RepNetTraining
from synrep.config import DataConfig, TrainConfig, set_dotted
from synrep.datasets.views import load_views
from synrep.errors import Diverged, InputError
from synrep.evaluation.tables import errors, score
from synrep.storage import Storage
from synrep.training.checkpoint import load_checkpoint, save_checkpoint
from synrep.training.loop import Training, run

if TYPE_CHECKING:
    from pathlib import Path

    from synrep.baselines.training import BaselineTraining
    from synrep.training.checkpoint import TrainingState

SMALL: dict[str, dict[str, Any]] = {
    "repnet": {"width": 24, "pose_width": 16, "kcs_width": 16},
    "kudo": {"width": 24},
}
SHORT = {"iterations": 16, "reports": 4, "batch_size": 32, "evaluation.views": 200}
both = pytest.mark.parametrize("name", SMALL)


def make(name: str, **options: Any) -> BaselineTraining:
    """A baseline that trains in a moment; dots are written as two underscores."""
    content: dict[str, Any] = {}
    given = {key.replace("__", "."): value for key, value in options.items()}
    for key, value in (SHORT | SMALL[name] | given).items():
        set_dotted(content, key, value)
    text = json.dumps(content)
    if name == "repnet":
        return RepNetTraining(RepNetConfig.model_validate_json(text), threads=1)
    return KudoTraining(KudoConfig.model_validate_json(text), threads=1)


def finish(training: Training) -> list[dict[str, float]]:
    """All reports to the end."""
    reports = []
    while not training.finished:
        reports.append(training.advance())
    return reports


def assert_same(one: TrainingState, other: TrainingState) -> None:
    """Two states are equal to the last bit."""
    assert one.meta == other.meta
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        assert array.tobytes() == other.arrays[name].tobytes(), name


@both
def test_resumed_training_equals_uninterrupted(name: str, tmp_path: Path) -> None:
    """Stopping at a report and going on from its checkpoint changes no bit of metrics or state."""
    whole = make(name)
    reports = finish(whole)
    first = make(name)
    seen = [first.advance(), first.advance()]
    storage = Storage.at(tmp_path)
    ref = save_checkpoint(storage, first.state(), first.iteration)
    torch.manual_seed(5)
    second = make(name)
    second.restore(load_checkpoint(storage, ref))
    assert second.iteration == 8
    assert seen + finish(second) == reports
    assert_same(second.state(), whole.state())


@both
def test_same_seed_same_training_other_seed_another(name: str) -> None:
    """The seed decides everything, and nothing else does."""
    torch.manual_seed(1)
    one = finish(make(name, seed=3))
    torch.manual_seed(2)
    assert finish(make(name, seed=3)) == one
    assert finish(make(name, seed=4)) != one


OPTIONS: dict[str, list[tuple[str, Any]]] = {
    "repnet": [
        ("frame", "camera"),
        ("pose_blocks", 1),
        ("camera_blocks", 1),
        ("pose_width", 17),
        ("kcs_width", 17),
        ("slope", 0.2),
        ("beta1", 0.0),
        ("beta2", 0.99),
        ("drops", 0),
        ("gp_weight", 1.0),
        ("lambda_reprojection", 5.0),
        ("lambda_camera", 5.0),
    ],
    "kudo": [
        ("slope", 0.1),
        ("beta1", 0.0),
        ("beta2", 0.9),
        ("weight_decay", 1e-2),
        ("lambda_angle", 5.0),
        ("accuracy_cap", 0.51),
    ],
}
SHARED = [
    ("width", 25),
    ("learning_rate", 1e-3),
    ("batch_size", 16),
    ("data__joints", 16),
    ("data__noise_px", 5.0),
    ("data__unpaired_split", True),
    ("evaluation__scale", "bone_length"),
]


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [(name, *option) for name, options in OPTIONS.items() for option in [*options, *SHARED]],
)
def test_every_option_reaches_the_training(name: str, key: str, value: Any) -> None:
    """Changing any single field changes the numbers: none is accepted and then ignored."""
    short = {"iterations": 8, "reports": 2}
    assert finish(make(name, **short, **{key: value})) != finish(make(name, **short))


@both
@pytest.mark.parametrize(("key", "value"), [("pair_real", False), ("real_2d", "detected")])
def test_options_without_effect_are_refused(name: str, key: str, value: Any) -> None:
    """No baseline shows a critic the 2D pose of a real 3D pose."""
    with pytest.raises(ValidationError, match=f"{key} has no effect here"):
        make(name, **{f"data__{key}": value})


@both
def test_nan_ends_the_training_as_diverged(name: str) -> None:
    """A learning rate far too high is noticed at a report, with the cause."""
    with pytest.raises(Diverged, match=r"at iteration \d+: .+"):
        finish(make(name, learning_rate=1e18))


@both
def test_state_of_another_configuration_is_refused(name: str) -> None:
    """Nor that of the other baseline."""
    other = next(one for one in SMALL if one != name)
    with pytest.raises(InputError, match="differs in slope"):
        make(name, slope=0.5).restore(make(name).state())
    with pytest.raises(InputError, match="differs in baseline"):
        make(name).restore(make(other).state())


@both
def test_poses_of_the_best_report_are_predicted(name: str) -> None:
    """From the training and from its state alike, and they have the error of that report."""
    training = make(name)
    reports = finish(training)
    assert training.best.value == min(report["validation/mpjpe_mm"] for report in reports)
    with torch.no_grad():
        for weight in training.gan.networks["generator"].parameters():
            weight.zero_()
    views = training.validation
    poses = predict_poses(training, views)
    assert torch.equal(predict_poses(training.state(), views), poses)
    scored = score(poses, views, training.config.evaluation, training.body)
    row = scored["errors"]["mean of frames"]
    assert row["mpjpe_mm"] == pytest.approx(training.best.value, rel=1e-6)


@both
def test_poses_before_any_report(name: str) -> None:
    """The generator as it is, on views that no training has seen."""
    views = load_views(DataConfig(), "test").evenly_spaced(50)
    training = make(name)
    poses = predict_poses(training, views)
    assert poses.shape == views.poses.shape
    assert torch.equal(poses, training.gan.scored.lift(views.keypoints).detach())
    assert not poses[:, 0].any()


def test_other_states_and_views_are_refused() -> None:
    """The model's own state is none of a baseline; nor do 16 joints fit 17."""
    small = {"width": 8, "blocks": 1}
    config = {"batch_size": 8, "generator": small, "reprojection_network": small}
    model = Training(TrainConfig.model_validate(config), threads=1)
    with pytest.raises(
        InputError,
        match=r"does not belong to a baseline \(baselines are repnet, kudo, supervised\)",
    ):
        predict_poses(model.state(), model.validation)
    with pytest.raises(InputError, match="has 16 joints, the views have 17"):
        predict_poses(make("kudo", data__joints=16), model.validation)


@both
def test_the_loop_of_the_model_drives_a_baseline(name: str) -> None:
    """`synrep.training.loop.run` trains it to the end, with the metrics of the model."""
    training, seen = make(name), []

    def keep(metrics: dict[str, float], _state: object) -> Any:
        seen.append(metrics)

    run(training, keep)
    assert training.finished
    assert len(seen) == 4
    wanted = errors(
        training.validation.poses, training.validation, training.config.evaluation, training.body
    )
    assert {f"validation/{key}" for key in wanted} <= set(seen[0])


LEARNS: dict[str, dict[str, Any]] = {
    "repnet": {
        "iterations": 800,
        "pose_width": 48,
        "kcs_width": 64,
        "learning_rate": 2e-3,
        "drops": 0,
    },
    "kudo": {"iterations": 1000, "learning_rate": 5e-4},
}


@both
def test_built_in_motion_is_learnt(name: str) -> None:
    """Some hundred small updates beat the mean depth of each joint by 10 %."""
    size = {"width": 96, "batch_size": 64, "reports": 5}
    training = make(name, **size, **LEARNS[name], evaluation__views=1000)
    finish(training)
    config, views = training.config, training.validation
    known = mean_depth(load_views(config.data, "train"), views)
    bar = errors(known, views, config.evaluation, training.body)["mpjpe_mm"].mean()
    assert training.best.value < 0.9 * float(bar)
