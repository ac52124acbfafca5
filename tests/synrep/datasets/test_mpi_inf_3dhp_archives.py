"""MPI-INF-3DHP in P-STMO's archives: dictionaries in npz files, without cameras; and layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from synrep_search.reproduce.models import Model
from synrep_search.reproduce.scores import score_row
from synrep_search.reproduce.tables import Row

from synrep.cli.data import data
from synrep.config import DataConfig, EvaluationConfig
from synrep.datasets.cameras import Camera
from synrep.datasets.mpi_inf_3dhp.cameras import fit_intrinsics, fit_rescaled, rescaled
from synrep.datasets.mpi_inf_3dhp.layout import find_layout
from synrep.datasets.mpi_inf_3dhp.reading import MpiInf3dhpOptions, read_mpi_inf_3dhp
from synrep.datasets.views import load_views
from synrep.errors import DamagedError, InputError
from synrep.evaluation.tables import BodyScale
from tests.synrep.datasets.test_mpi_inf_3dhp import Folder

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.datasets.views import Views

    Array = NDArray[np.float64]

AMONG_17 = [14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4]
FOCAL, CENTRE = np.array([1684.0, 1672.6]), np.array([939.9, 560.1])
CAMERAS = ("0", "2", "4", "7", "8")
PUBLISHED = "S1 Seq1"


class Seen:
    """A person before a camera, as annotated and as an archive has it."""

    def __init__(self, person: NDArray[np.float32], count: int, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        angle = random.uniform(-2, 2, count)
        cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
        x, y, z = np.moveaxis(person + random.normal(0, 3, (count, 17, 3)), -1, 0)
        moved = random.uniform(-600, 600, (count, 1, 3))
        joints = np.stack([sin * x + cos * y, 900 - z, 3800 - cos * x + sin * y], -1) + moved
        self.pixels: Array = FOCAL * joints[..., :2] / joints[..., 2:] + CENTRE
        self.univ: Array = joints[:, :1] + 0.93 * (joints - joints[:, :1])

    def view(self, **changes: Any) -> dict[str, Any]:
        """The archive's entry for the camera, in the order of the 17 relevant joints."""
        poses, pixels = np.empty_like(self.univ), np.empty_like(self.pixels)
        poses[:, AMONG_17], pixels[:, AMONG_17] = self.univ, self.pixels
        return {"data_2d": pixels, "data_3d": poses} | changes


@pytest.fixture
def seen(person: NDArray[np.float32]) -> Seen:
    """Twenty frames of a person."""
    return Seen(person, 20)


def write_train(folder: Path, sequences: dict[str, Any]) -> None:
    """data_train_3dhp.npz."""
    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / "data_train_3dhp.npz", data=np.array(sequences, object))


def write_test(folder: Path, sequences: dict[str, Any]) -> None:
    """data_test_3dhp.npz."""
    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / "data_test_3dhp.npz", data=np.array(sequences, object))


def invoke(*words: object) -> Result:
    """Run `synrep data prepare mpi-inf-3dhp` for five cameras."""
    words = ("prepare", "mpi-inf-3dhp", "--cameras", "chest-5", *words)
    return CliRunner().invoke(data, list(map(str, words)))


