"""Lifting keypoint files: every format and joint set, what is refused, and the scales."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from synrep.config import DataConfig, GeneratorConfig, TrainConfig
from synrep.errors import InputError
from synrep.evaluation.tables import BodyScale
from synrep.inference.keypoints.keypoints import Keypoints, read_keypoints, to_skeleton
from synrep.inference.lift import ANKLE_HEIGHT, Lifted, lift
from synrep.inference.lift_file import lift_file
from synrep.inference.lifter import Lifter
from synrep.keypoint_sets import COCO_17, KEYPOINT_SETS, MPII_16, OPENPOSE_25, KeypointSet
from synrep.model.networks import Generator
from synrep.skeleton import HUMAN36M_16, HUMAN36M_17
from synrep.storage import Storage
from synrep.training.checkpoint import TrainingState, save_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SETS = list(KEYPOINT_SETS.values())
HUMAN36M = KEYPOINT_SETS[HUMAN36M_17.name]


def trained(**data: Any) -> Lifter:
    """A small generator with random weights for bodies of known size."""
    config = TrainConfig(generator=GeneratorConfig(width=16, blocks=1), data=DataConfig(**data))
    torch.manual_seed(1)
    network = Generator(config.generator, config.data.joints)
    return Lifter(
        config=config,
        weights={name: value.numpy() for name, value in network.state_dict().items()},
        body=BodyScale(bone_length_sum_mm=4000.0, scale_mm=500.0),
        best={},
    )


def keypoints(joints: KeypointSet, frames: int = 2) -> Keypoints:
    """Random points of a 1000-pixel image."""
    points = np.random.default_rng(5).uniform(0, 1000, (frames, len(joints.joints), 2))
    return Keypoints(joints=joints, points_px=points, source="test")


def at(found: NDArray[Any], joint: str) -> NDArray[Any]:
    """A joint's points (F, D)."""
    return np.asarray(found[:, HUMAN36M_17.index(joint)])


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint file with a generator that never reported."""
    source = trained()
    state = TrainingState(
        arrays={f"generator.{name}": value for name, value in source.weights.items()},
        meta={
            "config": source.config.model_dump(mode="json"),
            "best": None,
            "bone_length_sum_mm": 4000.0,
            "scale_mm": 500.0,
        },
    )
    return tmp_path / save_checkpoint(Storage.at(tmp_path), state, 0).file


def test_coco_becomes_human36m_by_name() -> None:
    """The trunk comes from hips and shoulders, the crown lies beyond the nose."""
    given = keypoints(COCO_17)
    points = {name: given.points_px[:, index] for index, name in enumerate(COCO_17.joints)}
    found = to_skeleton(given)
    neck = (points["LShoulder"] + points["RShoulder"]) / 2
    hip = (points["LHip"] + points["RHip"]) / 2
    np.testing.assert_allclose(at(found, "Hip"), hip)
    np.testing.assert_allclose(at(found, "Thorax"), neck)
    np.testing.assert_allclose(at(found, "Spine"), (neck + hip) / 2)
    np.testing.assert_allclose(at(found, "Head"), neck + 2 * (points["Nose"] - neck))
    np.testing.assert_allclose(at(found, "LWrist"), points["LWrist"])


def test_openpose_becomes_human36m_by_name() -> None:
    """OpenPose measures neck and middle of the hips itself."""
    given = keypoints(OPENPOSE_25)
    points = {name: given.points_px[:, index] for index, name in enumerate(OPENPOSE_25.joints)}
    found = to_skeleton(given)
    np.testing.assert_allclose(at(found, "Hip"), points["MidHip"])
    np.testing.assert_allclose(at(found, "Thorax"), points["Neck"])
    np.testing.assert_allclose(at(found, "Spine"), (points["Neck"] + points["MidHip"]) / 2)
    np.testing.assert_allclose(at(found, "Head"), 2 * points["Nose"] - points["Neck"])
    np.testing.assert_allclose(at(found, "RFoot"), points["RFoot"])


@pytest.mark.parametrize("mpii_map", ["geometric", "kudo"])
def test_mpii_becomes_human36m_by_the_chosen_map(mpii_map: Any) -> None:
    """Upper neck is thorax in both; the spine is a middle, or the chest (row 35)."""
    given = keypoints(MPII_16)
    points = {name: given.points_px[:, index] for index, name in enumerate(MPII_16.joints)}
    found = to_skeleton(given, mpii_map=mpii_map)
    middle = (points["Pelvis"] + points["UpperNeck"]) / 2
    spine = middle if mpii_map == "geometric" else points["Chest"]
    np.testing.assert_allclose(at(found, "Spine"), spine)
    np.testing.assert_allclose(at(found, "Thorax"), points["UpperNeck"])
    np.testing.assert_allclose(at(found, "Nose"), (points["UpperNeck"] + points["HeadTop"]) / 2)
    np.testing.assert_allclose(at(found, "Head"), points["HeadTop"])


def test_the_default_map_has_the_measured_shares() -> None:
    """Lifting by a new configuration; a stored one lifts by the map it names."""
    given = keypoints(MPII_16)
    neck, top = (given.points_px[:, MPII_16.index(name)] for name in ("UpperNeck", "HeadTop"))
    for data, shares in (({}, (0.24, 0.63)), ({"sh_map": "geometric"}, (0.5, 1.0))):
        found = lift(trained(joints=17, **data), given)
        for joint, share in zip(("Nose", "Head"), shares, strict=True):
            wanted = neck + share * (top - neck)
            np.testing.assert_allclose(at(found.keypoints_px, joint), wanted)


def test_martinez_map_has_no_nose() -> None:
    """It serves the 16 joints it was made for and is refused for 17."""
    given = keypoints(MPII_16)
    assert to_skeleton(given, HUMAN36M_16, "martinez").shape == (2, 16, 2)
    with pytest.raises(InputError, match="'martinez' has no Nose"):
        to_skeleton(given, HUMAN36M_17, "martinez")


@pytest.mark.parametrize("joints", SETS, ids=lambda joints: joints.name)
def test_conversions_move_with_the_picture(joints: KeypointSet) -> None:
    """The shares of every joint add up to 1, so moving and scaling a picture commute with them."""
    rule = joints.conversion()
    assert set(rule) == set(HUMAN36M_17.joints)
    for shares in rule.values():
        assert sum(shares.values()) == pytest.approx(1)
        assert set(shares) <= set(joints.joints)


@pytest.mark.parametrize("joints", SETS, ids=lambda joints: joints.name)
@pytest.mark.parametrize("count", [17, 16])
def test_every_set_can_be_lifted(joints: KeypointSet, count: int) -> None:
    """Into either skeleton, root at the origin, every pose finite."""
    found = lift(trained(joints=count), keypoints(joints))
    assert found.poses.shape == (2, count, 3)
    assert np.isfinite(found.poses).all()
    np.testing.assert_allclose(found.poses[:, 0], 0, atol=1e-3)


def test_a_new_set_is_lifted_by_its_entry_alone(
    monkeypatch: pytest.MonkeyPatch, checkpoint: Path, tmp_path: Path
) -> None:
    """Known by its short name, mapped by its own conversion, from any file to poses."""
    identity = {joint: {joint: 1.0} for joint in HUMAN36M_17.joints}
    made = KeypointSet(
        name="made-up-17",
        help="made up",
        short_names=("made-up",),
        joints=(*HUMAN36M_17.joints[::-1][:-1], "Middle"),
        to_human36m=identity | {"Hip": {"Middle": 1.0}, "Nose": {"Head": 2.0, "Thorax": -1.0}},
    )
    monkeypatch.setitem(KEYPOINT_SETS, made.name, made)
    points = keypoints(HUMAN36M).points_px
    source = write(tmp_path / "in.json", points[:, ::-1].tolist())
    found = lift_file(checkpoint, source, tmp_path / "poses.npz", skeleton="made-up")
    head, thorax = points[:, HUMAN36M.index("Head")], points[:, HUMAN36M.index("Thorax")]
    points[:, HUMAN36M.index("Nose")] = 2 * head - thorax
    np.testing.assert_allclose(found.keypoints_px, points)
    header = [f"{joint}_{axis}" for joint in made.joints for axis in "xy"]
    row = [str(number) for number in range(2 * len(made.joints))]
    (tmp_path / "in.csv").write_text(",".join(header) + "\n" + ",".join(row) + "\n")
    assert read_keypoints(tmp_path / "in.csv").joints is made


def test_resolution_does_not_matter() -> None:
    """The same person in a picture twice as large, elsewhere, is the same pose."""
    given = keypoints(HUMAN36M)
    larger = Keypoints(joints=given.joints, points_px=given.points_px * 2 + 300, source="larger")
    small, large = lift(trained(), given), lift(trained(), larger)
    np.testing.assert_allclose(small.poses, large.poses, atol=0.05)


def bones_mm(found: Lifted, *bones: tuple[str, str]) -> NDArray[np.float64]:
    """Sum of some bones' lengths (F,)."""
    lines = [at(found.poses, start) - at(found.poses, end) for start, end in bones]
    return np.asarray(np.linalg.norm(lines, axis=-1).sum(0))


