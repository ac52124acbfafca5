"""Exported generators: complete, verified, and the same function as the network."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from synrep.config import DataConfig, GeneratorConfig, TrainConfig
from synrep.datasets.views import load_views
from synrep.errors import DamagedError, InputError
from synrep.evaluation.tables import BodyScale
from synrep.inference.export import PixelsToPose, export, torchscript_model
from synrep.inference.lifter import Lifter
from synrep.model.kcs import bone_lengths
from synrep.model.networks import Generator
from synrep.storage import Storage
from synrep.training.checkpoint import TrainingState, read_checkpoint, save_checkpoint
from synrep.training.loop import Training

if TYPE_CHECKING:
    from pathlib import Path

SMALL = {
    "iterations": 4,
    "batch_size": 16,
    "reports": 2,
    "generator": {"width": 24, "blocks": 1},
    "reprojection_network": {"width": 16},
    "critic": {"branch_width": 8},
    "evaluation": {"views": 64},
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a real training after its first report."""
    training = Training(TrainConfig.model_validate(SMALL), threads=1)
    training.advance()
    folder = tmp_path_factory.mktemp("checkpoints")
    ref = save_checkpoint(Storage.at(folder), training.state(), training.iteration)
    return folder / ref.file


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its export."""
    folder = tmp_path_factory.mktemp("exports") / "best"
    return export(checkpoint, folder, {"test/mpjpe_mm": 61.25})


@pytest.fixture(scope="module")
def session(exported: Path) -> onnxruntime.InferenceSession:
    """Its ONNX model, loaded."""
    return onnxruntime.InferenceSession(exported / "model.onnx")


def trained(**changes: Any) -> Lifter:
    """A generator with random weights and statistics."""
    config = TrainConfig.model_validate(SMALL | changes)
    torch.manual_seed(3)
    network = Generator(config.generator, config.data.joints)
    network.train()(torch.randn(64, config.data.joints, 2))
    return Lifter(
        config=config,
        weights={name: value.numpy() for name, value in network.state_dict().items()},
        body=BodyScale(bone_length_sum_mm=4000.0, scale_mm=500.0),
        best={},
    )


def pixels(frames: int, joints: int = 17) -> np.ndarray:
    """Random keypoints (F, J, 2) in a 1000-pixel image."""
    return np.random.default_rng(frames).uniform(0, 1000, (frames, joints, 2))


@pytest.mark.parametrize("frames", [1, 7])
def test_onnx_equals_torch(
    session: onnxruntime.InferenceSession, checkpoint: Path, frames: int
) -> None:
    """For any batch size, the graph computes what normalisation and network compute apart."""
    points = pixels(frames)
    radii, _ = session.run(None, {"keypoints_px": points.astype(np.float32)})
    assert np.abs(radii - Lifter.load(checkpoint).lift_radii(points)).max() < 1e-4


def seen_by(camera_px: float, frames: int) -> np.ndarray:
    """Poses (F, J, 2) of the built-in motion's test subjects in an image of that width."""
    views = load_views(DataConfig(), "test").evenly_spaced(frames)
    middle = np.random.default_rng(frames).uniform(0.3, 0.7, (len(views), 1, 2))
    return np.asarray(views.keypoints.double()) * camera_px * 0.15 + middle * camera_px


def load_torchscript(exported: Path) -> Any:
    """The exported TorchScript model, and what lies in its file beside it."""
    extra = {"joints": "", "skeleton": "", "frame": ""}
    jit: Any = torch.jit
    return jit.load(exported / "model.torchscript.pt", _extra_files=extra), extra


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("width_px", [64, 640, 1920, 7680])
@pytest.mark.parametrize("frames", [1, 2, 33, 257])
def test_all_forms_are_one_function(
    session: onnxruntime.InferenceSession,
    exported: Path,
    checkpoint: Path,
    width_px: int,
    frames: int,
) -> None:
    """PyTorch, ONNX and TorchScript agree to 1e-4 radii, for people in images of any size."""
    points = seen_by(width_px, frames)
    assert len(points) == frames
    expected = Lifter.load(checkpoint).lift_radii(points)
    assert np.abs(expected[..., 2]).max() > 0.01
    radii, pose_mm = session.run(None, {"keypoints_px": points.astype(np.float32)})
    scripted, scripted_mm = load_torchscript(exported)[0](torch.from_numpy(points).float())
    for found in (radii, scripted.numpy()):
        assert np.abs(found - expected).max() < 1e-4
    np.testing.assert_allclose(scripted_mm.numpy(), pose_mm, atol=0.1)


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")
def test_torchscript_names_its_joints(exported: Path) -> None:
    """A user of the file alone learns the order of the joints and the frame."""
    extra = load_torchscript(exported)[1]
    assert extra["joints"].decode().split(",")[9] == "Nose"
    assert extra["skeleton"] == b"human36m-17"
    assert b"y down" in extra["frame"]


