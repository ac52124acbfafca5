"""Fused training: each member gives the result of a single training, whatever the others do."""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from synrep.config import TrainConfig, set_dotted
from synrep.errors import Diverged, InputError
from synrep.training.fused import FusedTraining, fastest_capacity, fusion_key
from synrep.training.fused.capacity import _capacities
from synrep.training.loop import Training

if TYPE_CHECKING:
    from synrep.training.checkpoint import TrainingState

Reports = list[dict[str, float]]

SMALL: dict[str, Any] = {
    "iterations": 8,
    "reports": 2,
    "batch_size": 16,
    "generator.width": 24,
    "reprojection_network.width": 20,
    "critic.branch_width": 16,
    "evaluation.views": 100,
    "data.cameras": 1,
}

MEMBERS: list[dict[str, Any]] = [
    {"generator__dropout": 0.2},
    {
        "seed": 4,
        "loss__lambda_angle": 3.0,
        "critic__gp_weight": 3.0,
        "critic__clip": 0.02,
        "generator__slope": 0.2,
        "generator__init": "kaiming",
        "kcs__weighting": {"family": "band", "reach": 2},
        "optim__lr_generator": 1e-3,
        "reports": 4,
    },
    {
        "seed": 9,
        "iterations": 6,
        "optim__decay": "linear",
        "optim__ema": 0.9,
        "optim__clip_grad_norm": 0.01,
        "optim__lr_discriminator": 1e-3,
        "loss__lambda_reprojection": 0.5,
        "generator__dropout": 0.5,
        "generator__distance": 6.0,
        "generator__slope": 0.0,
        "kcs__diagonal": 2.0,
    },
]
"""Members that differ in all fields in which they may."""


def small(**options: Any) -> TrainConfig:
    """A configuration that trains in a moment; dots are written as two underscores."""
    content: dict[str, Any] = {}
    for key, value in (SMALL | {k.replace("__", "."): v for k, v in options.items()}).items():
        set_dotted(content, key, value)
    return TrainConfig.model_validate_json(json.dumps(content))


def alone(config: TrainConfig, dtype: torch.dtype = torch.float64) -> tuple[Reports, TrainingState]:
    """Return all reports and the final state of a configuration trained alone."""
    training = Training(config, threads=1, dtype=dtype)
    reports = []
    while not training.finished:
        reports.append(training.advance())
    return reports, training.state()


def together(
    configs: list[TrainConfig], dtype: torch.dtype = torch.float64
) -> list[tuple[Reports, TrainingState]]:
    """Return the same for each configuration, trained as members of one fused training."""
    fused = FusedTraining(len(configs), threads=1, dtype=dtype)
    numbers = [fused.join(config) for config in configs]
    reports = finish(fused)
    return [(reports[number], fused.state(number)) for number in numbers]


def finish(fused: FusedTraining) -> dict[int, Reports]:
    """Train all members to the end and return their reports by number."""
    reports: dict[int, Reports] = {number: [] for number in fused.numbers()}
    while found := fused.advance():
        for number, result in found.items():
            assert not isinstance(result, Diverged)
            reports[number].append(result)
    return reports


def assert_close(one: TrainingState, other: TrainingState, rtol: float) -> None:
    """Same names, types and shapes; values differ by rounding, relative to each array's largest."""
    assert one.meta | {"best": None} == other.meta | {"best": None}
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        assert array.dtype == other.arrays[name].dtype, name
        scale = max(float(np.abs(array).max()), 1e-6)
        np.testing.assert_allclose(other.arrays[name], array, 0, rtol * scale, err_msg=name)


def assert_same(one: TrainingState, other: TrainingState) -> None:
    """Equal to the last bit."""
    assert one.meta == other.meta
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        assert array.tobytes() == other.arrays[name].tobytes(), name


SHARED: list[dict[str, Any]] = [
    {},
    {"critic__steps": 2, "critic__head": "linear", "optim__beta1": 0.5},
    {"critic__lipschitz": "spectral_norm", "reprojection": "separate"},
    {"critic__lipschitz": "weight_clipping", "reprojection": "none"},
    {"critic__lipschitz": "none", "generator__blocks": 1, "data__joints": 16},
    {"critic__gp_inputs": "pose+features", "loss__angle_norm": "xyz"},
    {"kcs__cosine": True, "data__pair_real": False},
    {"kcs__entries": "upper", "kcs__rescale": True, "data__unpaired_split": True},
    {"generator__batch_norm": False, "generator__lift": "perspective"},
]
"""Options that members must share, each kind once."""
WIDE: dict[str, Any] = {
    "batch_size": 60,
    "generator__width": 128,
    "reprojection_network__width": 128,
    "critic__branch_width": 100,
}
"""Sizes large enough for other matrix product kernels."""