def test_scale_by_bone_length() -> None:
    """The bones of every pose add up to the training poses' mean."""
    found = lift(trained(), keypoints(HUMAN36M))
    every = list(zip(HUMAN36M_17.parents[1:], HUMAN36M_17.joints[1:], strict=True))
    assert found.units == "mm"
    np.testing.assert_allclose(bones_mm(found, *every), 4000, rtol=1e-5)


def test_scale_by_height() -> None:
    """From ankle to crown, with the mean of both legs, a person is as tall as was said."""
    found = lift(trained(), keypoints(HUMAN36M), height_mm=1800)
    trunk = bones_mm(found, ("Hip", "Spine"), ("Spine", "Thorax"), ("Thorax", "Head"))
    legs = bones_mm(
        found, ("LHip", "LKnee"), ("LKnee", "LFoot"), ("RHip", "RKnee"), ("RKnee", "RFoot")
    )
    np.testing.assert_allclose(trunk + legs / 2, 1800 * (1 - ANKLE_HEIGHT), rtol=1e-5)


def test_other_scales() -> None:
    """A constant makes millimetres of radii; radii stay what the network says."""
    given = keypoints(HUMAN36M)
    radii = lift(trained(), given, scale="radii")
    constant = lift(trained(), given, scale="constant")
    assert radii.units == "radii"
    np.testing.assert_allclose(constant.poses, radii.poses * 500, rtol=1e-5)
    planar = np.linalg.norm(radii.poses[:, 1:, :2], axis=-1).mean(-1)
    np.testing.assert_allclose(planar, 1, rtol=1e-5)


