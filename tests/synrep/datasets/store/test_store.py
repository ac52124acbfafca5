"""Pose stores: what is written comes back, and every fault has one clear message."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from synrep.datasets.store.header import Intrinsics
from synrep.datasets.store.store import Description, Poses, PoseStore, StoreHeader, write_store
from synrep.errors import DamagedError, InputError
from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def three_splits(make_poses: Callable[..., Poses]) -> dict[Any, Poses]:
    """One subject for each split."""
    names = {"train": "anna", "validation": "bert", "test": "cleo"}
    return {split: make_poses(name) for split, name in names.items()}


def failed(store: PoseStore) -> list[str]:
    """Names of the checks that fail."""
    return [check.name for check in store.checks() if check.status == "failed"]


def test_what_is_written_is_read(
    tmp_path: Path, about: Description, make_poses: Callable[..., Poses]
) -> None:
    """Every column comes back equal, after opening the folder anew."""
    splits = three_splits(make_poses)
    write_store(tmp_path / "new" / "store", about, splits)
    store = PoseStore.open(tmp_path / "new" / "store")
    assert store.splits == ("train", "validation", "test")
    assert store.header.splits == {"train": 12, "validation": 12, "test": 12}
    poses = store.read("validation")
    for field in dataclasses.fields(Poses):
        np.testing.assert_array_equal(
            getattr(poses, field.name), getattr(splits["validation"], field.name)
        )
    assert poses.joints_mm.dtype == np.float32
    assert poses.frame.dtype == np.int32


def test_verify_passes_on_a_good_store(
    tmp_path: Path, about: Description, make_poses: Callable[..., Poses]
) -> None:
    """All checks pass, for every split and for the whole store."""
    store = write_store(tmp_path / "store", about, three_splits(make_poses))
    outcomes = store.verify()
    assert {check.status for check in outcomes} == {"passed"}
    assert {
        "checksum",
        "columns",
        "finite",
        "units",
        "up axis",
        "bone lengths",
        "knees",
        "nose",
    } <= {check.name for check in outcomes}


def test_independently_written_store_is_read(raw_store: Callable[..., Path]) -> None:
    """The format is what pyarrow and json write, not what write_store happens to do."""
    store = PoseStore.open(raw_store())
    assert failed(store) == []
    assert store.read("train").subject.tolist() == ["anna"] * 12
    assert store.skeleton.name == "human36m-17"


def test_dictionary_columns_are_read(raw_store: Callable[..., Path]) -> None:
    """Writers may dictionary-encode strings."""
    names = pa.array(["walk", "sit"] * 6).dictionary_encode()
    assert (
        PoseStore.open(raw_store(columns={"action": names})).read("train").action.tolist()
        == [
            "walk",
            "sit",
        ]
        * 6
    )


def test_camera_store_keeps_cameras_and_keypoints(
    tmp_path: Path, person: NDArray[np.float32], make_poses: Callable[..., Poses]
) -> None:
    """Camera-frame poses carry the camera's name, 2D joints and the intrinsics in the header."""
    towards = np.array([[0, 1, 0], [0, 0, -1], [-1, 0, 0]], np.float32)  # x right, y down, z away
    seen = person @ towards.T + np.array([0, 1000, 4000], np.float32)
    world = make_poses("anna")
    poses = dataclasses.replace(
        world,
        joints_mm=np.repeat(seen[None], len(world), axis=0),
        camera=np.array(["front", "side"] * 6),
        keypoints_px=np.full((len(world), 17, 2), 500.0, np.float32),
    )
    intrinsics = Intrinsics(focal_px=(1145.0, 1144.0), centre_px=(512.0, 515.0))
    about = Description(
        name="seen",
        skeleton="human36m-17",
        frame="camera",
        up="-y",
        fps=25,
        licence="CC0-1.0",
        cameras={"front": intrinsics, "side": intrinsics},
    )
    write_store(tmp_path / "store", about, {"train": poses})
    store = PoseStore.open(tmp_path / "store")
    assert "joints_camera_mm" in store.header.columns
    assert store.header.cameras["side"] == intrinsics
    read = store.read("train")
    assert read.camera is not None
    assert read.keypoints_px is not None
    assert read.camera.tolist() == ["front", "side"] * 6
    assert read.keypoints_px.shape == (12, 17, 2)
    assert failed(store) == []

    unknown = about.model_copy(update={"cameras": {"front": intrinsics}})
    with pytest.raises(InputError, match="camera side has no entry"):
        write_store(tmp_path / "unknown", unknown, {"train": poses})
    behind = dataclasses.replace(
        poses, joints_mm=poses.joints_mm - np.array([0, 0, 4000], np.float32)
    )
    with pytest.raises(InputError, match="behind the camera"):
        write_store(tmp_path / "behind", about, {"train": behind})


