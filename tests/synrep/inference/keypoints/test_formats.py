"""Keypoint files: the same keypoints in every format, tables, COCO's results, empty frames."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from synrep.errors import InputError
from synrep.inference.keypoints import formats
from synrep.inference.keypoints.keypoints import read_keypoints, skip_missing
from synrep.inference.keypoints.readers.spelling import plain
from synrep.inference.keypoints.source import Content, Format, Source, stack_frames
from synrep.keypoint_sets import COCO_17, KEYPOINT_SETS, MPII_16

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.keypoint_sets import KeypointSet

SETS = list(KEYPOINT_SETS.values())


def points(joints: KeypointSet, frames: int = 3) -> NDArray[np.float64]:
    """Random x, y and confidence (F, J, 3) in a 1000-pixel image."""
    random = np.random.default_rng(7)
    found = random.uniform(0, 1000, (frames, len(joints.joints), 3))
    found[..., 2] = random.uniform(0.1, 1, found.shape[:2])
    return found


def write_json(path: Path, content: Any) -> Path:
    """A JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_csv(path: Path, header: list[str], rows: list[list[Any]]) -> Path:
    """A CSV file."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def columns(joints: KeypointSet) -> list[str]:
    """Headers for x, y and confidence of all joints, in the project's own spelling."""
    return [f"{joint}_{part}" for joint in joints.joints for part in ("x", "y", "confidence")]


def test_every_format_holds_the_same_keypoints(tmp_path: Path) -> None:
    """JSON, npz, CSV and COCO's results of the same people are read as the same pixels."""
    values = points(COCO_17)
    flat = values.reshape(3, -1)
    results = [
        {"image_id": n, "category_id": 1, "keypoints": flat[n].tolist(), "score": 0.9}
        for n in (2, 0, 1)
    ]
    np.savez(tmp_path / "a.npz", keypoints=values, frames=np.arange(3))
    sources = {
        "json": write_json(tmp_path / "frames.json", values.tolist()),
        "coco": write_json(tmp_path / "results.json", results),
        "csv": write_csv(tmp_path / "a.csv", columns(COCO_17), flat.tolist()),
        "npz": tmp_path / "a.npz",
    }
    for name, source in sources.items():
        assert formats.format_of(Source(source)).name == name
        found = read_keypoints(source, "coco")
        np.testing.assert_allclose(found.points_px, values[..., :2], err_msg=source.name)
        assert (found.joints, found.frames) == (COCO_17, (0, 1, 2))


def made_up(source: Source, skeleton: str | None) -> Content:
    """A made-up format: a text file a frame, numbered by its name."""
    files = source.files(".pts")
    frames = [np.loadtxt(file, ndmin=2) if file.read_text() else None for file in files]
    numbers = [int(file.stem) for file in files]
    points = stack_frames(frames, files, source)
    return Content(points=points, skeleton=skeleton or "coco-17", frames=numbers)


MADE_UP = Format(
    name="text", help="", recognises=lambda source: bool(source.files(".pts")), read=made_up
)