@pytest.mark.parametrize(("scale", "height"), [("constant", 1800), ("bone_length", -1)])
def test_impossible_heights_are_refused(scale: Any, height: float) -> None:
    """A height scales bones, and is positive."""
    with pytest.raises(InputError, match="height_mm"):
        lift(trained(), keypoints(HUMAN36M), scale=scale, height_mm=height)


def write(path: Path, content: Any) -> Path:
    """A JSON file."""
    path.write_text(json.dumps(content))
    return path


def test_json_forms(tmp_path: Path) -> None:
    """Frames, one frame, named frames, and frames with confidences are all the same keypoints."""
    points = keypoints(COCO_17).points_px
    sure = np.concatenate([points, np.ones((2, 17, 1))], -1)
    named = {"skeleton": "coco-17", "keypoints": points.tolist()}
    forms = (points.tolist(), named, {"keypoints": points.tolist()}, sure.tolist())
    for index, content in enumerate(forms):
        found = read_keypoints(write(tmp_path / f"{index}.json", content), "coco-17")
        np.testing.assert_array_equal(found.points_px, points)
    single = read_keypoints(write(tmp_path / "one.json", points[0].tolist()), "coco-17")
    np.testing.assert_array_equal(single.points_px, points[:1])


def test_npz_forms(tmp_path: Path) -> None:
    """The array `keypoints`, or the only one; the file may name its joints."""
    points = keypoints(MPII_16).points_px
    np.savez(tmp_path / "only.npz", anything=points)
    np.savez(tmp_path / "named.npz", keypoints=points, other=np.zeros(3), skeleton="mpii-16")
    for name, skeleton in (("only.npz", "mpii-16"), ("named.npz", None)):
        found = read_keypoints(tmp_path / name, skeleton)
        np.testing.assert_array_equal(found.points_px, points)
        assert found.joints is MPII_16


