"""The four layouts: numbers, names and splits, from the files to the views."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from synrep.config import DataConfig
from synrep.datasets.human36m import Human36MOptions, protocol, read_human36m
from synrep.datasets.store.store import PoseStore, write_store
from synrep.datasets.views import load_views
from synrep.errors import DamagedError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from synrep.datasets.store.poses import Poses

IDS = ("54138969", "55011271", "58860488", "60457274")
WRITERS = ["write_videopose3d", "write_martinez", "write_official"]


def read(folder: Path, **options: Any) -> tuple[Any, dict[Any, Poses], list[str]]:
    """All of a folder."""
    return read_human36m(folder, Human36MOptions(**options))


def rows_of(poses: Poses, clip: str) -> Poses:
    """The rows of one clip."""
    return poses.take(poses.clip == clip)


@pytest.mark.parametrize("writer", WRITERS)
def test_poses_are_in_the_frame_of_each_camera(studio, writer: str) -> None:
    """Joints, labels, frames and splits, against the studio's own cameras."""
    about, splits, notes = read(getattr(studio, writer)())
    assert about.frame == "camera"
    assert about.up == "-y"
    assert about.fps == 50
    assert {name: sorted(set(poses.subject)) for name, poses in splits.items()} == {
        "train": ["S1", "S5", "S6", "S7"],
        "validation": ["S8"],
        "test": ["S11", "S9"],
    }
    found = {(s, c.partition("/")[2].rpartition(".")[0]) for poses in splits.values()
             for s, c in zip(poses.subject, poses.clip, strict=True)}  # fmt: skip
    wanted = {(s, name.replace("TakingPhoto", "Photo")) for s, name in studio.recordings}
    assert found == wanted
    for split, subject, name, stored in (
        ("train", "S1", "TakingPhoto 1", "Photo 1"),
        ("train", "S1", "SittingDown", "SittingDown"),
        ("validation", "S8", "Walking 1", "Walking 1"),
        ("test", "S9", "Greeting", "Greeting"),
    ):
        for number, camera in enumerate(IDS):
            rows = rows_of(splits[split], f"{subject}/{stored}.{camera}")
            np.testing.assert_allclose(
                rows.joints_mm, studio.seen(subject, name, number)[0], atol=0.01
            )
            assert rows.frame.tolist() == list(range(len(rows)))
            assert set(rows.action) == {stored.split()[0]}
            assert rows.camera is not None
            assert set(rows.camera) == {camera}
    assert splits["test"].keypoints_px is None
    assert any(note.startswith("test: ") and "fewer than the nearest" in note for note in notes)