def test_a_new_format_is_read_by_its_entry_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder with a file a frame, or one file; other formats are still told apart from it."""
    values = points(COCO_17)
    for number, frame in zip(("03", "05", "08"), values, strict=True):
        np.savetxt(tmp_path / f"{number}.pts", frame)
    (tmp_path / "04.pts").write_text("")
    with pytest.raises(
        InputError, match=r"no known format; its first file is '03\.pts' \(known: o"
    ):
        read_keypoints(tmp_path)
    monkeypatch.setattr(formats, "FORMATS", (*formats.FORMATS, MADE_UP))
    found = read_keypoints(tmp_path)
    assert (found.joints, found.frames) == (COCO_17, (3, 4, 5, 8))
    np.testing.assert_allclose(found.points_px[[0, 2, 3]], values[..., :2])
    assert np.isnan(found.points_px[1]).all()
    assert read_keypoints(tmp_path / "05.pts").points_px.shape == (1, 17, 2)
    with pytest.raises(InputError, match=r"04\.pts: nobody was detected in this frame"):
        read_keypoints(tmp_path / "04.pts")
    assert (
        read_keypoints(write_json(tmp_path / "a.json", values.tolist()), "coco").joints is COCO_17
    )


def test_names_of_formats_are_distinct() -> None:
    """And the one that takes any JSON file is asked after all that know theirs."""
    names = [entry.name for entry in formats.FORMATS]
    assert len(names) == len(set(names))
    assert names.index("json") > max(names.index("coco"), names.index("openpose"))


def test_coco_results_are_sorted_and_the_best_is_taken(tmp_path: Path) -> None:
    """Entries come in any order, several for an image; images are the frames."""
    values = points(COCO_17, 4).reshape(4, -1).tolist()
    entries = [
        {"image_id": 139, "keypoints": values[0], "score": 0.5},
        {"image_id": 20, "keypoints": values[1], "score": 0.2},
        {"image_id": 139, "keypoints": values[2], "score": 0.8},
        {"image_id": 139, "keypoints": values[3], "score": 0.7},
    ]
    found = read_keypoints(write_json(tmp_path / "results.json", entries))
    assert found.frames == (20, 139)
    assert found.points_px[:, 0, 0].tolist() == [values[1][0], values[2][0]]


def test_images_with_names_are_in_natural_order(tmp_path: Path) -> None:
    """'9.jpg' comes before '10.jpg'; frames then count from 0."""
    values = points(COCO_17, 3).reshape(3, -1).tolist()
    names = ("10.jpg", "9.jpg", "a.jpg")
    entries = [
        {"image_id": name, "keypoints": value} for name, value in zip(names, values, strict=True)
    ]
    found = read_keypoints(write_json(tmp_path / "results.json", entries))
    assert found.points_px[:, 0, 0].tolist() == [values[1][0], values[0][0], values[2][0]]
    assert found.frames == (0, 1, 2)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"keypoints": [1, 2, 3] * 17}, "entry 1 is no result"),
        ({"image_id": [3], "keypoints": [1, 2, 3] * 17}, "entry 1 is no result"),
        ({"image_id": 3, "keypoints": "none"}, "entry 1 is no result"),
        ({"image_id": 3, "keypoints": [1, 2, 3] * 17, "score": "high"}, "entry 1 is no result"),
        (7, "entry 1 is no result"),
        ({"image_id": 3, "keypoints": [1, 2, 3] * 26}, ".*26 joints, where other"),
    ],
)
def test_other_results_are_refused(tmp_path: Path, entry: Any, message: str) -> None:
    """The entry is named."""
    good = {"image_id": 2, "keypoints": [1, 2, 3] * 17, "score": 1}
    path = write_json(tmp_path / "results.json", [good, entry])
    with pytest.raises(InputError, match=rf"results\.json.*{message}"):
        read_keypoints(path)


@pytest.mark.parametrize("joints", SETS, ids=lambda joints: joints.name)
@settings(max_examples=10)
@given(data=st.data())
def test_tables_of_every_set(
    tmp_path_factory: pytest.TempPathFactory, joints: KeypointSet, data: st.DataObject
) -> None:
    """The header tells the set, whatever the order of its columns; rows are the frames."""
    count = len(joints.joints)
    values = data.draw(arrays(np.float64, (2, count, 3), elements=st.floats(10, 4000)))
    order = data.draw(st.permutations(range(3 * count)))
    rows = values.reshape(2, -1)[:, order]
    header = [columns(joints)[index] for index in order]
    path = tmp_path_factory.mktemp("table") / "a.csv"
    found = read_keypoints(write_csv(path, header, rows.tolist()))
    assert found.joints is joints
    np.testing.assert_array_equal(found.points_px, values[..., :2])


@pytest.mark.parametrize("joints", SETS, ids=lambda joints: joints.name)
def test_spellings_do_not_collide(joints: KeypointSet) -> None:
    """No two joints of a set are the same in the spelling by which they are compared."""
    assert len({plain(joint) for joint in joints.joints}) == len(joints.joints)
    assert plain("left_ankle") == plain("LFoot") == plain("L-Foot") == "lfoot"


def test_tables_of_detectors(tmp_path: Path) -> None:
    """COCO's own names, a column `frame`, no confidences, joints left out, empty cells."""
    wanted = [joint for joint in COCO_17.joints if "Eye" not in joint]
    long = {"L": "left_", "R": "right_"}
    names = [
        (long[j[0]] + j[1:].lower().replace("foot", "ankle")) if j[0] in long else j.lower()
        for j in wanted
    ]
    header = ["frame", *(f"{name}_{axis}" for name in names for axis in "xy")]
    rows: list[list[Any]] = [[n, *np.arange(2.0 * len(names)) + n] for n in (5, 9)]
    rows[1][1 + 2 * names.index("left_wrist")] = ""
    path = write_csv(tmp_path / "a.csv", header, rows)
    with pytest.raises(InputError, match=r"joints are those of no known set: .*--skeleton"):
        read_keypoints(path)
    found = read_keypoints(path, "coco")
    assert found.frames == (5, 9)
    assert found.points_px[0, COCO_17.index("RFoot")].tolist() == [33, 34]
    kept, left_out = skip_missing(found)
    assert (kept.frames, left_out) == ((5,), {9: ["LWrist"]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("Nose_x", "Nose"), "column 'Nose' is not understood"),
        (lambda text: text.replace("Nose_x", "Nose_z"), "column 'Nose_z' is not understood"),
        (lambda text: text.replace("Nose_x", "Tail_x"), "coco-17 has no joint 'tail'"),
        (lambda text: text.replace("Nose_x", "LEye_x"), "two columns of 'leye'"),
        (lambda text: text.replace("Nose_x", "Nose_score"), "two columns of 'nose'"),
        (lambda text: text.replace("Nose_x,", "").replace("4,1.0,", "4,"), "'nose' needs a col"),
        (lambda text: text.replace("4,1.0,", "4,one,"), "row 1 below .* Nose_x is 'one'"),
        (lambda text: text.replace("4,1.0,", "4.5,1.0,"), "row 1 below .* '4.5' is no frame"),
        (lambda text: text.replace("4,1.0,", "4,"), "row 1 below .* 51 cells, the header has 52"),
        (lambda text: text + text.splitlines()[1], "a frame's number comes twice"),
        (lambda text: text.splitlines()[0], "it holds no frames"),
        (lambda _text: "", "it holds no frames"),
    ],
)
def test_faulty_tables_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    """With the column or the row."""
    path = write_csv(tmp_path / "a.csv", ["frame", *columns(COCO_17)], [[4, *[1.0] * 51]])
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=rf"a\.csv: {message}"):
        read_keypoints(path, "coco-17")


