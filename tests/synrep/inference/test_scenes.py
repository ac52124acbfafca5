"""What is drawn: lifted files, and clips of a pose store as a model lifts them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from synrep.config import TrainConfig
from synrep.datasets import open_poses
from synrep.datasets.store.header import Intrinsics
from synrep.datasets.store.store import Description, write_store
from synrep.errors import InputError
from synrep.inference.scenes import Choice, cut, draw_scene, lifted_scene, model_scene
from synrep.model.networks import Generator
from synrep.skeleton import HUMAN36M_17
from synrep.storage import Storage
from synrep.training.checkpoint import TrainingState, save_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def save_model(folder: Path, **data: Any) -> Path:
    """A checkpoint file of a small generator with random weights."""
    config = TrainConfig.model_validate({"generator": {"width": 8, "blocks": 1}, "data": data})
    torch.manual_seed(1)
    network = Generator(config.generator, config.data.joints).state_dict()
    state = TrainingState(
        arrays={f"generator.{name}": value.numpy() for name, value in network.items()},
        meta={
            "config": config.model_dump(mode="json"),
            "best": None,
            "bone_length_sum_mm": 4000.0,
            "scale_mm": 500.0,
        },
    )
    return folder / save_checkpoint(Storage.at(folder), state, 0).file


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the built-in motion."""
    return save_model(tmp_path_factory.mktemp("model"))


def distances(poses: NDArray[Any]) -> NDArray[np.float64]:
    """Distances between all joints (F, J, J), whatever the frame of reference."""
    apart = poses[:, :, None].astype(np.float64) - poses[:, None]
    return np.asarray(np.linalg.norm(apart, axis=-1))


@pytest.mark.parametrize("split", ["train", "test"])
def test_truth_is_the_clip_that_was_asked_for(model: Path, split: str) -> None:
    """Frame by frame the person of the store, before any camera; the prediction copies x and y."""
    stored = open_poses("synthetic").read(split)
    action, subject = str(stored.action[-1]), str(stored.subject[-1])
    fits = (stored.action == action) & (stored.subject == subject)
    clip = stored.take(stored.clip == stored.clip[np.argmax(fits)])
    seen = []
    for camera in (0, 3):
        choice = Choice(split=split, action=action, subject=subject, camera=camera)
        scene = model_scene(model, choice)
        assert scene.true is not None
        assert list(scene.frames) == clip.frame.tolist()
        assert scene.fps == stored.fps
        np.testing.assert_allclose(distances(scene.true), distances(clip.joints_mm), atol=0.1)
        planar = np.linalg.norm(scene.true[:, 1:, :2], axis=-1).mean(-1)
        np.testing.assert_allclose(
            scene.predicted[..., :2], scene.keypoints * planar[:, None, None], atol=0.1
        )
        for word in (action, subject, f"camera {camera}", "GT-scaled"):
            assert word in scene.note
        seen.append(scene.true)
    assert np.abs(seen[0] - seen[1]).max() > 100


def test_people_are_upright(model: Path) -> None:
    """In the camera's frame, y is down: heads are above feet."""
    scene = model_scene(model, Choice(action="walk"))
    head, foot = HUMAN36M_17.indices("Head", "LFoot")
    assert scene.true is not None
    for poses in (scene.keypoints, scene.predicted, scene.true):
        assert (poses[:, head, 1] < poses[:, foot, 1]).all()


def test_frames_between_are_those_of_the_views(tmp_path: Path) -> None:
    """A store that is tested at every fifth frame is drawn at a fifth of its speed."""
    whole = open_poses("synthetic")
    scene = model_scene(save_model(tmp_path, test_stride=5, joints=16), Choice(camera=1))
    assert scene.fps == whole.header.fps / 5
    assert list(scene.frames)[:3] == [0, 5, 10]
    stored = whole.read("test")
    clip = stored.take((stored.clip == stored.clip[0]) & (stored.frame % 5 == 0))
    assert scene.true is not None
    joints = clip.joints_mm[:, whole.skeleton.indices(*scene.skeleton.joints)]
    np.testing.assert_allclose(distances(scene.true), distances(joints), atol=0.1)


