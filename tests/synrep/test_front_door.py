"""`import synrep`: what a program gets, and that it costs nothing until it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import synrep
from synrep.keypoint_sets import COCO_17
from synrep.training.checkpoint import newest_checkpoints
from synrep.training.run_folder import RunFolder

SMALL = {
    "reports": 3,
    "batch_size": 32,
    "generator.width": 16,
    "reprojection_network.width": 16,
    "critic.branch_width": 8,
    "evaluation.views": 100,
}
HEAVY = ["torch", "numpy", "pyarrow", "pydantic", "scipy", "matplotlib", "onnx", "click", "rich"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A small training in a folder."""
    place: Path = tmp_path_factory.mktemp("runs") / "first"
    synrep.train(synrep.configure(SMALL, iterations=12), out=place, threads=1)
    return place


@pytest.fixture(scope="module")
def reports() -> list[tuple[int, dict[str, float]]]:
    """What the same training in memory has reported."""
    return []


@pytest.fixture(scope="module")
def training(reports) -> synrep.Training:
    """The same training in memory."""

    def note(iteration: int, metrics: dict[str, float]) -> None:
        reports.append((iteration, metrics))

    return synrep.train(synrep.configure(SMALL, iterations=12), on_report=note, threads=1)


@pytest.fixture
def keypoints() -> np.ndarray:
    """Six poses of the built-in motion from the side, (6, 17, 2)."""
    joints = synrep.open_poses("synthetic").read("test").joints_mm[::500][:6]
    return np.stack([joints[..., 0], -joints[..., 2]], axis=-1)


def loaded_by(code: str) -> set[str]:
    """Heavy packages that are loaded after some code ran in a fresh process."""
    code = f"{code}\nimport sys\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    command = [sys.executable, "-c", code]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_importing_loads_nothing_heavy() -> None:
    """Also where its names are listed; a configuration loads pydantic alone."""
    assert loaded_by("import synrep; assert 'train' in dir(synrep)") == set()
    code = "import synrep; synrep.TrainConfig; synrep.configure(seed=1); synrep.InputError"
    assert loaded_by(code) == {"pydantic"}


def test_every_name_is_there() -> None:
    """And no other one."""
    assert set(synrep.__all__) < set(dir(synrep))
    for name in synrep.__all__:
        value = getattr(synrep, name)
        assert value.__name__ == name
        assert value.__doc__
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = synrep.trian  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "base",
    [
        {"iterations": 5, "generator": {"width": 8}},
        {"iterations": 5, "generator.width": 8},
        {"iterations": np.int64(5), "generator.width": np.float64(8).astype(int)},
        synrep.configure(iterations=5, **{"generator.width": 8}),
    ],
    ids=["nested", "dotted", "numpy", "configuration"],
)
def test_a_configuration_from_parts(base: Any) -> None:
    """Fields go before the base, and the rest is the paper's."""
    band = {"family": "band", "reach": 3}
    made = synrep.configure(base, seed=7, **{"data.poses": Path("a/b"), "kcs.weighting": band})
    assert (made.iterations, made.generator.width, made.seed) == (5, 8, 7)
    assert made.data.poses == "a/b"
    assert made.kcs.weighting.model_dump() == band
    assert made.generator.blocks == synrep.TrainConfig().generator.blocks
    assert synrep.configure(made, iterations=6).generator == made.generator
    assert synrep.configure() == synrep.TrainConfig()


def test_all_mistakes_of_a_configuration_come_at_once() -> None:
    """With the fields' names; and what is no value of any field is refused."""
    with pytest.raises(synrep.InputError) as caught:
        synrep.configure(iterations=0, **{"generator.wdith": 3, "optim.beta1": float("nan")})
    for part in ("configuration: ", "iterations: ", "did you mean generator.width?", "optim.beta1"):
        assert part in str(caught.value)
    with pytest.raises(synrep.InputError, match="nothing that a configuration can hold"):
        synrep.configure(seed=object())


def test_in_memory_is_as_in_a_folder(folder, training, reports) -> None:
    """The same reports and the same weights, bit for bit."""
    assert [iteration for iteration, _ in reports] == [4, 8, 12]
    assert reports[-1][1]["validation/mpjpe_mm"] >= training.best.value
    weights = [synrep.load_lifter(model).weights for model in (folder, training)]
    assert weights[0].keys() == weights[1].keys()
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_training_goes_on(tmp_path: Path, training) -> None:
    """It ends as one of the new length would; a folder holds one training."""
    seen: list[int] = []
    synrep.train(synrep.configure(SMALL, iterations=8, reports=2), out=tmp_path / "a", threads=1)
    made = synrep.resume(
        tmp_path / "a", iterations=12, on_report=lambda at, _: seen.append(at), threads=1
    )
    assert (seen[-1], made.iteration) == (12, 12)
    with pytest.raises(synrep.InputError, match="already contains a training"):
        synrep.train(training.config, out=tmp_path / "a")
    with pytest.raises(synrep.InputError, match="no training to resume"):
        synrep.resume(tmp_path / "b")
    with pytest.raises(synrep.InputError, match="device 'toaster'"):
        synrep.train(training.config, device="toaster")