@pytest.mark.parametrize("shared", SHARED, ids=str)
def test_a_member_equals_the_training_alone(shared: dict[str, Any]) -> None:
    """Metrics, weights, moments and running statistics equal those of autograd, in float64."""
    configs = [small(**shared | member) for member in MEMBERS]
    assert len({fusion_key(config) for config in configs}) == 1
    for config, (reports, state) in zip(configs, together(configs), strict=True):
        expected, end = alone(config)
        assert_close(end, state, 1e-7)
        assert len(reports) == len(expected)
        for mine, other in zip(reports, expected, strict=True):
            assert mine == pytest.approx(other, rel=1e-6)


@pytest.mark.parametrize("shared", [*SHARED, WIDE], ids=str)
def test_a_single_member_rounds_as_several(shared: dict[str, Any]) -> None:
    """Reports and state are bit-equal in float32 with no, one or two other members."""
    configs = [small(**shared | member) for member in MEMBERS]
    for count in (2, 3):
        for config, found in zip(configs, together(configs[:count], torch.float32), strict=False):
            [(reports, state)] = together([config], torch.float32)
            assert found[0] == reports
            assert_same(found[1], state)


@pytest.mark.parametrize(
    ("dtype", "steps", "rtol"), [(torch.float64, 200, 1e-5), (torch.float32, 50, 1e-3)]
)
def test_many_steps_stay_together(dtype: torch.dtype, steps: int, rtol: float) -> None:
    """Rounding differences grow slowly, as between any two runs that round differently.

    In float64 all weights agree to 1e-5 after 200 steps. In float32 they agree to 1e-3 of the
    largest in their array after 50; after 200 single small biases are up to 6 % apart.
    """
    configs = [small(iterations=steps, reports=1, seed=seed, **MEMBERS[0]) for seed in (0, 1)]
    fused = together(configs, dtype)
    for config, (_, state) in zip(configs, fused, strict=True):
        end = alone(config, dtype)[1]
        for one in (end, state):
            one.arrays = {k: v for k, v in one.arrays.items() if not k.startswith("optim.")}
        assert_close(end, state, rtol)


def test_states_can_be_exchanged() -> None:
    """A member can resume from the state of a single training, and vice versa."""
    config = small(**MEMBERS[2])
    first = Training(config, threads=1, dtype=torch.float64)
    first.advance()
    fused = FusedTraining(2, threads=1, dtype=torch.float64)
    number = fused.join(config, first.state())
    assert fused.iteration(number) == first.iteration
    assert_same(fused.state(number), first.state())
    finish(fused)
    whole = alone(config)[1]
    assert_close(whole, fused.state(number), 1e-7)
    fused = FusedTraining(1, threads=1, dtype=torch.float64)
    number = fused.join(config)
    fused.advance()
    second = Training(config, threads=1, dtype=torch.float64)
    second.restore(fused.state(number))
    while not second.finished:
        second.advance()
    assert_close(whole, second.state(), 1e-7)


def test_a_paused_member_resumes_exactly() -> None:
    """A state saved between reports can be resumed as another member or a single training."""
    config = small(iterations=24, reports=6, generator__dropout=0.2)
    quiet = FusedTraining(2, threads=1)
    number = quiet.join(config)
    quiet.join(small(iterations=24, reports=6, seed=5))
    expected = finish(quiet)[number]
    steps = iter([False, False, True])
    first = FusedTraining(2, threads=1)
    late = first.join(config)
    first.join(small(iterations=24, reports=6, seed=6))
    assert first.advance(lambda: next(steps)) == {}
    assert first.iteration(late) == 2
    saved = first.state(late)
    second = FusedTraining(2, threads=1)
    second.join(small(iterations=24, reports=6, seed=5))
    second.advance()
    mine = second.join(config, saved)
    assert finish(second)[mine] == expected
    assert_same(second.state(mine), quiet.state(number))
    alone = Training(config, threads=1)
    alone.restore(saved)
    assert alone.advance() == pytest.approx(expected[0], rel=1e-3)


def test_joining_and_leaving_change_nothing_for_the_rest() -> None:
    """A member gives bit-equal results, whichever other members join and leave."""
    config = small(iterations=24, reports=6, generator__dropout=0.2)
    quiet = FusedTraining(4, threads=1)
    number = quiet.join(config)
    companion = quiet.join(small(iterations=24, reports=6, seed=5))
    expected = finish(quiet)[number]
    busy = FusedTraining(4, threads=1)
    numbers = [busy.join(small(iterations=24, reports=6, seed=seed)) for seed in (7, 8)]
    mine, found = busy.join(config), []
    other = busy.join(small(iterations=24, reports=6, seed=9, generator__slope=0.3))
    for leaving in (numbers[0], other, None):
        result = busy.advance()[mine]
        assert not isinstance(result, Diverged)
        found.append(result)
        if leaving is not None:
            busy.leave(leaving)
    assert busy.join(small(iterations=24, reports=6, seed=11)) == numbers[0]
    found += finish(busy)[mine]
    assert found == expected
    assert_same(busy.state(mine), quiet.state(number))
    assert quiet.finished(companion)