def test_archives_become_a_store_with_right_views(
    person: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Poses, keypoints, frames and fitted cameras of all three splits."""
    monkeypatch.setenv("SYNREP_CACHE", str(tmp_path / "cache"))
    seen = {name: [Seen(person, 21, 5 * n + c) for c in range(5)] for n, name in enumerate("ab")}
    test = Seen(person, 9, 99)
    folder, out = tmp_path / "motion3d", tmp_path / "store"
    views = {
        name: {camera: one.view() for camera, one in zip(CAMERAS, persons, strict=True)}
        for name, persons in seen.items()
    }
    write_train(folder, {"S1 Seq2": [views["a"], 50], "S8 Seq1": [views["b"], 25]})
    valid = np.array([0, 1, 1, 0, 0, 1, 1, 1, 1.0])
    gaps = test.view()["data_3d"]
    gaps[3] = np.nan  # frames that are not valid don't matter
    write_test(folder, {"TS5": test.view(valid=valid, data_3d=gaps)})
    result = invoke("--root", folder, "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}: train 55, validation 105, test 6 poses\n"
    notes = result.stderr.splitlines()
    assert notes[0] == "P-STMO's data_train_3dhp.npz and data_test_3dhp.npz"
    assert "data_test_3dhp.npz names no activities: they are 'unknown'" in notes
    assert any(note.startswith("cameras: 0 from camera.calibration, 11 fitted") for note in notes)
    for split, univ, pixels in (
        ("train", *(np.concatenate([getattr(s, k)[::2] for s in seen["a"]]) for k in KEYS)),
        ("test", test.univ[valid > 0], test.pixels[valid > 0]),
    ):
        made = load_views(DataConfig(poses=str(out)), split)
        centred = univ - univ[:, :1]
        radius = np.linalg.norm(centred[:, 1:, :2], axis=-1).mean(-1)
        np.testing.assert_allclose(made.scale_mm, radius, rtol=1e-5)
        np.testing.assert_allclose(made.poses, centred / radius[:, None, None], atol=1e-4)
        flat = pixels - pixels[:, :1]
        flat /= np.linalg.norm(flat[:, 1:], axis=-1).mean(-1)[:, None, None]
        np.testing.assert_allclose(made.keypoints, flat, atol=1e-4)
        torch.testing.assert_close(made.real_keypoints, made.keypoints, atol=1e-3, rtol=0)
    assert made.actions == ["unknown"]


KEYS = ("univ", "pixels")


def test_sequences_of_a_wrong_content(seen: Seen, tmp_path: Path) -> None:
    """Each fault of an archive is one message that names the sequence."""
    good = {camera: seen.view() for camera in CAMERAS}
    poses = seen.view()["data_3d"]
    human36m = {"data_2d": seen.pixels, "data_3d": seen.univ}
    faults: list[tuple[Any, str]] = [
        ({"S9 Seq1": [good, 25]}, "unknown sequence 'S9 Seq1'"),
        ({PUBLISHED: good}, "S1/Seq1 is not a pair of cameras and frame rate"),
        ({PUBLISHED: [good, 30]}, "S1/Seq1 has 30 frames per second"),
        ({PUBLISHED: [{"0": seen.view()}, 25]}, "no camera 2 .it has 0; .*--cameras"),
        ({PUBLISHED: [good | {"2": {}}, 25]}, "S1/Seq1, camera 2: no data_2d and data_3d"),
        ({PUBLISHED: [good | {"4": human36m}, 25]}, "camera 4: the joints are not in the order"),
        ({PUBLISHED: [good | {"0": seen.view(data_3d=poses[:, :16])}, 25]}, "shape is .20, 16, 3"),
        ({PUBLISHED: [good | {"0": seen.view(data_3d=poses.T)}, 25]}, "its axes are swapped"),
        ({PUBLISHED: [good | {"0": seen.view(data_3d=poses / 1e3)}, 25]}, "looks like metres"),
        ({PUBLISHED: [good | {"0": seen.view(data_3d=poses[:0])}, 25]}, "data_3d .* has no frames"),
        ({}, "'data' is not a dictionary of sequences"),
        ([1], "'data' is not a dictionary of sequences"),
    ]
    for content, message in faults:
        write_train(tmp_path, content)
        with pytest.raises(InputError, match=message):
            read_mpi_inf_3dhp(tmp_path, MpiInf3dhpOptions(cameras="chest-5"))
    write_train(tmp_path, {PUBLISHED: [good, 25]})
    with pytest.raises(InputError, match="contains universal poses only"):
        read_mpi_inf_3dhp(tmp_path, MpiInf3dhpOptions(cameras="chest-5", poses="annot3"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"TS7": {}}, "unknown sequence 'TS7'"),
        ({"TS1": {"valid": np.zeros(20)}}, "no frame of TS1 is valid"),
        ({"TS1": {}}, "TS1 has no 'valid'"),
        ({"TS1": {"valid": np.ones(20), "data_2d": None}}, "data_2d of TS1: holds object"),
    ],
)
def test_test_archives_of_a_wrong_content(
    seen: Seen, tmp_path: Path, content: dict[str, Any], message: str
) -> None:
    """Each fault of the test archive is one message that names the sequence."""
    write_test(tmp_path, {name: seen.view(**changes) for name, changes in content.items()})
    with pytest.raises(InputError, match=message):
        read_mpi_inf_3dhp(tmp_path, MpiInf3dhpOptions())


def test_archives_that_are_cut_off_or_longer_in_one_array(seen: Seen, tmp_path: Path) -> None:
    """Half a file raises DamagedError; 2D frames without 3D are left out with a note."""
    pixels = np.concatenate([seen.view()["data_2d"], np.zeros((4, 17, 2))])
    write_test(tmp_path, {"TS1": seen.view(data_2d=pixels, valid=np.ones((24, 1)))})
    read = read_mpi_inf_3dhp(tmp_path, MpiInf3dhpOptions())
    assert len(read.splits["test"]) == 20
    assert (
        "TS1: different numbers of frames (data_2d 24, data_3d 20, valid 24); "
        "the first 20 are used" in read.notes
    )
    path = tmp_path / "data_test_3dhp.npz"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DamagedError, match=r"data_test_3dhp\.npz: not a whole"):
        read_mpi_inf_3dhp(tmp_path, MpiInf3dhpOptions())


def test_layouts_are_found_or_told(tmp_path: Path) -> None:
    """Up to two folders down; nothing, both layouts and a sequence twice are refused."""
    with pytest.raises(InputError, match="there is no such folder"):
        find_layout(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"contains no files of MPI-INF-3DHP .*S1/Seq1/annot.mat"):
        find_layout(tmp_path)
    deep = tmp_path / "a" / "b" / "S3" / "Seq2" / "annot.mat"
    test = tmp_path / "mpi_inf_3dhp_test_set" / "TS4" / "annot_data.mat"
    for path in (deep, test):
        path.parent.mkdir(parents=True)
        path.touch()
    layout = find_layout(tmp_path)
    assert (layout.training, layout.test) == ({"S3/Seq2": deep}, {"TS4": test})
    twice = tmp_path / "TS4" / "annot_data.mat"
    twice.parent.mkdir()
    twice.touch()
    with pytest.raises(
        InputError, match=r"contains both .*TS4/annot_data.mat and .*TS4/annot_data"
    ):
        find_layout(tmp_path)
    twice.unlink()
    (tmp_path / "data_train_3dhp.npz").touch()
    with pytest.raises(InputError, match=r"contains both .*annot.mat and .*data_train_3dhp.npz"):
        find_layout(tmp_path)


cameras = st.tuples(
    st.floats(700, 2500), st.floats(700, 2500), st.floats(300, 1500), st.floats(300, 1500)
)


@given(camera=cameras, size=st.floats(0.6, 1.5), seed=st.integers(0, 2**16))
def test_rescaled_poses_project_like_the_person(
    camera: tuple[float, float, float, float], size: float, seed: int
) -> None:
    """Poses project to their keypoints with known cameras, with fitted ones and without annot3."""
    random = np.random.default_rng(seed)
    joints = random.normal(0, 300, (30, 17, 3)) + random.uniform(
        [-800, -500, 3000], 5000, (30, 1, 3)
    )
    focal, centre = np.array(camera[:2]), np.array(camera[2:])
    pixels = focal * joints[..., :2] / joints[..., 2:] + centre
    univ = joints[:, 2:3] + size * (joints - joints[:, 2:3])
    moved, scales, left_mm = rescaled(univ, joints, 2)
    np.testing.assert_allclose(scales, size)
    assert left_mm < 1e-6
    fitted = fit_intrinsics(joints, pixels)
    assert [*fitted.focal_px, *fitted.centre_px] == pytest.approx(list(camera), rel=1e-6)
    unknown, placed = fit_rescaled(univ, pixels, 2)
    assert [*unknown.focal_px, *unknown.centre_px] == pytest.approx(list(camera), rel=1e-3)
    for intrinsics, poses in ((fitted, moved), (unknown, placed)):
        projected = Camera.from_intrinsics(intrinsics.model_dump()).project(poses)
        np.testing.assert_allclose(projected, pixels, atol=0.01)
        np.testing.assert_allclose(poses - poses[:, 2:3], univ - univ[:, 2:3], atol=1e-6)


def test_both_layouts_have_the_same_score(person: NDArray[np.float32], tmp_path: Path) -> None:
    """The official score pools all frames: it does not depend on who names the activities."""
    own = Folder(tmp_path / "own", person)
    own.root.mkdir()
    valid = np.ones(40)
    activities = np.where(np.arange(40) < 30, 1.0, 5.0)  # of unequal size
    own.test("TS1", 40, valid_frame=valid[:, None], activity_annotation=activities[:, None])
    poses, pixels = np.empty((40, 17, 3)), np.empty((40, 17, 2))
    poses[:, AMONG_17], pixels[:, AMONG_17] = own.univ["TS1"], own.annot2["TS1"]
    write_test(
        tmp_path / "archives", {"TS1": {"data_2d": pixels, "data_3d": poses, "valid": valid}}
    )
    row, found, over_actions = Row(label="Ours", measure="mpjpe_mm", trained="mpi"), [], []
    for name in ("own", "archives"):
        out = tmp_path / f"store-{name}"
        result = invoke("--root", tmp_path / name, "--out", out)
        assert result.exit_code == 0, result.output
        scored = score_row(row, [_shrinking(str(out))], str(out))
        assert scored.averaged == "mean of frames"
        found.append(scored.average.mean)
        actions = [number.mean for action, number in scored.numbers.items() if " of " not in action]
        over_actions.append(np.mean(actions))
        assert list(scored.numbers)[-1] == scored.averaged
    assert found[0] == pytest.approx(found[1], rel=1e-4)
    assert over_actions[0] != pytest.approx(over_actions[1], rel=1e-2)


def _shrinking(poses: str) -> Model:
    """A predictor that is worse in the last frames, which have another activity."""

    def predict(views: Views) -> torch.Tensor:
        return views.poses * torch.linspace(1, 0.2, len(views))[:, None, None]

    body = BodyScale(bone_length_sum_mm=4000.0, scale_mm=300.0)
    data = DataConfig(poses=poses)
    return Model(predict=predict, data=data, evaluation=EvaluationConfig(), body=body)