def test_onnx_scales_to_the_training_bodies(
    session: onnxruntime.InferenceSession, checkpoint: Path
) -> None:
    """In millimetres the bones of each pose add up to the mean of the training poses."""
    _, pose_mm = session.run(None, {"keypoints_px": pixels(5).astype(np.float32)})
    source = Lifter.load(checkpoint)
    sums = bone_lengths(torch.from_numpy(pose_mm), source.skeleton).sum(-1).numpy()
    np.testing.assert_allclose(sums, source.body.bone_length_sum_mm, rtol=1e-5)
    assert 2000 < source.body.bone_length_sum_mm < 6000


def test_onnx_answers_a_point_without_nan(session: onnxruntime.InferenceSession) -> None:
    """All joints in one pixel have no size; the answer is still finite."""
    for output in session.run(None, {"keypoints_px": np.full((2, 17, 2), 500, np.float32)}):
        assert np.isfinite(output).all()


def test_onnx_names_its_joints(exported: Path) -> None:
    """A user of the file alone learns the order of the joints and the frame."""
    model = onnx.load(exported / "model.onnx")
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties["joints"].split(",")[9] == "Nose"
    assert "y down" in properties["frame"]


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("scale_ref", ["xy_radius", "radius_3d", "xy_fro"])
@pytest.mark.parametrize("lift", ["weak", "perspective"])
@pytest.mark.parametrize("joints", [17, 16])
def test_the_graph_normalises_as_the_training_does(scale_ref: str, lift: str, joints: int) -> None:
    """For every normalisation, lift and joint set, also as TorchScript."""
    jit: Any = torch.jit
    source = trained(
        data={"scale_ref": scale_ref, "joints": joints},
        generator={"width": 16, "blocks": 1, "lift": lift},
    )
    points = pixels(3, joints)
    with torch.no_grad():
        radii, _ = PixelsToPose(source).eval()(torch.from_numpy(points).float())
    np.testing.assert_allclose(radii.numpy(), source.lift_radii(points), atol=1e-5)
    scripted, _ = jit.load(io.BytesIO(torchscript_model(source)))(torch.from_numpy(points).float())
    np.testing.assert_allclose(scripted.numpy(), source.lift_radii(points), atol=1e-5)


def test_folder_holds_numbers_with_their_meaning(exported: Path) -> None:
    """Numbers come with scale, alignment, joints, views and seed, in the file and in words."""
    names = {path.name for path in exported.iterdir()}
    assert names == {
        *("generator.safetensors", "config.json", "model.onnx", "metrics.json", "README.md"),
        "model.torchscript.pt",
    }
    numbers = json.loads((exported / "metrics.json").read_text())
    assert (numbers["scale"], numbers["alignment"]) == ("gt_xy", "similarity")
    assert numbers["skeleton"] == "human36m-17"
    assert (numbers["validation_views"], numbers["seed"]) == (64, 0)
    assert numbers["metrics"] == {"test/mpjpe_mm": 61.25}
    assert numbers["best"]["iteration"] == 2
    readme = (exported / "README.md").read_text()
    for words in ("GT-scaled", "joints human36m-17", "seed 0", "64 views"):
        assert words in readme
    assert "| test/mpjpe_mm | 61.25 |" in readme


