"""Detectors' own files: each is lifted to the same poses as the plain JSON of the same person."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from synrep.errors import DamagedError, InputError, InputWarning
from synrep.inference.keypoints import formats
from synrep.inference.keypoints.keypoints import read_keypoints
from synrep.inference.keypoints.source import Source
from synrep.inference.lift import lift
from synrep.keypoint_sets import COCO_17, HALPE_26, MEDIAPIPE_33, OPENPOSE_18, OPENPOSE_25

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.inference.lifter import Lifter

    Body = Callable[..., NDArray[np.float64]]

W, H = 1920, 1080
COCO_NAMES = [
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
    "left_knee", "right_knee", "left_ankle", "right_ankle",
]  # fmt: skip
MEDIAPIPE_NAMES = [
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye",
    "right_eye_outer", "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_pinky",
    "right_pinky", "left_index", "right_index", "left_thumb", "right_thumb", "left_hip",
    "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "left_heel",
    "right_heel", "left_foot_index", "right_foot_index",
]  # fmt: skip


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    """A file, with the folder that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
    return path


def flat(frame: NDArray[np.float64], sure: float = 0.9) -> list[float]:
    """x, y, confidence, x, y, ... of a frame."""
    return [value for x, y in frame.tolist() for value in (x, y, sure)]


def openpose(folder: Path, points: NDArray[np.float64]) -> Path:
    """A folder as OpenPose writes it."""
    for number, frame in enumerate(points):
        person = {"person_id": [-1], "pose_keypoints_2d": flat(frame), "face_keypoints_2d": []}
        text = json.dumps({"version": 1.3, "people": [person]})
        write(folder / f"clip_{number:012}_keypoints.json", text)
    return folder


def mmpose_instances(frame: NDArray[np.float64]) -> list[dict[str, Any]]:
    """A person as MMPose writes it."""
    scores = [0.8] * len(frame)
    box = {"bbox": [[1.0, 2.0, 3.0, 4.0]], "bbox_score": 0.9}
    return [{"keypoints": frame.tolist(), "keypoint_scores": scores, **box}]


def mmpose_list(folder: Path, points: NDArray[np.float64]) -> Path:
    """A video of MMPose's inferencer."""
    frames = [{"frame_id": n, "instances": mmpose_instances(f)} for n, f in enumerate(points)]
    return write(folder / "video.json", json.dumps(frames))


def mmpose_meta(folder: Path, points: NDArray[np.float64]) -> Path:
    """A video of MMPose's demos."""
    frames = [{"frame_id": n, "instances": mmpose_instances(f)} for n, f in enumerate(points)]
    meta = {"dataset_name": "coco", "keypoint_id2name": dict(enumerate(COCO_NAMES))}
    text = json.dumps({"meta_info": meta, "instance_info": frames})
    return write(folder / "results_video.json", text)


def mmpose_images(folder: Path, points: NDArray[np.float64]) -> Path:
    """A folder with a file for each image."""
    for number, frame in enumerate(points):
        write(folder / f"{number:06}.json", json.dumps(mmpose_instances(frame)))
    return folder


def alphapose(folder: Path, points: NDArray[np.float64]) -> Path:
    """AlphaPose's results with tracks."""
    entries = [
        {"image_id": f"{n}.jpg", "category_id": 1, "keypoints": flat(frame), "score": 2.9,
         "box": [1, 2, 3, 4], "idx": [1.0]}
        for n, frame in enumerate(points)
    ]  # fmt: skip
    return write(folder / "alphapose-results.json", json.dumps(entries))


def yolo(folder: Path, points: NDArray[np.float64]) -> Path:
    """YOLO's labels with confidences and tracks."""
    for number, frame in enumerate(points):
        words = ["0", "0.5", "0.5", "0.2", "0.7"]
        words += [f"{v:.9f}" for x, y in frame for v in (x / W, y / H, 0.9)]
        write(folder / f"clip_{number}.txt", " ".join([*words, "0.93", "4"]) + "\n")
    return folder


def yolo_plain(folder: Path, points: NDArray[np.float64]) -> Path:
    """YOLO's labels of a model without confidences."""
    for number, frame in enumerate(points):
        words = ["0", "0.5", "0.5", "0.2", "0.7", *(f"{v:.9f}" for v in (frame / [W, H]).ravel())]
        write(folder / f"{number}.txt", " ".join(words))
    return folder


