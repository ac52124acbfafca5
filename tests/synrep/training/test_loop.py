"""The training loop: resuming, seeding, options and divergence checks."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import torch

from synrep.baselines.references import mean_depth
from synrep.config import TrainConfig, set_dotted
from synrep.datasets.views import load_views
from synrep.errors import Diverged, InputError
from synrep.evaluation.tables import errors
from synrep.storage import Storage
from synrep.training.checkpoint import load_checkpoint, save_checkpoint
from synrep.training.loop import Training, run

if TYPE_CHECKING:
    from pathlib import Path

    from synrep.training.checkpoint import TrainingState

SMALL: dict[str, Any] = {
    "iterations": 24,
    "reports": 4,
    "batch_size": 32,
    "generator.width": 24,
    "generator.dropout": 0.2,
    "reprojection_network.width": 24,
    "critic.branch_width": 16,
    "evaluation.views": 200,
}


def small(**options: Any) -> TrainConfig:
    """A configuration that trains in a moment; dots are written as two underscores."""
    content: dict[str, Any] = {}
    for key, value in (SMALL | {k.replace("__", "."): v for k, v in options.items()}).items():
        set_dotted(content, key, value)
    return TrainConfig.model_validate_json(json.dumps(content))


def train(
    config: TrainConfig, start: TrainingState | None = None
) -> tuple[list[dict[str, float]], TrainingState]:
    """All reports and the last state of a training."""
    training = Training(config, threads=1)
    if start is not None:
        training.restore(start)
    reports: list[dict[str, float]] = []

    def keep(metrics: dict[str, float], _state: object) -> None:
        reports.append(metrics)

    run(training, keep)
    return reports, training.state()


def assert_same(one: TrainingState, other: TrainingState) -> None:
    """Two states are equal to the last bit."""
    assert one.meta == other.meta
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        assert array.tobytes() == other.arrays[name].tobytes(), name


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"critic__steps": 2, "optim__ema": 0.9, "optim__decay": "linear"},
        {"critic__lipschitz": "spectral_norm", "reprojection": "separate"},
        {"critic__lipschitz": "weight_clipping", "reprojection": "none"},
    ],
)
def test_resumed_training_equals_uninterrupted(options: dict[str, Any], tmp_path: Path) -> None:
    """Resuming from a checkpoint gives bit-equal metrics and state."""
    config = small(**options)
    whole, end = train(config)
    first = Training(config, threads=1)
    seen = [first.advance(), first.advance()]
    storage = Storage.at(tmp_path)
    ref = save_checkpoint(storage, first.state(), first.iteration)
    rest, resumed_end = train(config, load_checkpoint(storage, ref))
    assert seen + rest == whole
    assert_same(resumed_end, end)


@pytest.mark.parametrize("options", [{}, {"critic__steps": 2, "optim__ema": 0.9}])
def test_a_pause_between_reports_changes_nothing(options: dict[str, Any], tmp_path: Path) -> None:
    """A training that pauses before every iteration gives the same bits."""
    config = small(**options)
    whole, end = train(config)
    storage, saved, found = Storage.at(tmp_path), None, []
    for _ in range(100):
        training = Training(config, threads=1)
        if saved is not None:
            training.restore(saved)
        if training.finished:
            break
        steps = iter([False, True])
        metrics = training.advance(lambda: next(steps))  # noqa: B023 - called at once
        found += [metrics] if metrics is not None else []
        ref = save_checkpoint(storage, training.state(), training.iteration)
        saved = load_checkpoint(storage, ref)
    assert found == whole
    assert_same(training.state(), end)


def test_same_seed_same_training_other_seed_another() -> None:
    """The result depends on the seed and on no global random state."""
    torch.manual_seed(1)
    one, _ = train(small(seed=3))
    torch.manual_seed(2)
    assert train(small(seed=3))[0] == one
    assert train(small(seed=4))[0] != one


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("loss__lambda_angle", 5.0),
        ("loss__lambda_reprojection", 1.0),
        ("loss__angle_norm", "xyz"),
        ("optim__lr_generator", 1e-3),
        ("optim__lr_reprojection", 1e-3),
        ("optim__lr_discriminator", 1e-3),
        ("optim__beta1", 0.5),
        ("optim__beta2", 0.99),
        ("optim__decay", "exponential"),
        ("optim__clip_grad_norm", 1e-3),
        ("optim__ema", 0.9),
        ("kcs__weighting", {"family": "band", "reach": 1}),
        ("kcs__floor", 0.5),
        ("kcs__diagonal", 3.0),
        ("kcs__entries", "upper"),
        ("kcs__cosine", True),
        ("kcs__rescale", True),
        ("critic__steps", 2),
        ("critic__gp_weight", 1.0),
        ("critic__gp_inputs", "pose+features"),
        ("critic__head", "linear"),
        ("critic__lipschitz", "none"),
        ("critic__branch_width", 17),
        ("generator__batch_norm", False),
        ("generator__slope", 0.2),
        ("generator__dropout", 0.0),
        ("generator__init", "kaiming"),
        ("generator__output_gain", 1.0),
        ("generator__blocks", 1),
        ("generator__lift", "perspective"),
        ("reprojection", "separate"),
        ("reprojection", "none"),
        ("reprojection_network__blocks", 2),
        ("data__joints", 16),
        ("data__input_2d", "orthographic"),
        ("data__noise_px", 5.0),
        ("data__scale_ref", "radius_3d"),
        ("data__scale_ref", "xy_fro"),
        ("data__pair_real", False),
        ("data__unpaired_split", True),
        ("data__train_stride", 5),
        ("data__test_stride", 5),
        ("data__cameras", 2),
        ("data__camera_seed", 1),
        ("evaluation__scale", "bone_length"),
        ("evaluation__scale", "constant"),
        ("evaluation__scale", "nmpjpe"),
        ("evaluation__alignment", "rigid"),
        ("batch_size", 16),
    ],
)
def test_every_option_reaches_the_training(key: str, value: Any) -> None:
    """Changing any single field changes the numbers: none is accepted and then ignored."""
    short = {"iterations": 6, "reports": 2}
    assert train(small(**short, **{key: value}))[0] != train(small(**short))[0]


def test_nan_ends_the_training_as_diverged() -> None:
    """A far too high learning rate raises Diverged at the next report, with the cause."""
    with pytest.raises(Diverged, match=r"at iteration 6: .+"):
        train(small(optim__lr_generator=1e12, optim__lr_discriminator=1e12))


def test_exploding_critic_ends_the_training() -> None:
    """A critic loss above `guard.critic_limit` raises Diverged."""
    with pytest.raises(Diverged, match="critic exploded"):
        train(small(guard__critic_limit=1e-9))


def test_collapsed_depths_end_the_training() -> None:
    """Depths that stay at 0 count as collapsed after `guard.collapse_after` iterations."""
    config = small(guard__collapse_after=6, generator__output_gain=1e-9, optim__lr_generator=1e-12)
    with pytest.raises(Diverged, match="depths collapsed"):
        train(config)


def test_state_of_another_configuration_is_refused() -> None:
    """A checkpoint can't be loaded into a training with a different configuration."""
    _, state = train(small())
    with pytest.raises(InputError, match="differs in loss"):
        Training(small(loss__lambda_angle=2.0)).restore(state)


