"""MPII: files written by hand in both forms, read back through `synrep lift`'s reader."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.io
from click.testing import CliRunner, Result

from synrep.cli.data import data
from synrep.datasets.mpii import read_mpii
from synrep.errors import DamagedError, InputError
from synrep.inference.keypoints.keypoints import read_keypoints, to_skeleton

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

RANDOM = np.random.default_rng(7)


def person() -> NDArray[np.float64]:
    """(16, 2) pixels."""
    return np.asarray(RANDOM.uniform(1, 1000, (16, 2)).round(2))


def structs(rows: list[dict[str, Any]]) -> NDArray[Any]:
    """A MATLAB struct array."""
    made = np.empty((1, len(rows)), [(key, object) for key in rows[0]])
    for index, row in enumerate(rows):
        made[0, index] = tuple(row.values())
    return made


def points(pixels: NDArray[np.float64], ids: list[int]) -> NDArray[Any]:
    """The struct annopoints with these joints, in this order."""
    rows = [
        {
            "x": pixels[i, 0],
            "y": pixels[i, 1],
            "id": i,
            "is_visible": "1" if i % 2 else np.zeros((0, 0)),
        }
        for i in ids
    ]
    return structs([{"point": structs(rows)}])


def write_mat(path: Path, images: list[tuple[str, list[Any]]]) -> None:
    """A file in MPII's form: each image with the annopoints of its people."""
    empty = np.zeros((0, 0))
    annotations = []
    for name, people in images:
        rectangles = [{"scale": 2.0, "annopoints": marked} for marked in people]
        annotations.append(
            {
                "image": structs([{"name": name}]),
                "annorect": structs(rectangles) if rectangles else empty,
                "vididx": empty,
            }
        )
    content = {"RELEASE": {"annolist": structs(annotations), "img_train": np.ones((1, 3))}}
    scipy.io.savemat(path, content, do_compression=True)


def invoke(*words: object) -> Result:
    """Run `synrep data prepare mpii`."""
    return CliRunner().invoke(data, ["prepare", "mpii", *map(str, words)])


def test_matlab_file(tmp_path: Path) -> None:
    """Points go where their id says; several people, none, and images without annotations."""
    first, second, third = person(), person(), person()
    order = list(range(16))[::-1]
    path = tmp_path / "mpii_human_pose_v1_u12_1.mat"
    write_mat(
        path,
        [
            ("a.jpg", [points(first, order), points(second, list(range(16)))]),
            ("b.jpg", []),
            ("c.jpg", [np.zeros((0, 0))]),
            ("d.jpg", [points(third, [0, 3, 9])]),
        ],
    )
    people, notes = read_mpii(path)
    np.testing.assert_array_equal(people.points_px[:2], [first, second])
    known = np.isfinite(people.points_px[2]).all(axis=1)
    assert np.flatnonzero(known).tolist() == [0, 3, 9]
    np.testing.assert_array_equal(people.points_px[2][known], third[[0, 3, 9]])
    assert people.image.tolist() == ["a.jpg", "a.jpg", "d.jpg"]
    assert people.person.tolist() == [0, 1, 0]
    assert notes == ["3 annotated people in 2 images", "1 of them lack one of the 16 joints"]


def test_a_single_struct_is_no_array(tmp_path: Path) -> None:
    """MATLAB drops the array around one image with one person with one point."""
    pixels = person()
    path = tmp_path / "one.mat"
    write_mat(path, [("a.jpg", [points(pixels, [6])])])
    people, _ = read_mpii(path)
    np.testing.assert_array_equal(people.points_px[0, 6], pixels[6])
    assert int(np.isfinite(people.points_px).sum()) == 2


def test_an_image_without_a_name_goes_by_its_number(tmp_path: Path) -> None:
    """Whatever stands in the place of the name."""
    path = tmp_path / "nameless.mat"
    images: list[Any] = [("a.jpg", [points(person(), [6])]), (np.ones(3), [points(person(), [6])])]
    write_mat(path, images)
    assert read_mpii(path)[0].image.tolist() == ["a.jpg", "2"]


def write_json(path: Path, people: list[NDArray[np.float64]], **changes: Any) -> None:
    """A file in HRNet's form; `changes` replace fields of the last person."""
    entries: list[dict[str, Any]] = [
        {
            "joints_vis": [1] * 16,
            "joints": pixels.tolist(),
            "image": f"{number // 2}.jpg",
            "scale": 3.0,
            "center": [594.0, 257.0],
        }
        for number, pixels in enumerate(people)
    ]
    entries[-1] |= changes
    path.write_text(json.dumps(entries))