def openpose(confidence: float, value: float) -> dict[str, list[float]]:
    """One person as OpenPose writes it."""
    return {"pose_keypoints_2d": [value, value, confidence] * 25}


def test_openpose_forms(tmp_path: Path) -> None:
    """A file is a frame, a folder a video; of several people the surest is taken."""
    people = [openpose(0.2, 100.0), openpose(0.9, 200.0)]
    write(tmp_path / "v_0.json", {"version": 1.3, "people": people})
    write(tmp_path / "v_1.json", {"version": 1.3, "people": [openpose(0.5, 300.0)]})
    video = read_keypoints(tmp_path)
    assert video.joints is OPENPOSE_25
    assert video.points_px[:, 0, 0].tolist() == [200.0, 300.0]
    assert read_keypoints(tmp_path / "v_0.json").points_px.shape == (1, 25, 2)


def test_missing_joints_are_named(tmp_path: Path) -> None:
    """null, NaN and confidence 0 are told with frame and joint; unused joints may be missing."""
    points: list[Any] = keypoints(COCO_17, 3).points_px.tolist()
    sure: list[Any] = [[[*point, 1.0] for point in frame] for frame in points]
    sure[2][COCO_17.index("LWrist")][2] = 0.0
    sure[0][COCO_17.index("LEye")][2] = 0.0
    points[1][COCO_17.index("Nose")] = None
    points[2][COCO_17.index("RKnee")] = [None, 4.0]
    given = read_keypoints(write(tmp_path / "sure.json", sure), "coco-17")
    with pytest.raises(InputError, match=r"missing joints: frame 2: LWrist \("):
        lift(trained(), given)
    given = read_keypoints(write(tmp_path / "null.json", points), "coco-17")
    with pytest.raises(InputError, match="frame 1: Nose; frame 2: RKnee"):
        lift(trained(), given)
    np.savez(tmp_path / "nan.npz", np.full((1, 17, 2), np.nan))
    with pytest.raises(InputError, match="and 8 more"):
        lift(trained(), read_keypoints(tmp_path / "nan.npz", "coco-17"))


def test_frames_with_missing_joints_can_be_left_out() -> None:
    """The other frames are lifted as ever and keep their numbers; what was left out is told."""
    points = keypoints(COCO_17, 4).points_px
    points[1, COCO_17.index("Nose")] = np.nan
    points[1, COCO_17.index("LHip"), 0] = np.inf
    points[2, COCO_17.index("LEye")] = np.nan
    given = Keypoints(joints=COCO_17, points_px=points, source="test", frames=(10, 20, 30, 40))
    found = lift(trained(), given, skip_missing_joints=True)
    assert found.frames == (10, 30, 40)
    assert found.left_out == {20: ["LHip", "Nose"]}
    whole = Keypoints(joints=COCO_17, points_px=points[[0, 2, 3]], source="test")
    np.testing.assert_array_equal(found.poses, lift(trained(), whole).poses)
    points[:, COCO_17.index("Nose")] = np.nan
    with pytest.raises(InputError, match="no frame has all joints; frame 10 lacks Nose"):
        lift(trained(), given, skip_missing_joints=True)