def test_nan_in_one_member_does_not_affect_the_others() -> None:
    """The member is removed with its error; the others are bit-equal to a run without it."""
    fine = [small(seed=seed) for seed in (1, 2)]
    bad = small(seed=3, optim__lr_generator=1e12, optim__lr_discriminator=1e12)
    expected = together([*fine, small(seed=3)], torch.float32)
    fused = FusedTraining(3, threads=1)
    numbers = [fused.join(config) for config in (fine[0], bad, fine[1])]
    first = fused.advance()
    ended = first[numbers[1]]
    assert isinstance(ended, Diverged)
    assert ended.iteration == 4
    assert fused.numbers() == [numbers[0], numbers[2]]
    finish(fused)
    for number, (_, state) in zip((numbers[0], numbers[2]), expected, strict=False):
        assert_same(fused.state(number), state)


def test_members_have_individual_report_schedules() -> None:
    """`advance` stops at the first report of any member and returns only reports reached."""
    fused = FusedTraining(2, threads=1)
    often, seldom = fused.join(small(iterations=8, reports=4)), fused.join(small(iterations=8))
    assert [set(fused.advance()) for _ in range(4)] == [
        {often}, {often, seldom}, {often}, {often, seldom},
    ]  # fmt: skip
    assert fused.finished(often)
    assert fused.finished(seldom)
    assert fused.advance() == {}


def test_what_cannot_be_fused_is_refused() -> None:
    """Other shapes, a full fused training, and the state of a different configuration."""
    fused = FusedTraining(2, threads=1)
    number = fused.join(small())
    with pytest.raises(InputError, match="fusion_key"):
        fused.join(small(generator__width=25))
    with pytest.raises(InputError, match="differs in loss"):
        fused.join(small(loss__lambda_angle=2.0), fused.state(number))
    fused.join(small(seed=1))
    with pytest.raises(InputError, match="all 2 slots are taken"):
        fused.join(small(seed=2))
    for taken in fused.numbers():
        fused.leave(taken)
    assert fused.join(small(generator__width=25)) == 0


def test_key_identifies_what_can_be_fused() -> None:
    """The key ignores fields that may differ between members, and depends on all others."""
    for member in MEMBERS:
        assert fusion_key(small(**member)) == fusion_key(small())
    for shared in SHARED[1:]:
        assert fusion_key(small(**shared)) != fusion_key(small())


def test_views_are_shared() -> None:
    """Members share one copy of the poses."""
    fused = FusedTraining(2, threads=1)
    fused.join(small())
    fused.join(small(seed=1))
    assert fused._gan is not None
    inputs, reals = fused._gan.training_data.inputs, fused._gan.training_data.reals
    assert inputs.poses.data_ptr() == reals.poses.data_ptr()
    assert not any(
        value.numel() > inputs.keypoints.numel()
        for member in fused._gan.members
        for value in vars(member).values()
        if isinstance(value, torch.Tensor)
    )


def test_fastest_capacity_is_one_that_was_tried() -> None:
    """The capacity is at most `most`, and small networks gain from fusing."""
    assert _capacities(1) == []
    assert _capacities(6) == [4, 6]
    assert _capacities(32) == [4, 16, 32]
    assert fastest_capacity(small(), most=1, threads=1) == 1
    assert fastest_capacity(small(), most=6, threads=1) in {4, 6}


@pytest.mark.skipif("SYNREP_DATA" not in os.environ, reason="SYNREP_DATA names no real poses")
def test_members_learn_on_real_poses() -> None:
    """On real motion capture every member lowers its error."""
    shared = {
        "iterations": 300,
        "batch_size": 64,
        "generator__width": 64,
        "reprojection_network__width": 64,
        "critic__branch_width": 32,
        "data__poses": os.environ["SYNREP_DATA"],
        "optim__lr_reprojection": 3e-4,
        "optim__lr_discriminator": 3e-4,
    }
    configs = [small(**shared, optim__lr_generator=rate) for rate in (3e-4, 1e-3)]
    for reports, _ in together(configs, torch.float32):
        errors = [report["validation/mpjpe_mm"] for report in reports]
        assert all(math.isfinite(error) for error in errors)
        assert errors[-1] < errors[0]