def deeplabcut(folder: Path, points: NDArray[np.float64]) -> Path:
    """DeepLabCut's table of one animal."""
    parts = [name for name in COCO_NAMES for _ in range(3)]
    rows = [
        ["scorer", *["DLC_resnet50"] * len(parts)],
        ["bodyparts", *parts],
        ["coords", *["x", "y", "likelihood"] * len(COCO_NAMES)],
        *([n, *flat(frame)] for n, frame in enumerate(points)),
    ]
    return write(folder / "videoDLC.csv", "\n".join(",".join(map(str, row)) for row in rows))


def deeplabcut_individuals(folder: Path, points: NDArray[np.float64]) -> Path:
    """DeepLabCut's table of several animals, one of whom is never there."""
    parts = [name for name in COCO_NAMES for _ in range(3)]
    rows = [
        ["scorer", *["DLC"] * 2 * len(parts)],
        ["individuals", *["one"] * len(parts), *["two"] * len(parts)],
        ["bodyparts", *parts, *parts],
        ["coords", *["x", "y", "likelihood"] * 2 * len(COCO_NAMES)],
        *([n, *[""] * len(parts), *flat(frame)] for n, frame in enumerate(points)),
    ]
    return write(folder / "many.csv", "\n".join(",".join(map(str, row)) for row in rows))


def mediapipe_wide(folder: Path, points: NDArray[np.float64]) -> Path:
    """A row a frame, by names."""
    head = [f"{name}_{part}" for name in MEDIAPIPE_NAMES for part in ("x", "y", "z", "visibility")]
    rows = [
        [n, *(v for x, y in frame for v in (x / W, y / H, -0.1, 0.99))]
        for n, frame in enumerate(points)
    ]
    lines = [",".join(map(str, row)) for row in [["frame", *head], *rows]]
    return write(folder / "wide.csv", "\n".join(lines))


def mediapipe_numbered(folder: Path, points: NDArray[np.float64]) -> Path:
    """A row a frame, by numbers from 1 and with a class, as tutorials write it."""
    head = ["class", *(f"{part}{n}" for n in range(1, 34) for part in "xyzv")]
    rows = [["walk", *(v for x, y in f for v in (x / W, y / H, -0.1, 0.99))] for f in points]
    lines = [",".join(map(str, row)) for row in [head, *rows]]
    return write(folder / "coords.csv", "\n".join(lines))


def mediapipe_long(folder: Path, points: NDArray[np.float64]) -> Path:
    """A row a landmark."""
    lines = ["frame,landmark,x,y,z,visibility"]
    for n, frame in enumerate(points):
        lines += [f"{n},{k},{x / W},{y / H},0.1,0.9" for k, (x, y) in enumerate(frame)]
    return write(folder / "long.csv", "\n".join(lines))


def mediapipe_json(folder: Path, points: NDArray[np.float64]) -> Path:
    """Landmarks by frame."""
    frames = [
        {
            "frame": n,
            "landmarks": [{"x": x / W, "y": y / H, "z": 0, "visibility": 0.9} for x, y in frame],
        }
        for n, frame in enumerate(points)
    ]
    return write(folder / "landmarks.json", json.dumps({"frames": frames}))


def mediapipe_tasks(folder: Path, points: NDArray[np.float64]) -> Path:
    """As the landmarker returns them: a list of poses in each frame."""
    frames = [
        {"pose_landmarks": [[{"x": x / W, "y": y / H, "z": 0, "visibility": 0.9} for x, y in f]]}
        for f in points
    ]
    return write(folder / "tasks.json", json.dumps(frames))


def videopose3d(folder: Path, points: NDArray[np.float64]) -> Path:
    """What `prepare_data_2d_custom.py` writes."""
    folder.mkdir(parents=True)
    symmetry = [[1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]]
    metadata = {
        "layout_name": "coco", "num_joints": 17, "keypoints_symmetry": symmetry,
        "video_metadata": {"clip.mp4": {"w": W, "h": H}},
    }  # fmt: skip
    video = {"clip.mp4": {"custom": [points.astype("float32")]}}
    path = folder / "data_2d_custom_mine.npz"
    np.savez_compressed(path, positions_2d=np.array(video), metadata=np.array(metadata))
    return path