def test_joints_behind_a_camera_are_never_read(
    raw_store: Callable[..., Path], person: NDArray[np.float32]
) -> None:
    """Joints behind the camera have no projection and are refused at every read."""
    joints = np.repeat(person[None], 12, axis=0)
    joints[:, HUMAN36M_17.index("LFoot"), 2] = -1
    column = pa.FixedSizeListArray.from_arrays(pa.array(joints.reshape(-1)), 51)
    folder = raw_store(
        header={"frame": "camera", "columns": {"joints_camera_mm": ""}},
        columns={"joints_camera_mm": column, "camera": pa.array(["front"] * 12)},
    )
    with pytest.raises(DamagedError, match="at or behind the camera"):
        PoseStore.open(folder).read("train")


def test_fingerprint_follows_the_content(
    tmp_path: Path, about: Description, make_poses: Callable[..., Poses]
) -> None:
    """Equal poses have equal fingerprints; one moved joint changes the fingerprint."""
    splits = three_splits(make_poses)
    first = write_store(tmp_path / "a", about, splits)
    renamed = about.model_copy(update={"name": "other"})
    assert write_store(tmp_path / "b", renamed, splits).fingerprint == first.fingerprint
    splits["test"].joints_mm[3, 5, 1] += 1
    assert write_store(tmp_path / "c", about, splits).fingerprint != first.fingerprint


def test_existing_folder_is_never_overwritten(
    tmp_path: Path, about: Description, make_poses: Callable[..., Poses]
) -> None:
    """Writing into a folder that exists is refused and leaves it as it was."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "precious").write_text("x")
    with pytest.raises(InputError, match="exists already"):
        write_store(tmp_path / "store", about, three_splits(make_poses))
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["precious"]


def test_interrupted_writing_leaves_nothing(
    tmp_path: Path,
    about: Description,
    make_poses: Callable[..., Poses],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If the last step fails there is neither a store nor a temporary folder."""

    def refuse(_self: Path, _target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_store(tmp_path / "store", about, three_splits(make_poses))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joints_mm": np.zeros((12, 16, 3), np.float32)}, "16 joints, human36m-17 has 17"),
        ({"fps": 50.0}, "50 frames per second"),
    ],
)
def test_poses_that_contradict_their_description_are_not_written(
    tmp_path: Path,
    about: Description,
    make_poses: Callable[..., Poses],
    change: dict[str, Any],
    message: str,
) -> None:
    """Shape and frame rate must fit the description."""
    splits = {"train": dataclasses.replace(make_poses("anna"), **change)}
    with pytest.raises(InputError, match=re.escape(message)):
        write_store(tmp_path / "store", about, splits)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_poses_with_columns_of_different_length_are_refused(
    make_poses: Callable[..., Poses],
) -> None:
    """A row is one pose in every column."""
    with pytest.raises(ValueError, match="action has 3 rows for 12 poses"):
        dataclasses.replace(make_poses("anna"), action=np.array(["a", "b", "c"]))


def test_missing_joint_is_located(
    raw_store: Callable[..., Path], person: NDArray[np.float32]
) -> None:
    """The first joint that is not a number is named by file, row and joint."""
    joints = np.repeat(person[None], 12, axis=0)
    joints[7, 5, 2] = np.nan
    joints[9] = np.inf
    store = PoseStore.open(raw_store(joints=joints))
    with pytest.raises(
        DamagedError,
        match=r"train\.parquet: row 7 \(clip anna_1, frame 7\): joint LKnee .*2 such rows",
    ):
        store.read("train")
    assert failed(store) == ["finite"]


@pytest.mark.parametrize(("scale", "unit"), [(0.001, "metres"), (0.1, "centimetres")])
def test_other_units_are_recognised(
    raw_store: Callable[..., Path], person: NDArray[np.float32], scale: float, unit: str
) -> None:
    """Joints in metres or centimetres are refused at reading, and the unit is guessed."""
    store = PoseStore.open(raw_store(joints=np.repeat(person[None] * scale, 12, axis=0)))
    with pytest.raises(DamagedError, match=f"looks like {unit}"):
        store.read("train")


def test_wrong_up_axis(raw_store: Callable[..., Path], person: NDArray[np.float32]) -> None:
    """Poses with y up under a header that says z are refused; the right axis is named."""
    y_up = person[:, [1, 2, 0]]
    store = PoseStore.open(raw_store(joints=np.repeat(y_up[None], 12, axis=0)))
    with pytest.raises(DamagedError, match=r"says up is \+z but heads are above hips along \+y"):
        store.read("train")


def test_people_lying_down_are_a_warning(
    raw_store: Callable[..., Path], person: NDArray[np.float32]
) -> None:
    """Poses that lie in all directions are unusual, not wrong."""
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    lying = person[:, [2, 1, 0]] * np.array([1, 1, -1])
    turned = [
        lying @ np.array([[np.cos(a), np.sin(a), 0], [-np.sin(a), np.cos(a), 0], [0, 0, 1]])
        for a in angles
    ]
    store = PoseStore.open(raw_store(joints=np.array(turned, np.float32)))
    assert len(store.read("train")) == 12
    warned = [check.name for check in store.verify() if check.status == "warning"]
    assert warned == ["up axis"]