def test_an_exception_of_the_callback_ends_a_training(tmp_path: Path) -> None:
    """The report that it was told of is kept, and `resume` goes on from there."""

    def stop(iteration: int, _metrics: dict[str, float]) -> None:
        raise StopIteration(iteration)

    with pytest.raises(StopIteration):
        synrep.train(
            synrep.configure(SMALL, iterations=12), out=tmp_path / "a", on_report=stop, threads=1
        )
    assert newest_checkpoints(RunFolder(tmp_path / "a").checkpoints)[0].startswith("00000004-")
    assert synrep.resume(tmp_path / "a", threads=1).iteration == 12


def test_a_score_is_the_same_however_a_model_is_named(folder, training) -> None:
    """Folder, text, checkpoint file, training in memory, lifter."""
    file = RunFolder(folder).newest()
    lifter = synrep.load_lifter(file)
    found = [synrep.evaluate(model) for model in (folder, str(folder), file, training, lifter)]
    assert all(one == found[0] for one in found)
    assert found[0]["split"] == "test"
    assert synrep.evaluate(lifter, "validation") != found[0]


def test_an_array_is_lifted(folder, keypoints) -> None:
    """Shape, units and size are as promised."""
    lifter = synrep.load_lifter(folder)
    lifted, radii = lifter.lift(keypoints), lifter.lift(keypoints, scale="radii")
    assert lifted.poses.shape == (6, 17, 3)
    assert (lifted.units, radii.units) == ("mm", "radii")
    np.testing.assert_array_equal(radii.poses, lifter.lift_radii(keypoints.astype(np.float64)))
    parents = np.array([max(0, parent) for parent in lifted.skeleton.parent_indices])
    bones = np.linalg.norm(lifted.poses - lifted.poses[:, parents], axis=-1).sum(-1)
    np.testing.assert_allclose(bones, lifter.body.bone_length_sum_mm, rtol=1e-4)
    np.testing.assert_allclose(lifter.lift(2 * keypoints + 9).poses, lifted.poses, atol=0.1)
    np.testing.assert_allclose(
        lifter.lift(keypoints[3].tolist()).poses, lifted.poses[3:4], atol=0.1
    )


def test_other_joints_are_converted(folder, keypoints) -> None:
    """By the name of their set; a wrong name or number of joints is told."""
    lifter = synrep.load_lifter(folder)
    coco = np.random.default_rng(0).normal(500, 100, (2, len(COCO_17.joints), 2))
    assert lifter.lift(coco, skeleton="coco-17").poses.shape == (2, 17, 3)
    with pytest.raises(synrep.InputError, match="unknown name 'cocoa'"):
        lifter.lift(coco, skeleton="cocoa")
    with pytest.raises(synrep.InputError, match=r"keypoints: its shape is \(6, 17, 2\) .*mpii-16"):
        lifter.lift(keypoints, skeleton="mpii-16")


def test_missing_joints(folder, keypoints) -> None:
    """NaN and no confidence are told by frame and joint, or their frames left out."""
    lifter = synrep.load_lifter(folder)
    keypoints[1, 3, 0] = np.nan
    with pytest.raises(synrep.InputError, match=r"frame 1: RFoot .*skip_missing_joints"):
        lifter.lift(keypoints)
    sure = np.concatenate([keypoints, np.ones((6, 17, 1))], axis=-1)
    sure[4, 0, 2] = 0
    lifted = lifter.lift(sure, skip_missing_joints=True)
    assert lifted.frames == (0, 2, 3, 5)
    assert lifted.left_out == {1: ["RFoot"], 4: ["Hip"]}
    np.testing.assert_allclose(
        lifted.poses, lifter.lift(keypoints[[0, 2, 3, 5]]).poses, rtol=0, atol=1e-3
    )


def test_a_training_in_memory_is_exported(training, keypoints, tmp_path: Path) -> None:
    """Its export lifts as it does."""
    folder = synrep.export(training, str(tmp_path / "best"), {"mine": 1.5})
    np.testing.assert_array_equal(
        synrep.load_lifter(folder).lift(keypoints).poses,
        synrep.load_lifter(training).lift(keypoints).poses,
    )
    with pytest.raises(synrep.InputError, match="exists already"):
        synrep.export(training, folder)
