"""MPI-INF-3DHP as published: files written by hand, from MATLAB cells to the views of a store."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from click.testing import CliRunner, Result

from synrep.cli.data import data
from synrep.config import DataConfig
from synrep.datasets.mpi_inf_3dhp.reading import MpiInf3dhp, MpiInf3dhpOptions, read_mpi_inf_3dhp
from synrep.datasets.store.store import PoseStore
from synrep.datasets.views import load_views
from synrep.errors import DamagedError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Where the 17 joints of Human3.6M lie among the 28, and among the 17 of the test.
AMONG_28 = [4, 23, 24, 25, 18, 19, 20, 3, 5, 6, 7, 9, 10, 11, 14, 15, 16]
AMONG_17 = [14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4]
FOCAL, CENTRE = np.array([1497.7, 1495.2]), np.array([1024.7, 1051.4])
CHEST_5 = (0, 2, 4, 7, 8)


class Folder:
    """A folder of the data set, written file by file, and what it should be read as."""

    def __init__(self, root: Path, person: NDArray[np.float32]) -> None:
        self.root = root
        self.univ: dict[str, Array] = {}
        self.annot3: dict[str, Array] = {}
        self.annot2: dict[str, Array] = {}
        self._person = person.astype(np.float64)
        self._random = np.random.default_rng(3)

    def _moving(self, name: str, count: int, size: float) -> tuple[Array, Array, Array]:
        """Human3.6M joints (count, 17) in a camera's frame: univ_annot3, annot3, annot2."""
        angle = self._random.uniform(-1.5, 1.5, count)
        turn = np.zeros((count, 3, 3))
        turn[:, 0, 0] = turn[:, 1, 1] = np.cos(angle)
        turn[:, 0, 1], turn[:, 1, 0] = -np.sin(angle), np.sin(angle)
        turn[:, 2, 2] = 1
        world = (self._person + self._random.normal(0, 3, (count, 17, 3))) @ turn.swapaxes(1, 2)
        world += self._random.uniform(-500, 500, (count, 1, 3))
        # The camera looks against x: right is y, down is -z, away is -x.
        camera = np.stack([world[..., 1], 900 - world[..., 2], 4000 - world[..., 0]], -1)
        pelvis = camera[:, :1]
        self.univ[name] = pelvis + size * (camera - pelvis)
        self.annot3[name] = camera
        self.annot2[name] = FOCAL * camera[..., :2] / camera[..., 2:] + CENTRE
        return self.univ[name], camera, self.annot2[name]

    def train(
        self, sequence: str, count: int = 12, cameras: tuple[int, ...] = CHEST_5, **changes: Any
    ) -> Path:
        """Write annot.mat; `changes` are functions of each camera's array, or whole variables."""
        change = {key: value for key, value in changes.items() if callable(value)}
        cells = {key: np.empty((14, 1), object) for key in ("univ_annot3", "annot3", "annot2")}
        for camera in range(14):
            parts = (
                self._moving(f"{sequence}/cam{camera}", count, 0.9)
                if camera in cameras
                else [np.zeros((0, 0, 0))] * 3
            )
            for (key, cell), joints in zip(cells.items(), parts, strict=True):
                rows = self._random.normal(0, 400, (len(joints), 28, joints.shape[2]))
                if joints.size:
                    rows[:, AMONG_28] = joints
                    rows = change.get(key, np.array)(rows.reshape(len(rows), -1))
                cell[camera, 0] = rows
        variables = {**cells, "cameras": np.arange(14, dtype=np.uint8)[None], "frames": 1.0}
        variables |= {key: value for key, value in changes.items() if not callable(value)}
        path = self.root / sequence / "annot.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        scipy.io.savemat(
            path, {key: value for key, value in variables.items() if value is not None}
        )
        return path

    def calibration(self, sequence: str, focal: float = FOCAL[0], intrinsic: str = "") -> None:
        """Write camera.calibration of all 14 cameras."""
        lines = ["Skeletool Camera Calibration File V1.0"]
        for camera in range(14):
            matrix = f"{focal} 0 {CENTRE[0]} 0 0 {FOCAL[1]} {CENTRE[1]} 0 0 0 1 0 0 0 0 1 "
            lines += [
                f"name          {camera}", "  sensor      10 10 ", "  size        2048 2048",
                "  animated    0", f"  intrinsic   {intrinsic or matrix}",
                "  extrinsic   1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1 ", "  radial      0",
            ]  # fmt: skip
        (self.root / sequence / "camera.calibration").write_text("\n".join(lines) + "\n")

    def test(self, name: str, count: int = 10, **changes: Any) -> Path:
        """Write annot_data.mat, whose axes HDF5 gives in reverse; `changes` replace arrays."""
        joints = self._moving(name, count, 1.1)
        arrays: dict[str, Any] = {}
        for key, values in zip(("univ_annot3", "annot3", "annot2"), joints, strict=True):
            ordered = np.empty_like(values)
            ordered[:, AMONG_17] = values
            arrays[key] = ordered[:, None]
        arrays["valid_frame"] = (np.arange(count) % 3 != 1).astype(float)[:, None]
        arrays["activity_annotation"] = (1 + np.arange(count) % 7).astype(float)[:, None]
        arrays |= changes
        path = self.root / name / "annot_data.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w", userblock_size=512) as file:
            for key, values in arrays.items():
                if values is not None:
                    file[key] = values
            file.create_group("#refs#")
        # MATLAB's own header: text, version 2.0 and byte order in the 512 bytes before HDF5.
        with path.open("r+b") as raw:
            raw.write(b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM")
        return path

    def read(self, **options: Any) -> MpiInf3dhp:
        """All of it, with five cameras unless others are wanted."""
        return read_mpi_inf_3dhp(self.root, MpiInf3dhpOptions(**{"cameras": "chest-5"} | options))


@pytest.fixture
def folder(tmp_path: Path, person: NDArray[np.float32]) -> Folder:
    """An empty folder to write into."""
    return Folder(tmp_path / "mpi_inf_3dhp", person)


def invoke(*words: object) -> Result:
    """Run `synrep data prepare mpi-inf-3dhp`."""
    return CliRunner().invoke(data, ["prepare", "mpi-inf-3dhp", *map(str, words)])


def pelvis_relative(joints: Array) -> Array:
    """Joints relative to the first."""
    return joints - joints[:, :1]


def test_training_sequences(folder: Folder) -> None:
    """Every camera's joints are in Human3.6M's order, at 25 fps, and project to annot2."""
    folder.train("S1/Seq1", 12)  # 25 frames per second
    folder.train("S1/Seq2", 13)  # 50
    folder.train("S8/Seq1", 6)
    folder.calibration("S1/Seq1")
    read = folder.read()
    assert {split: len(poses) for split, poses in read.splits.items()} == {
        "train": 5 * (12 + 7),
        "validation": 5 * 6,
    }
    train = read.splits["train"]
    for name, step in (("S1/Seq1/cam4", 1), ("S1/Seq2/cam8", 2)):
        part = train.take(train.clip == name)
        np.testing.assert_allclose(
            pelvis_relative(part.joints_mm.astype(float)),
            pelvis_relative(folder.univ[name][::step]),
            atol=1e-3,
        )
        assert part.keypoints_px is not None
        np.testing.assert_allclose(part.keypoints_px, folder.annot2[name][::step], rtol=1e-6)
        assert part.frame.tolist() == list(range(len(part)))
        assert part.camera is not None
        assert set(part.camera) == {name}
        camera = read.cameras[name]
        assert [*camera.focal_px, *camera.centre_px] == pytest.approx([*FOCAL, *CENTRE])
        # A rescaled pose would project elsewhere if it were not moved along its ray.
        projected = FOCAL * part.joints_mm[..., :2] / part.joints_mm[..., 2:] + CENTRE
        np.testing.assert_allclose(projected, folder.annot2[name][::step], atol=0.01)
    assert (set(train.subject), set(train.action)) == ({"S1"}, {"Seq1", "Seq2"})
    assert train.fps == 25
    assert read.notes[0] == "the data set's own files: 3 training and 0 test sequences"
    assert (
        "S1/Seq2: different numbers of frames (annot2 13, annot3 13, univ_annot3 13, "
        "published 12430); the first 13 are used" in read.notes
    )
    assert any(n.startswith("cameras: 5 from camera.calibration, 10 fitted") for n in read.notes)
    assert "the poses are annot3 times 0.900 to 0.900, to within 0.0 mm" in read.notes
    assert read.notes[-1] == "no test split: no files for it"


def test_test_sequences(folder: Folder) -> None:
    """Only valid frames are read, with activities and cameras; notes compare their counts."""
    folder.test("TS2", 10)
    folder.test("TS6", 5, activity_annotation=None)
    read = folder.read()
    poses = read.splits["test"]
    assert list(read.splits) == ["test"]
    assert poses.frame.tolist() == [0, 2, 3, 5, 6, 8, 9, 0, 2, 3]
    rows = poses.frame[:7]
    np.testing.assert_allclose(
        pelvis_relative(poses.joints_mm[:7].astype(float)),
        pelvis_relative(folder.univ["TS2"][rows]),
        atol=1e-3,
    )
    assert poses.keypoints_px is not None
    np.testing.assert_allclose(poses.keypoints_px[:7], folder.annot2["TS2"][rows], rtol=1e-6)
    assert poses.action[:7].tolist() == [
        "Standing/Walking", "Sitting", "Reaching/Crouching", "Sports", "Miscellaneous",
        "Exercising", "Sitting",
    ]  # fmt: skip
    assert set(poses.action[7:]) == {"unknown"}
    camera = read.cameras["TS6"]
    assert [*camera.focal_px, *camera.centre_px] == pytest.approx([*FOCAL, *CENTRE])
    assert "TS6: no activity_annotation, so the activity is 'unknown'" in read.notes
    assert (
        "10 valid test frames, not 2929: TS1 0 instead of 603, TS2 7 instead of 540, TS3 0 "
        "instead of 505, TS4 0 instead of 553, TS5 0 instead of 276, TS6 3 instead of 452"
    ) in read.notes


def test_all_published_frames_are_recognised(folder: Folder) -> None:
    """The 2929 frames of the published test need no warning."""
    published = {"TS1": 603, "TS2": 540, "TS3": 505, "TS4": 553, "TS5": 276, "TS6": 452}
    for name, count in published.items():
        folder.test(name, count + 2, valid_frame=np.arange(count + 2)[:, None] >= 2.0)
    read = folder.read()
    assert len(read.splits["test"]) == 2929
    assert "2929 valid test frames, as published" in read.notes


def test_frames_beyond_the_table_are_not_read(folder: Folder) -> None:
    """Frames after the 6054 usable ones of S8/Seq2 are ignored without a note."""
    folder.train("S8/Seq2", 6060, annot2=lambda array: array[:6057])
    folder.train("S1/Seq1", 2)
    read = folder.read()
    assert len(read.splits["validation"]) == 5 * 6054
    assert not [note for note in read.notes if note.startswith("S8")]


def test_store_and_views(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command writes a store whose views are annot2 and the poses, each normalised."""
    monkeypatch.setenv("SYNREP_CACHE", str(tmp_path / "cache"))
    for sequence in ("S1/Seq1", "S7/Seq1"):
        folder.train(sequence)
        folder.calibration(sequence)
    folder.test("TS1", 20)
    out = tmp_path / "3dhp"
    result = invoke("--root", folder.root, "--out", out, "--cameras", "chest-5",
                    "--validation", "S7")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}: train 60, validation 60, test 13 poses\n"
    assert "at worst" in result.stderr
    header = PoseStore.open(out).header
    assert (header.name, header.frame, header.up) == ("3dhp", "camera", "-y")
    assert "research" in header.licence
    told = [check.name for check in PoseStore.open(out).verify() if check.status != "passed"]
    assert told == ["published counts"], "most sequences are missing"
    views = load_views(DataConfig(poses=str(out)), "train")
    univ, annot2 = (
        np.concatenate([store[f"S1/Seq1/cam{camera}"] for camera in CHEST_5])
        for store in (folder.univ, folder.annot2)
    )
    centred = pelvis_relative(univ)
    radius = np.linalg.norm(centred[:, 1:, :2], axis=-1).mean(-1)
    np.testing.assert_allclose(views.scale_mm, radius, rtol=1e-5)
    np.testing.assert_allclose(views.poses, centred / radius[:, None, None], atol=1e-4)
    flat = pelvis_relative(annot2)
    flat /= np.linalg.norm(flat[:, 1:], axis=-1).mean(-1)[:, None, None]
    np.testing.assert_allclose(views.keypoints, flat, atol=1e-4)
    torch.testing.assert_close(views.real_keypoints, views.keypoints, atol=1e-4, rtol=0)
    ray = (annot2[:, 0] - CENTRE) / FOCAL
    np.testing.assert_allclose(views.ray, ray, atol=1e-5)
    test = load_views(DataConfig(poses=str(out)), "test")
    assert test.actions[test.action[1]] == "Sitting"

    own = tmp_path / "own"
    invoke("--root", folder.root, "--out", own, "--cameras", "chest-5", "--validation", "S7",
           "--poses", "annot3")  # fmt: skip
    each = load_views(DataConfig(poses=str(own)), "train")
    torch.testing.assert_close(each.poses, views.poses, atol=1e-4, rtol=0)
    torch.testing.assert_close(each.scale_mm, views.scale_mm / 0.9, atol=0.01, rtol=0)


def test_calibration_that_does_not_fit_is_not_used(folder: Folder) -> None:
    """A calibration that does not fit the annotations is ignored, with a note."""
    folder.train("S8/Seq1")
    folder.train("S1/Seq1")
    folder.calibration("S8/Seq1", focal=1200)
    read = folder.read()
    assert read.cameras["S8/Seq1/cam0"].focal_px == pytest.approx(tuple(FOCAL))
    (note,) = [n for n in read.notes if n.startswith("camera.calibration does not fit")]
    assert "S8/Seq1/cam0 (" in note
    assert note.endswith(" and 2 more: not used there")


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


FAULTS: dict[str, tuple[Callable[[Folder], Any], str]] = {
    "joints": (
        lambda f: f.train("S1/Seq1", annot2=lambda a: a[:, :34]),
        r"annot.mat: annot2 of camera 0: its shape is \(12, 34\) .*28 joints with 2 numbers",
    ),
    "swapped": (
        lambda f: f.train("S1/Seq1", annot3=lambda a: a.T),
        r"annot3 of camera 0: its shape is \(84, 12\): its axes are swapped",
    ),
    "metres": (
        lambda f: f.train("S1/Seq1", annot3=lambda a: a / 1000, univ_annot3=lambda a: a / 1000),
        r"annot.mat: S1/Seq1/cam0: median distance hip to head .*looks like metres",
    ),
    "gap": (
        lambda f: f.train("S1/Seq1", annot3=lambda a: np.where(a == a[3, 12], np.nan, a)),
        r"S1/Seq1/cam0: a joint of annot3 is not a number in frame 3 .*; 1 such frames",
    ),
    "no camera": (
        lambda f: f.train("S1/Seq1", cameras=(0, 2, 4, 8)),
        "annot2 has no camera 7 .*--cameras",
    ),
    "few cameras": (
        lambda f: f.train("S1/Seq1", univ_annot3=np.array([[np.ones((12, 84))], [0.0]], object)),
        "univ_annot3 has no camera 2",
    ),
    "no cells": (lambda f: f.train("S1/Seq1", annot2=np.zeros((12, 56))), "annot2 has no cells"),
    "no variable": (
        lambda f: f.train("S1/Seq1", univ_annot3=None),
        "no variable univ_annot3 .it has annot3, annot2, cameras",
    ),
    "other people": (
        lambda f: f.train("S1/Seq1", univ_annot3=lambda a: a[::-1]),
        "univ_annot3 is not a rescaled annot3",
    ),
    "other frames": (
        lambda f: f.train("S1/Seq1", annot2=lambda a: a[::-1]),
        "2D and 3D don't belong together",
    ),
    "mirrored": (
        lambda f: f.train("S1/Seq1", annot2=lambda a: 2048 - a),
        "its 3D is a mirror image of its 2D",
    ),
    "truncated": (lambda f: _half(f.train("S1/Seq1")), "not readable as MATLAB"),
    "calibration": (
        lambda f: f.train("S1/Seq1") and f.calibration("S1/Seq1", intrinsic="1 2 three"),
        "camera.calibration, line 6: not a camera's intrinsic",
    ),
    "test joints": (
        lambda f: f.test("TS1", annot2=np.zeros((10, 1, 16, 2))),
        r"annot_data.mat: annot2: its shape is \(10, 1, 16, 2\)",
    ),
    "test swapped": (
        lambda f: f.test("TS1", univ_annot3=np.zeros((3, 17, 1, 10))),
        r"univ_annot3: its shape is \(3, 17, 1, 10\): its axes are swapped",
    ),
    "none valid": (lambda f: f.test("TS1", valid_frame=np.zeros((10, 1))), "no frame is valid"),
    "no valid_frame": (lambda f: f.test("TS1", valid_frame=None), "no variable valid_"),
    "test truncated": (lambda f: _half(f.test("TS1")), r"not readable as HDF5"),
    "test of another version": (
        lambda f: f.test("TS1") and scipy.io.savemat(f.root / "TS1" / "annot_data.mat", {"a": 1.0}),
        r"not readable as HDF5",
    ),
    "training of another version": (
        lambda f: f.train("S1/Seq1") and f.test("TS1").rename(f.root / "S1/Seq1/annot.mat"),
        r"annot.mat: is a MATLAB file of version 7\.3",
    ),
    "nobody held out": (
        lambda f: f.train("S1/Seq1"),
        "--validation: no training subject 'S8' .*there are S1",
    ),
    "all held out": (lambda f: f.train("S8/Seq1"), "--validation: S8 held out, and nobody is left"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_one_message_each(folder: Folder, tmp_path: Path, fault: str) -> None:
    """The error names place, rule and remedy, and nothing is written."""
    write, message = FAULTS[fault]
    error = DamagedError if "not readable" in message else InputError
    write(folder)
    result = invoke("--root", folder.root, "--out", tmp_path / "out", "--cameras", "chest-5")
    assert type(result.exception) is error
    assert re.search(message, str(result.exception))
    assert [path.name for path in tmp_path.iterdir()] == ["mpi_inf_3dhp"]


@pytest.mark.parametrize("longer", ["annot2", "annot3"])
def test_arrays_of_different_lengths_are_cut(folder: Folder, longer: str) -> None:
    """Frames that all arrays have are used, in training and test sequences, with a note."""
    others = {"annot2", "annot3", "univ_annot3"} - {longer}
    folder.train("S8/Seq1", 9, **dict.fromkeys(others, lambda array: array[:7]))
    folder.train("S1/Seq1", 9)
    folder.test("TS1", 9, valid_frame=np.ones((4, 1)))
    read = folder.read()
    assert len(read.splits["validation"]) == 5 * 7
    assert len(read.splits["test"]) == 4
    (note,) = [note for note in read.notes if note.startswith("S8/Seq1")]
    assert f"{longer} 9" in note
    assert note.endswith("the first 7 are used")
    assert any("valid_frame 4); the first 4 are used" in note for note in read.notes)