@pytest.mark.parametrize("writer", [*WRITERS, "write_mmpose"])
def test_views_of_the_store_are_the_projected_poses(
    studio, writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written, opened and normalised, keypoints are within 0.01 px of the test's projection."""
    monkeypatch.setenv("SYNREP_CACHE", str(tmp_path / "cache"))
    about, splits, _ = read(getattr(studio, writer)())
    store = write_store(tmp_path / "store", about, splits)
    views = load_views(DataConfig(poses=str(tmp_path / "store")), "test")
    poses = store.read("test")
    assert len(views) == len(poses)
    assert poses.camera is not None
    step = round(50 / about.fps)
    names = {(s, n): (s, n) for s, n in studio.recordings}
    for row in range(0, len(poses), 7):
        subject, _, rest = str(poses.clip[row]).partition("/")
        key = names[subject, rest.rpartition(".")[0]]
        camera = IDS.index(str(poses.camera[row]))
        _, pixels = studio.seen(*key, camera)
        wanted = pixels[poses.frame[row] * step]
        wanted = wanted - wanted[0]
        radius = np.linalg.norm(wanted[1:], axis=-1).mean()
        assert np.abs(views.keypoints[row].numpy() * radius - wanted).max() < 0.01


@pytest.mark.parametrize(("step", "fps"), [(5, 10), (1, 50)])
def test_mmpose_files_say_their_frame_rate(studio, step: int, fps: int) -> None:
    """Recordings and frames are parsed from image names; every fifth frame gives 10 fps."""
    about, splits, notes = read(studio.write_mmpose(step))
    assert about.fps == fps
    rows = rows_of(splits["test"], f"S9/WalkTogether 1.{IDS[2]}")
    seen = studio.seen("S9", "WalkTogether 1", 2)[0][::step]
    np.testing.assert_allclose(rows.joints_mm, seen, atol=0.01)
    assert rows.frame.tolist() == list(range(len(seen)))
    photo = rows_of(splits["train"], f"S1/Photo 1.{IDS[0]}")
    np.testing.assert_allclose(
        photo.joints_mm, studio.seen("S1", "TakingPhoto 1", 0)[0][::step], atol=0.01
    )
    assert sorted(splits) == ["test", "train", "validation"]
    assert any("10 frames per second" in note for note in notes) == (fps == 10)


def test_mmpose_rows_in_any_order(studio) -> None:
    """Shuffled rows come back in the order of clips and frames."""
    folder = studio.write_mmpose(1)
    path = folder / "annotation_body3d" / "fps50" / "h36m_test.npz"
    straight = read(folder)[1]["test"]
    with np.load(path) as file:
        arrays = dict(file)
    order = np.random.default_rng(0).permutation(len(arrays["S"]))
    np.savez(path, **{name: values[order] for name, values in arrays.items()})
    shuffled = read(folder)[1]["test"]
    for clip in set(straight.clip):
        np.testing.assert_array_equal(
            rows_of(straight, clip).joints_mm, rows_of(shuffled, clip).joints_mm
        )
        assert (np.diff(rows_of(shuffled, clip).frame) == 1).all()
    twice = {name: np.concatenate([values, values[:1]]) for name, values in arrays.items()}
    np.savez(path, **twice)
    with pytest.raises(DamagedError, match="an image name occurs twice"):
        read(folder)


def test_mmpose_faults_are_named(studio) -> None:
    """Root-relative poses, other images, a wrong folder, a missing file, detections."""
    folder = studio.write_mmpose(5)
    path = folder / "annotation_body3d" / "fps10" / "h36m_test.npz"
    with np.load(path) as file:
        arrays = dict(file)

    def fails(match: str, **changed: Any) -> None:
        np.savez(path, **(arrays | changed))
        with pytest.raises(InputError, match=match) as caught:
            read(folder)
        assert str(path) in str(caught.value)

    relative = arrays["S"].copy()
    relative[..., :3] -= relative[:, :1, :3]
    fails("px off its 2D joints", S=relative)
    fails("thighs are 4.3e.05 mm", S=arrays["S"] * 1000)
    fails("px off its 2D joints", S=arrays["S"][..., [0, 2, 1, 3]])
    fails("where .* is expected", S=arrays["S"][:, :16])
    fails("not one of Human3.6M", imgname=np.char.replace(arrays["imgname"], "S9", "S4"))
    fails("no image names", imgname=np.arange(len(arrays["S"])))
    with pytest.raises(InputError, match="contain no detections"):
        read(folder, keypoints="cpn")
    np.savez(path, **arrays)
    shutil.move(path.parent, path.parent.with_name("fps50"))
    with pytest.raises(DamagedError, match="the folder is named fps50"):
        read(folder)
    (path.parent.with_name("fps50") / "h36m_test.npz").unlink()
    with pytest.raises(InputError, match=r"h36m_test\.npz: there is no such file"):
        read(folder)


def test_one_layout_is_told_from_all_others(studio) -> None:
    """Nothing, packed archives, a mixture, a choice among them."""
    with pytest.raises(InputError, match="no such folder"):
        read(studio.folder / "nowhere")
    with pytest.raises(InputError, match="no known layout") as caught:
        read(studio.folder)
    for word in ("data_3d_h36m.npz", "3D_positions", "D3_Positions", "annotation_body3d/fps10"):
        assert word in str(caught.value)
    (studio.folder / "Poses_D3_Positions_S1.tgz").write_bytes(b"")
    with pytest.raises(InputError, match=r"unpack Poses_D3_Positions_S1\.tgz"):
        read(studio.folder)
    studio.write_videopose3d()
    studio.write_martinez()
    with pytest.raises(InputError, match=r"more than one layout: videopose3d in .*; martinez in "):
        read(studio.folder)
    notes = read(studio.folder, layout="martinez")[2]
    assert notes[0] == f"layout martinez in {studio.folder / 'h36m'}"
    with pytest.raises(InputError, match=r"looked for h36m_t\*\.npz in"):
        read(studio.folder, layout="mmpose")


def test_the_last_training_takes_s8(studio) -> None:
    """S8 joins the training split; there is no validation then, and a note says so."""
    _, splits, notes = read(studio.write_videopose3d(), train_on_s8=True)
    assert list(splits) == ["train", "test"]
    assert "S8" in splits["train"].subject
    assert "S8 is in training: there is no validation split" in notes


@pytest.mark.parametrize("writer", ["write_videopose3d", "write_official", "write_mmpose"])
def test_a_store_to_evaluate_on(studio, tmp_path: Path, writer: str) -> None:
    """S9 and S11 alone are enough for it; otherwise the error names the option."""
    for key in [key for key in studio.recordings if key[0] not in {"S9", "S11"}]:
        del studio.recordings[key]
    if writer == "write_mmpose":
        studio.recordings["S1", "Walking"] = studio.recordings["S9", "Greeting"]
    folder = getattr(studio, writer)()
    if writer == "write_mmpose":
        (folder / "annotation_body3d" / "fps10" / "h36m_train.npz").unlink()
    with pytest.raises(InputError) as refused:
        read(folder)
    assert writer == "write_mmpose" or "--test-only for a store to eval" in str(refused.value)
    about, splits, notes = read(folder, test_only=True)
    assert list(splits) == ["test"]
    assert set(splits["test"].subject) == {"S9", "S11"}
    assert not any(note.startswith("train") for note in notes)
    write_store(tmp_path / "store", about, splits)
    assert PoseStore.open(tmp_path / "store").subjects("test") == {"S9", "S11"}
    assert [c for c in PoseStore.open(tmp_path / "store").checks() if c.status == "failed"] == []


@pytest.mark.parametrize("writer", ["write_official", "write_mmpose"])
def test_damaged_recordings_can_be_left_out(studio, writer: str) -> None:
    """Those of S9 alone, by their full names."""
    studio.recordings["S9", "Waiting 1"] = studio.recordings["S9", "Greeting"]
    studio.recordings["S9", "Waiting"] = studio.recordings["S9", "Greeting"]
    folder = getattr(studio, writer)()
    kept = read(folder)[1]["test"]
    assert {"S9/Greeting.54138969", "S9/Waiting 1.54138969"} < set(kept.clip)
    poses = read(folder, drop_damaged=True)[1]["test"]
    assert {c for c in set(poses.clip) if "54138969" in c} == {
        "S9/WalkTogether 1.54138969", "S9/Waiting.54138969", "S11/Directions.54138969",
        "S11/Walking 1.54138969",
    }  # fmt: skip


def test_missing_subjects(studio) -> None:
    """One of several is a note; all of a split is an error."""
    del studio.recordings["S6", "Walking 1"]
    assert "no poses of S6" in read(studio.write_videopose3d())[2]
    del studio.recordings["S8", "Walking 1"]
    with pytest.raises(InputError, match="no poses of S8 for the split validation"):
        read(studio.write_videopose3d())
    assert "no poses of S6, S8" in read(studio.folder, train_on_s8=True)[2]


def test_published_counts_are_recognised(studio) -> None:
    """The note names the published count that the poses have."""
    _, splits, notes = read(studio.write_videopose3d())
    train = len(splits["train"]) + len(splits["validation"])
    assert f"train and validation: {train} poses, {1_559_752 - train} fewer than the nearest" in (
        " ".join(notes)
    )
    for count, words in ((543_344, "as in VideoPose3D"), (550_644, "all of S9 and S11")):
        note = protocol.count_notes({"test": count}, 50.0)[1]
        assert note == f"test: {count} poses, the published count ({note.split('(')[1]}"
        assert words in note
    assert (
        "5 more than the nearest published count, 548819"
        in (protocol.count_notes({"test": 548_824}, 50.0)[1])
    )