def test_longer_training_goes_on_from_a_shorter_one() -> None:
    """Extending a finished training gives the same result as one of the new length."""
    _, state = train(small())
    longer = small(iterations=48, reports=8)
    rest, end = train(longer, state)
    whole, whole_end = train(longer)
    assert whole[4:] == rest
    assert_same(end, whole_end)


def test_batch_larger_than_the_data_is_refused() -> None:
    """The message names the field and the number of views there are."""
    with pytest.raises(InputError, match=r"batch_size: 10000000 is more than the \d+ views"):
        train(small(batch_size=10_000_000))


def test_biases_without_effect_stay_at_zero() -> None:
    """Batch normalisation cancels them; rounding in their gradient must not move them."""
    _, state = train(small())
    assert not state.arrays["generator.network.0.0.bias"].any()
    assert state.arrays["generator.network.3.bias"].any()
    _, state = train(small(generator__batch_norm=False))
    assert state.arrays["generator.network.0.0.bias"].any()


def test_best_generator_is_kept() -> None:
    """The state holds the weights of the report with the lowest error on validation subjects."""
    reports, state = train(small())
    errors = [report["validation/mpjpe_mm"] for report in reports]
    best = errors.index(min(errors))
    assert state.meta["best"] == {"value": min(errors), "iteration": 6 * (best + 1)}
    assert "best.generator.network.0.0.weight" in state.arrays


@pytest.mark.skipif("SYNREP_DATA" not in os.environ, reason="SYNREP_DATA names no real poses")
def test_real_poses_are_learnt() -> None:
    """A few seconds on real motion capture beat the mean depth of each joint by 10 %."""
    config = small(
        iterations=600,
        reports=2,
        batch_size=64,
        generator__width=64,
        generator__dropout=0.0,
        reprojection_network__width=64,
        critic__branch_width=32,
        optim__lr_generator=3e-4,
        optim__lr_reprojection=3e-4,
        optim__lr_discriminator=3e-4,
        data__poses=os.environ["SYNREP_DATA"],
    )
    training = Training(config, threads=1)
    known = mean_depth(load_views(config.data, "train"), training.validation)
    bar = errors(known, training.validation, config.evaluation, training.body)["mpjpe_mm"].mean()
    reports, _ = train(config)
    assert reports[-1]["validation/mpjpe_mm"] < 0.9 * float(bar)