def test_command_makes_keypoints_that_lifting_reads(tmp_path: Path) -> None:
    """Complete people only, and Human3.6M's joints come from where they should."""
    full, other, gap, hidden = person(), person(), person(), person()
    gap[4] = -1
    visible = [1] * 16
    visible[10] = 0
    write_json(tmp_path / "valid.json", [full, other, gap, hidden], joints_vis=visible)
    out = tmp_path / "made" / "keypoints.npz"
    result = invoke("--root", tmp_path / "valid.json", "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines() == [
        "4 annotated people in 2 images",
        "2 of them lack one of the 16 joints",
        "2 people with missing joints left out",
    ]
    assert result.stdout == f"{out}: 2 people\n"
    keypoints = read_keypoints(out)
    assert keypoints.joints.name == "mpii-16"
    np.testing.assert_array_equal(keypoints.points_px, [full, other])
    lifted = to_skeleton(keypoints)
    np.testing.assert_allclose(lifted[0, 0], full[6])  # hip
    np.testing.assert_allclose(lifted[0, 9], (full[8] + full[9]) / 2)  # nose
    np.testing.assert_array_equal(lifted[1, 3], other[0])  # right foot
    assert [path.name for path in out.parent.iterdir()] == ["keypoints.npz"]
    with np.load(out) as file:
        assert file["image"].tolist() == ["0.jpg", "0.jpg"]
        assert file["person"].tolist() == [0, 1]


def test_incomplete_people_can_be_kept(tmp_path: Path) -> None:
    """With gaps where joints are missing, which lifting names."""
    gap = person()
    gap[4] = 0
    write_json(tmp_path / "train.json", [person(), gap])
    out = tmp_path / "keypoints.npz"
    result = invoke("--root", tmp_path / "train.json", "--out", out, "--keep-incomplete")
    assert result.stdout == f"{out}: 2 people\n"
    keypoints = read_keypoints(out)
    assert np.isnan(keypoints.points_px[1, 4]).all()
    with pytest.raises(InputError, match="missing joints: frame 1: LKnee"):
        to_skeleton(keypoints)


def test_existing_files_are_kept(tmp_path: Path) -> None:
    """Nothing is replaced, and only npz is written."""
    write_json(tmp_path / "train.json", [person()])
    out = tmp_path / "keypoints.npz"
    out.write_bytes(b"mine")
    for target, message in ((out, "exists already"), (tmp_path / "k.json", "unknown kind of file")):
        result = invoke("--root", tmp_path / "train.json", "--out", target)
        assert isinstance(result.exception, InputError)
        assert message in str(result.exception)
    assert out.read_bytes() == b"mine"


def _text(content: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "x.json").write_text(content)
        return folder / "x.json"

    return write


def _changed(**changes: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        write_json(folder / "x.json", [person(), person()], **changes)
        return folder / "x.json"

    return write


def _mat(content: dict[str, Any]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        scipy.io.savemat(folder / "x.mat", content)
        return folder / "x.mat"

    return write


def _cut(folder: Path) -> Path:
    write_mat(folder / "x.mat", [("a.jpg", [points(person(), list(range(16)))])])
    content = (folder / "x.mat").read_bytes()
    (folder / "x.mat").write_bytes(content[: len(content) // 2])
    return folder / "x.mat"


def _id_16(folder: Path) -> Path:
    write_mat(folder / "x.mat", [("a.jpg", [points(np.ones((17, 2)), [0, 16])])])
    return folder / "x.mat"


def _endless_id(folder: Path) -> Path:
    marked = structs([{"point": structs([{"x": 1.0, "y": 1.0, "id": np.inf}])}])
    write_mat(folder / "x.mat", [("a.jpg", [marked])])
    return folder / "x.mat"


def _absent(folder: Path) -> Path:
    return folder / "x.mat"


def _other_kind(folder: Path) -> Path:
    return folder / "x.h5"


@pytest.mark.parametrize(
    ("write", "error", "message"),
    [
        (_changed(joints=person()[:15].tolist()), InputError, r"person 1: joints \(15, 2\)"),
        (_changed(joints=[["a", "b"]] * 16), InputError, "person 1: its joints or joints_vis"),
        (_text('{"people": []}'), InputError, "holds a dict, not a list of people"),
        (_text('[{"image": "a.jpg"}]'), InputError, "nobody in it is annotated"),
        (_text('[{"joints": []}]'), InputError, "person 0: no 'image'"),
        (_text('[{"image": "a.j'), DamagedError, "not JSON"),
        (_mat({"other": 1.0}), InputError, "no RELEASE.annolist in it"),
        (_mat({"RELEASE": 1.0}), InputError, "no RELEASE.annolist in it"),
        (_cut, DamagedError, "not readable as MATLAB"),
        (_id_16, InputError, "image 1: a joint has the id 16"),
        (_endless_id, InputError, "no id, x and y that are numbers"),
        (_absent, InputError, "x.mat: can't be opened: No such file"),
        (_other_kind, InputError, "unknown kind of file '.h5'"),
    ],
)
def test_wrong_files_are_one_message(
    tmp_path: Path, write: Callable[[Path], Path], error: type[InputError], message: str
) -> None:
    """Each names its place and rule, and no keypoints are written."""
    path = write(tmp_path)
    with pytest.raises(error, match=message):
        read_mpii(path)
    result = invoke("--root", path, "--out", tmp_path / "keypoints.npz")
    assert isinstance(result.exception, error)
    assert not (tmp_path / "keypoints.npz").exists()