def test_recorded_cameras_show_their_own_poses(tmp_path: Path) -> None:
    """In a store in camera coordinates, a camera has a name and poses of its own."""
    some = open_poses("synthetic").read("test").take(slice(0, 12))
    turned = np.add(some.joints_mm[..., [1, 2, 0]] * [-1, -1, 1], [0, 900, 5000])
    poses = replace(
        some,
        joints_mm=(turned * np.linspace(0.95, 1.05, 12)[:, None, None]).astype(np.float32),
        camera=np.array(["east", "west"] * 6),
        subject=np.full(12, "anna"),
    )
    about = Description(
        name="recorded",
        skeleton="human36m-17",
        frame="camera",
        up="-y",
        fps=some.fps,
        licence="none",
        cameras={
            n: Intrinsics(focal_px=(1000, 1000), centre_px=(500, 500)) for n in ("east", "west")
        },
    )
    store = write_store(tmp_path / "store", about, {"test": poses})
    model = save_model(tmp_path, poses=str(store.folder))
    for camera, rows in enumerate((slice(0, 12, 2), slice(1, 12, 2))):
        scene = model_scene(model, Choice(camera=camera))
        assert scene.true is not None
        expected = poses.joints_mm[rows] - poses.joints_mm[rows][:, :1]
        np.testing.assert_allclose(scene.true, expected, atol=0.1)
    with pytest.raises(InputError, match=r"--camera: there is no 2 \(there are 0, 1\)"):
        model_scene(model, Choice(camera=2))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"action": "swim"}, r"--action: there is no 'swim' \(there are .*walk"),
        ({"subject": "nobody"}, "--subject: there is no 'nobody'"),
        ({"camera": 4}, r"--camera: there is no 4 \(there are 0, 1, 2, 3"),
        ({"split": "all"}, "no split 'all'"),
        ({"poses": "nowhere"}, "nowhere"),
    ],
)
def test_what_is_not_there_is_named(model: Path, choice: dict[str, Any], message: str) -> None:
    """With what there is."""
    with pytest.raises(InputError, match=message):
        model_scene(model, Choice(**choice))


def lifted_file(path: Path, **changes: Any) -> Path:
    """What a lifting leaves, written by hand; None leaves an array out."""
    poses = np.random.default_rng(2).uniform(-500, 500, (5, 17, 3)).astype(np.float32)
    arrays: dict[str, Any] = {
        "poses": poses,
        "keypoints_px": poses[..., :2].astype(np.float64),
        "frames": np.array([3, 4, 7, 8, 9]),
        "skeleton": "human36m-17",
        "units": "mm",
        "scale": "as tall as a house",
    }
    np.savez(path, **{name: v for name, v in (arrays | changes).items() if v is not None})
    return path


def test_a_lifted_file_is_drawn(tmp_path: Path) -> None:
    """Its numbers of frames, its unit and how it was scaled; no truth."""
    scene = lifted_scene(lifted_file(tmp_path / "a.npz"))
    assert (scene.true, scene.units, scene.keypoint_units) == (None, "mm", "px")
    assert scene.note == "scale: as tall as a house"
    some = cut(scene, 4, 3, fps=12.5)
    assert (some.frames, some.fps) == ([4, 7, 8], 12.5)
    np.testing.assert_array_equal(some.predicted, scene.predicted[1:4])
    with pytest.raises(InputError, match=r"--start: no frame 10 \(the last one is 9\)"):
        cut(scene, 10, 1)


@pytest.mark.parametrize(
    ("suffix", "format_name", "frames"), [(".png", "PNG", 1), (".gif", "GIF", 5)]
)
def test_the_suffix_says_the_kind(
    tmp_path: Path, suffix: str, format_name: str, frames: int
) -> None:
    """Pictures that others can open, in a folder that is made for them."""
    out = tmp_path / "new" / f"a{suffix}"
    draw_scene(lifted_scene(lifted_file(tmp_path / "a.npz")), out)
    with Image.open(out) as picture:
        assert picture.format == format_name
        assert getattr(picture, "n_frames", 1) == frames
        assert len(picture.convert("RGB").getcolors(10**6) or []) > 10


def test_other_kinds_are_refused(tmp_path: Path) -> None:
    """With those that there are."""
    scene = lifted_scene(lifted_file(tmp_path / "a.npz"))
    with pytest.raises(InputError, match=r"unknown kind of file \(use one of .png, .gif, .html\)"):
        draw_scene(scene, tmp_path / "a.mp4")
    assert not (tmp_path / "a.mp4").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames": None}, "no array 'frames'"),
        ({"poses": np.zeros((5, 16, 3))}, "do not fit together"),
        ({"poses": np.zeros((4, 17, 3))}, "do not fit together"),
        ({"frames": np.arange(0)}, "do not fit together"),
        ({"frames": np.int64(3)}, "do not fit together"),
        ({"skeleton": "spider"}, "unknown name 'spider'"),
        ({"poses": np.array([{}], object)}, "pickled values"),
    ],
)
def test_other_npz_files_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """One message that says what to give instead; pickles are never read."""
    with pytest.raises(InputError, match=message):
        lifted_scene(lifted_file(tmp_path / "a.npz", **changes))


def test_files_that_are_no_npz_are_refused(tmp_path: Path) -> None:
    """Also a broken archive."""
    path = lifted_file(tmp_path / "a.npz")
    for content in (b"text", path.read_bytes()[:200], b""):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"not a whole \.npz file"):
            lifted_scene(path)