def test_frames_without_anybody(tmp_path: Path) -> None:
    """A video of OpenPose may lose the person; that frame is told, or left out."""
    person = {"pose_keypoints_2d": [3.0, 4.0, 0.5] * 25}
    for number, people in enumerate(([person], [], [person])):
        write_json(tmp_path / "video" / f"v_{number}_keypoints.json", {"people": people})
    found = read_keypoints(tmp_path / "video")
    assert np.isnan(found.points_px[1]).all()
    kept, left_out = skip_missing(found)
    assert kept.frames == (0, 2)
    assert list(left_out) == [1]
    write_json(tmp_path / "none" / "v_0.json", {"people": []})
    write_json(tmp_path / "none" / "v_1.json", {"people": []})
    with pytest.raises(InputError, match="none: nobody was detected"):
        read_keypoints(tmp_path / "none")
    write_json(tmp_path / "video" / "v_9.json", {"people": [{"pose_keypoints_2d": [1.0] * 54}]})
    with pytest.raises(InputError, match=r"v_9\.json: 18 joints, where other frames have 25"):
        read_keypoints(tmp_path / "video")


@pytest.mark.parametrize("frames", [[1], [1, 2.5, 3], ["a", "b", "c"], [1, 1, 2], [[1], [2, 3]]])
def test_wrong_frame_numbers_are_refused(tmp_path: Path, frames: Any) -> None:
    """One whole number for each frame, none twice."""
    content = {"skeleton": "mpii-16", "keypoints": points(MPII_16).tolist(), "frames": frames}
    path = write_json(tmp_path / "a.json", content)
    with pytest.raises(InputError, match=r"'frames' are not one|comes twice"):
        read_keypoints(path)