@pytest.mark.parametrize(
    ("lift", "said"),
    [("weak", "in use as in training"), ("perspective", "`synrep lift` have none")],
)
def test_readme_says_what_the_errors_took_from_the_truth(
    lift: str, said: str, tmp_path: Path
) -> None:
    """The scale, and for the perspective lift the ray of the true root."""
    training = Training(
        TrainConfig.model_validate(SMALL | {"generator": {"width": 8, "lift": lift}}), threads=1
    )
    training.advance()
    ref = save_checkpoint(Storage.at(tmp_path), training.state(), training.iteration)
    readme = (export(tmp_path / ref.file, tmp_path / "best") / "README.md").read_text()
    assert f"- Lift `{lift}`: " in readme
    assert said in readme
    assert "(GT-scaled), which takes the truth: not known in use." in readme


def test_export_reads_back(exported: Path, checkpoint: Path) -> None:
    """An exported folder is the same generator as the checkpoint it came from."""
    first, second = Lifter.load(checkpoint), Lifter.load(exported)
    assert first.config == second.config
    assert first.body == second.body
    assert first.best == second.best
    np.testing.assert_array_equal(first.lift_radii(pixels(3)), second.lift_radii(pixels(3)))


def test_altered_weights_are_refused(exported: Path, tmp_path: Path) -> None:
    """One changed byte of the weights is noticed."""
    for name in ("config.json", "generator.safetensors"):
        (tmp_path / name).write_bytes((exported / name).read_bytes())
    weights = bytearray((tmp_path / "generator.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "generator.safetensors").write_bytes(weights)
    with pytest.raises(DamagedError, match="checksum"):
        Lifter.load(tmp_path)


def test_best_generator_is_taken(tmp_path: Path) -> None:
    """A checkpoint made after the best report still gives the best generator."""
    config = TrainConfig(generator=GeneratorConfig(width=8, blocks=1))
    network = Generator(config.generator, 17).state_dict()
    last = {f"generator.{name}": np.asarray(value) for name, value in network.items()}
    best = {f"best.{name}": np.asarray(value + 1) for name, value in last.items()}
    meta = {
        "config": config.model_dump(mode="json"),
        "best": {"value": 50.0, "iteration": 10},
        "bone_length_sum_mm": 4000.0,
        "scale_mm": 500.0,
    }
    state = TrainingState(arrays=last | best, meta=meta)
    ref = save_checkpoint(Storage.at(tmp_path), state, 20)
    weights = Lifter.load(tmp_path / ref.file).weights
    name = "network.2.bias"
    np.testing.assert_array_equal(weights[name], last[f"generator.{name}"] + 1)


def test_existing_folder_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    """Nothing is overwritten."""
    with pytest.raises(InputError, match="exists already"):
        export(checkpoint, tmp_path)


def test_failed_export_leaves_nothing(checkpoint: Path, tmp_path: Path) -> None:
    """A folder appears whole or not at all: here the weights do not fit their configuration."""
    state = read_checkpoint(checkpoint)
    state.meta["config"]["generator"]["width"] += 1
    ref = save_checkpoint(Storage.at(tmp_path / "damaged"), state, 0)
    with pytest.raises(InputError, match="weights and configuration differ"):
        export(tmp_path / "damaged" / ref.file, tmp_path / "exports" / "best")
    assert list((tmp_path / "exports").iterdir()) == []


def test_metrics_are_numbers(checkpoint: Path, tmp_path: Path) -> None:
    """Anything else is refused by name, before anything is written."""
    with pytest.raises(InputError, match="metrics: errors"):
        export(checkpoint, tmp_path / "best", {"errors": {"walk": 1.0}})  # type: ignore[dict-item]
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_refused(tmp_path: Path) -> None:
    """What is no checkpoint or export is told as such, with its place."""
    with pytest.raises(InputError, match="no such checkpoint"):
        Lifter.load(tmp_path / "absent.safetensors")
    with pytest.raises(InputError, match="no exported generator: it needs config"):
        Lifter.load(tmp_path)
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(DamagedError, match="not a checkpoint"):
        Lifter.load(tmp_path / "text.safetensors")