@pytest.mark.parametrize(
    ("content", "skeleton", "message"),
    [
        ([[[1, 2]] * 17], None, "nothing says which joints"),
        ([[[1, 2]] * 17], "kinect", "unknown name 'kinect'"),
        ([[[1, 2]] * 16], "coco-17", r"its shape is \(1, 16, 2\)"),
        ([[[1, 2]] * 17, [[1, 2]] * 16], "coco-17", "not numbers in the shape"),
        ([["a", "b"]], "coco-17", "not numbers in the shape"),
        ({"skeleton": "mpii", "keypoints": []}, "coco", "it holds mpii-16 keypoints, not coco-17"),
        ({"points": []}, "coco-17", "no key 'keypoints'"),
        ({"skeleton": ["coco-17"], "keypoints": []}, None, r"its 'skeleton' is \['coco-17'\]"),
        ({"people": []}, None, "nobody was detected"),
        ({"people": [{"face": []}]}, None, "not OpenPose JSON"),
    ],
)
def test_unusable_json_is_refused(
    tmp_path: Path, content: Any, skeleton: str | None, message: str
) -> None:
    """With the file's name and the broken rule."""
    path = write(tmp_path / "keypoints.json", content)
    with pytest.raises(InputError, match=message):
        read_keypoints(path, skeleton)


def test_unusable_files_are_refused(tmp_path: Path) -> None:
    """Pickles are never read; other kinds of file are told apart."""
    np.savez(tmp_path / "objects.npz", keypoints=np.array([{}], dtype=object))
    np.savez(tmp_path / "two.npz", a=np.zeros(1), b=np.zeros(1))
    (tmp_path / "bad.npz").write_text("not a zip")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "two.npz").read_bytes()[:100])
    np.savez(tmp_path / "none.npz", np.zeros((0, 17, 2)))
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, np.zeros((1, 17, 2)))
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "empty").mkdir()
    for name, message in (
        ("objects.npz", "pickled values"),
        ("two.npz", "no array 'keypoints', but a, b"),
        ("bad.npz", "not a whole .npz file"),
        ("cut.npz", "not a whole .npz file"),
        ("array.npz", "not a whole .npz file"),
        ("none.npz", "it holds no frames"),
        ("bad.json", "not JSON"),
        ("absent.json", "can't be read"),
        ("absent.npz", "can't be read"),
        ("poses.doc", "unknown kind of file"),
        ("empty", "the folder is empty"),
    ):
        with pytest.raises(InputError, match=message):
            read_keypoints(tmp_path / name, "coco-17")


def test_files_hold_the_poses(checkpoint: Path, tmp_path: Path) -> None:
    """By the suffix; npz, JSON and CSV agree and name units, joints, frames and axes."""
    source = write(tmp_path / "in.json", keypoints(COCO_17).points_px.tolist())
    outs = [tmp_path / f"out/poses{suffix}" for suffix in (".npz", ".json", ".png", ".csv")]
    for out in outs:
        found = lift_file(checkpoint, source, out, skeleton="coco-17")
    with np.load(outs[0], allow_pickle=False) as file:
        arrays = dict(file)
    content = json.loads(outs[1].read_text())
    np.testing.assert_array_equal(arrays["poses"], found.poses)
    np.testing.assert_allclose(content["poses"], found.poses, atol=1e-4)
    assert content["joints"] == arrays["joints"].tolist() == list(HUMAN36M_17.joints)
    assert content["units"] == str(arrays["units"]) == "mm"
    assert "z away" in content["frame"]
    assert arrays["frames"].tolist() == content["frames"] == [0, 1]
    header, *rows = [line.split(",") for line in outs[3].read_text().splitlines()]
    assert header[:5] == ["frame", "Hip_x_mm", "Hip_y_mm", "Hip_z_mm", "RHip_x_mm"]
    table = np.array(rows, float)
    assert table[:, 0].tolist() == [0, 1]
    np.testing.assert_allclose(table[:, 1:].reshape(2, 17, 3), found.poses, atol=1e-4)
    assert outs[2].read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("poses.csv", "poses.json", "poses.npz", "poses.png"),
    ]


def test_unknown_output_is_refused_first(tmp_path: Path) -> None:
    """Before anything is read."""
    with pytest.raises(InputError, match="unknown kind of file"):
        lift_file(tmp_path / "absent", tmp_path / "absent", tmp_path / "poses.bvh")