def semicolons(folder: Path, points: NDArray[np.float64]) -> Path:
    """A spreadsheet's table in a country of decimal commas, after pandas' index."""
    head = ["", *(f"{name}_{axis}" for name in COCO_NAMES for axis in "xy")]
    rows = [[n, *frame.ravel().tolist()] for n, frame in enumerate(points)]
    lines = [";".join(str(v).replace(".", ",") for v in row) for row in [head, *rows]]
    return write(folder / "table.csv", "\r\n".join(lines), "utf-8-sig")


def byte_order_mark(folder: Path, points: NDArray[np.float64]) -> Path:
    """Plain JSON as an editor of Windows saves it."""
    text = json.dumps({"skeleton": "coco-17", "keypoints": points.tolist()})
    return write(folder / "bom.json", text, "utf-8-sig")


pytestmark = pytest.mark.filterwarnings("error::synrep.errors.InputWarning")

FORMS = [
    ("openpose", openpose, OPENPOSE_25),
    ("openpose", openpose, OPENPOSE_18),
    ("mmpose", mmpose_list, COCO_17),
    ("mmpose", mmpose_list, HALPE_26),
    ("mmpose", mmpose_meta, COCO_17),
    ("mmpose", mmpose_images, COCO_17),
    ("alphapose", alphapose, COCO_17),
    ("alphapose", alphapose, HALPE_26),
    ("yolo", yolo, COCO_17),
    ("yolo", yolo_plain, COCO_17),
    ("deeplabcut", deeplabcut, COCO_17),
    ("deeplabcut", deeplabcut_individuals, COCO_17),
    ("mediapipe", mediapipe_wide, MEDIAPIPE_33),
    ("mediapipe", mediapipe_numbered, MEDIAPIPE_33),
    ("mediapipe", mediapipe_long, MEDIAPIPE_33),
    ("mediapipe", mediapipe_json, MEDIAPIPE_33),
    ("mediapipe", mediapipe_tasks, MEDIAPIPE_33),
    ("videopose3d", videopose3d, COCO_17),
    ("csv", semicolons, COCO_17),
    ("json", byte_order_mark, COCO_17),
]
FRACTIONS = ("yolo", "mediapipe")


@pytest.mark.parametrize(("name", "form", "joints"), FORMS)
def test_poses_are_those_of_plain_json(
    tmp_path: Path, body: Body, lifter: Lifter, name: str, form: Any, joints: Any
) -> None:
    """To a hundredth of a millimetre, under the right frames; fractions need the image's size."""
    points = body(joints.joints)
    source = form(tmp_path / "theirs", points)
    assert formats.format_of(Source(source)).name == name
    size = None
    if name in FRACTIONS:
        size = (W, H)
        with pytest.raises(InputError, match=r"normalised .*--image-size"):
            read_keypoints(source)
    found = read_keypoints(source, image_size=size)
    assert (found.joints, found.frames) == (joints, (0, 1, 2))
    plain = write(tmp_path / "plain.json", json.dumps(points.tolist()))
    expected = lift(lifter, read_keypoints(plain, joints.name))
    np.testing.assert_allclose(lift(lifter, found).poses, expected.poses, atol=0.01, rtol=0)


def test_joints_named_in_the_file_come_in_any_order(tmp_path: Path, body: Body) -> None:
    """MMPose's `keypoint_id2name` says which is which."""
    points = body(COCO_17.joints)
    order = np.random.default_rng(0).permutation(17)
    names = {str(n): COCO_NAMES[joint] for n, joint in enumerate(order)}
    frames = [
        {"frame_id": n, "instances": mmpose_instances(f[order])} for n, f in enumerate(points)
    ]
    content = {"meta_info": {"keypoint_id2name": names}, "instance_info": frames}
    found = read_keypoints(write(tmp_path / "a.json", json.dumps(content)))
    np.testing.assert_array_equal(found.points_px, points)


@pytest.mark.parametrize(("count", "joints"), [(133, COCO_17), (136, HALPE_26)])
def test_bodies_of_whole_bodies(tmp_path: Path, body: Body, count: int, joints: Any) -> None:
    """The first joints are the body's."""
    points = body(joints.joints)
    longer = np.concatenate([points, np.ones((3, count - len(joints.joints), 2))], 1)
    found = read_keypoints(alphapose(tmp_path, longer))
    assert found.joints is joints
    np.testing.assert_array_equal(found.points_px, points)