def test_mirrored_poses_fail(raw_store: Callable[..., Path], person: NDArray[np.float32]) -> None:
    """Swapped sides turn knees, noses and faces backward: all checks of them fail."""
    mirrored = person * np.array([1, -1, 1], np.float32)
    store = PoseStore.open(raw_store(joints=np.repeat(mirrored[None], 12, axis=0)))
    assert failed(store) == ["knees", "nose", "L_angle", "sides"]


def test_bones_that_stretch_are_a_warning(
    raw_store: Callable[..., Path], person: NDArray[np.float32]
) -> None:
    """A forearm that changes its length is named with its subject, but the store is usable."""
    joints = np.repeat(person[None], 12, axis=0)
    joints[::2, 13, 2] -= 80
    outcomes = PoseStore.open(raw_store(joints=joints)).verify()
    warned = [(check.name, check.detail) for check in outcomes if check.status == "warning"]
    assert len(warned) == 1
    assert warned[0][0] == "bone lengths"
    assert "LElbow-LWrist of anna" in warned[0][1]
    assert "usual for estimated joints" in next(
        check.remedy for check in outcomes if check.status == "warning"
    )


def test_a_back_that_bends_is_no_estimate(
    raw_store: Callable[..., Path], person: NDArray[np.float32]
) -> None:
    """The line from hip to spine shortens by 8 %, arms and legs don't: markers, not a network."""
    joints = np.repeat(person[None], 12, axis=0)
    spine = HUMAN36M_17.index("Spine")
    joints[::2, spine] += 0.16 * (person[0] - person[spine])
    outcomes = PoseStore.open(raw_store(joints=joints)).verify()
    found = [check for check in outcomes if check.name == "bone lengths"]
    assert {check.status for check in found} == {"passed"}
    assert "Hip-Spine of anna" in found[0].detail
    assert re.search(r"8\.\d %.*; arms and legs .*e-05 %$", found[0].detail)


def test_shared_subject_fails(raw_store: Callable[..., Path]) -> None:
    """A subject in two splits is found by verify, with both splits."""
    store = PoseStore.open(raw_store(subject="cleo"))
    with pytest.raises(DamagedError, match="subjects disjoint: cleo is in train and test"):
        store.verify()
    assert failed(store) == ["subjects disjoint", "clips disjoint"]


def test_shared_subject_is_not_written(
    tmp_path: Path, about: Description, make_poses: Callable[..., Poses]
) -> None:
    """Poses that would fail verification are not written."""
    splits: dict[Any, Poses] = {"train": make_poses("anna"), "test": make_poses("anna")}
    with pytest.raises(InputError, match="anna is in train and test"):
        write_store(tmp_path / "store", about, splits)
    assert list(tmp_path.iterdir()) == []


def test_header_is_readable_json(
    tmp_path: Path, about: Description, make_poses: Callable[..., Poses]
) -> None:
    """store.json holds exactly the documented fields."""
    write_store(tmp_path / "store", about, three_splits(make_poses))
    content = json.loads((tmp_path / "store" / "store.json").read_text())
    assert set(content) == set(StoreHeader.model_fields) - {"notes"}
    noted = about.model_copy(update={"notes": ("left out: a",)})
    write_store(tmp_path / "noted", noted, three_splits(make_poses))
    content = json.loads((tmp_path / "noted" / "store.json").read_text())
    assert set(content) == set(StoreHeader.model_fields)
    assert PoseStore.open(tmp_path / "noted").header.notes == ("left out: a",)
    assert content["columns"]["joints_world_mm"] == "fixed_size_list<float32>[51], 17 x (x, y, z)"


@pytest.fixture(scope="session")
def real_poses() -> PoseStore:
    """The real poses that SYNREP_DATA names."""
    folder = os.environ.get("SYNREP_DATA")
    if not folder:
        pytest.skip("SYNREP_DATA names no pose store of real motion")
    return PoseStore.open(folder)


def test_real_poses_pass_every_check(real_poses: PoseStore) -> None:
    """Real motion fails nothing and warns of nothing."""
    outcomes = real_poses.verify()
    assert [check for check in outcomes if check.status != "passed"] == []


def test_real_poses_have_the_declared_counts(real_poses: PoseStore) -> None:
    """Every split has as many poses as the header says, in millimetres, facing any way."""
    for split in real_poses.splits:
        poses = real_poses.read(split)
        assert len(poses) == real_poses.header.splits[split]
        ankles = poses.joints_mm[:, [3, 6], 2].min(axis=1)
        assert -300 < np.median(ankles) < 300