def test_body_parts_that_are_no_joints_are_told(tmp_path: Path, body: Body) -> None:
    """DeepLabCut's are the user's own: those that a set lacks are left out."""
    path = deeplabcut(tmp_path, body(COCO_17.joints))
    path.write_text(re.sub(r"nose(?=,left)|nose", "snout", path.read_text()))
    with pytest.raises(InputError, match=r"no known set: snout, left_eye.*--skeleton"):
        read_keypoints(path)
    with pytest.warns(InputWarning, match="coco-17 has no snout: left out"):
        found = read_keypoints(path, "coco")
    assert np.isnan(found.points_px[:, 0]).all()
    assert np.isfinite(found.points_px[:, 1:]).all()


def person(points: Any) -> str:
    """A file of MMPose's with one person."""
    return json.dumps([{"keypoints": points, "keypoint_scores": [1] * len(points)}])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", json.dumps({"people": [{"pose_keypoints_2d": [9] * 45}]}), "15 joints .*BODY"),
        ("a.json", person([[1, 2, 3]] * 17), "it holds 3D keypoints"),
        ("a.json", person([[9, 9]] * 21), "predictions of 21 joints .*--skeleton"),
        ("a.json", json.dumps([{"keypoint_scores": [1]}]), "no keypoints"),
        ("a.json", json.dumps({"instance_info": 4}), "no list of instances"),
        ("a.json", json.dumps([{"frame_id": "x", "instances": []}]), "no frame_id"),
        ("a.json", json.dumps([{"frame_id": 3, "instances": []}]), "nobody was detected"),
        ("a.json", json.dumps([{"x": 0.5, "y": 0.5}] * 17), "a pose of 17 landmarks .*33"),
        ("a.json", json.dumps([{"x": 0.5, "y": "high"}] * 33), "a landmark is no object"),
        ("a.json", json.dumps([{"landmarks": [{"x": 9, "y": 9}] * 33}, {}]), "frame has no land"),
        ("a.json", json.dumps({"images": [], "annotations": []}), "it has images, annotations"),
        ("a.txt", "0 0.5 0.5 0.2 0.2 0.1 0.1", "7 numbers is no YOLO pose of coco-17"),
        ("a.txt", "0 " + "0.5 " * 55 + "\n0 a b", "it holds words"),
        ("a.txt", "hello", "unknown kind of file"),
        ("a.mp4", "x", r"\.mp4 files are not read: run a 2D detector"),
        ("a.PKL", "x", r"\.PKL files are not read: pickles are never read"),
        ("a.csv", "scorer,D,D\nbodyparts,a,a\n0,1,2", "needs the rows scorer, bodyparts"),
        ("a.csv", "scorer,D,D\nbodyparts,a,a\ncoords,x\n0,1,2", "not equally long"),
        ("a.csv", "frame,landmark,x,y\n0,tail,1,2", "no landmark 'tail'"),
        ("a.csv", "frame,landmark,x,y\n0,3,1,2\n0,3,1,2", "landmark '3' of frame 0 comes twice"),
        ("a.csv", "frame,landmark,x,y\nz,3,1,2", "frame is 'z', no number"),
        ("a.csv", "frame,landmark,x,y\n1,3,1", "3 cells"),
    ],
)  # fmt: skip
def test_what_is_refused_says_what_it_is(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    """And what to do."""
    with pytest.raises(InputError, match=message):
        read_keypoints(write(tmp_path / name, content))


def test_other_archives_of_videopose3d(tmp_path: Path, body: Body) -> None:
    """Several videos are named; pickles that do more than hold data are refused."""
    points = body(COCO_17.joints)
    for number, content in enumerate(
        (
            {"a.mp4": {"custom": [points]}, "b.mp4": {"custom": [points]}},
            {"a.mp4": {"custom": [points, points]}},
            {"a.mp4": {"custom": [["no", "array"]]}},
            {"S1": {"Walk": [points], "Sit": [points]}},
        )
    ):
        np.savez(tmp_path / f"{number}.npz", positions_2d=np.array(content, object))
    for number, message in enumerate(
        ("2 videos: a.mp4, b.mp4", "not seen by one camera", "no arrays", "2 entries")
    ):
        with pytest.raises(InputError, match=message):
            read_keypoints(tmp_path / f"{number}.npz")
    np.savez(tmp_path / "evil.npz", positions_2d=np.array([os.system], object))
    with pytest.raises(DamagedError, match="not plain data"):
        read_keypoints(tmp_path / "evil.npz")
