"""BVH files: positions known by hand, names, units, axes, frame rates and splits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from synrep.datasets.mocap.bvh import BvhOptions, read_bvh_folder
from synrep.datasets.mocap.heads import CROWN_FROM_SKULL_MM, NOSE_FROM_SKULL_MM, REFERENCE_LEG_MM
from synrep.datasets.store import checks
from synrep.datasets.store.store import Description, Poses
from synrep.errors import InputError
from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from pathlib import Path

at = HUMAN36M_17.index


Turns = dict[str, tuple[float, float, float]]


@dataclass
class Node:
    """A joint of a BVH hierarchy: name, offset from its parent, children."""

    name: str
    offset: tuple[float, float, float]
    children: list[Node] = field(default_factory=list)

    def lines(self, depth: int = 0) -> list[str]:
        """The joint's block of text."""
        root = "6 Xposition Yposition Zposition" if depth == 0 else "3"
        text = [
            f"{'JOINT' if depth else 'ROOT'} {self.name}",
            "{",
            "OFFSET " + " ".join(f"{value:g}" for value in self.offset),
            f"CHANNELS {root} Zrotation Yrotation Xrotation",
        ]
        for child in self.children:
            text += child.lines(depth + 1)
        return [*text, *(() if self.children else ("End Site", "{", "OFFSET 0 0 0", "}")), "}"]

    def names(self) -> list[str]:
        """All joints in the order of the file."""
        return [self.name, *(name for child in self.children for name in child.names())]


def chain(*joints: tuple[str, tuple[float, float, float]]) -> Node:
    """Joints of which each is the child of the one before."""
    nodes = [Node(*joint) for joint in joints]
    for parent, child in pairwise(nodes):
        parent.children.append(child)
    return nodes[0]


def lafan_body() -> Node:
    """A T-pose in centimetres with y up, facing +z, left is +x."""
    head = chain(("Neck", (0, 15, 0)), ("Head", (0, 10, 0)))
    arms = [
        chain(
            (f"{side}Shoulder", (2 * sign, 13, 0)),
            (f"{side}Arm", (15 * sign, 0, 0)),
            (f"{side}ForeArm", (28 * sign, 0, 0)),
            (f"{side}Hand", (25 * sign, 0, 0)),
        )
        for side, sign in (("Left", 1), ("Right", -1))
    ]
    legs = [
        chain(
            (f"{side}UpLeg", (10 * sign, 0, 0)),
            (f"{side}Leg", (0, -44, 0)),
            (f"{side}Foot", (0, -45, 0)),
            (f"{side}Toe", (0, -6, 14)),
        )
        for side, sign in (("Left", 1), ("Right", -1))
    ]
    spine = chain(("Spine", (0, 10, 0)), ("Spine1", (0, 12, 0)), ("Spine2", (0, 12, 0)))
    spine.children[0].children[0].children += [head, *arms]
    return Node("Hips", (0, 0, 0), [*legs, spine])


def write_bvh(
    path: Path,
    body: Node,
    frames: int = 4,
    *,
    root: tuple[float, float, float] = (0, 95, 0),
    turns: Turns | None = None,
    frame_time: float = 1 / 30,
) -> None:
    """Write a file in which every frame is the same pose; `turns` are (z, y, x) degrees."""
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = [*root]
    for name in body.names():
        numbers += (turns or {}).get(name, (0, 0, 0))
    row = " ".join(f"{value:g}" for value in numbers)
    text = [
        "HIERARCHY",
        *body.lines(),
        "MOTION",
        f"Frames: {frames}",
        f"Frame Time: {frame_time:.7f}",
    ]
    path.write_text("\n".join([*text, *[row] * frames]) + "\n")


def read(folder: Path, **options: Any) -> tuple[Poses, list[str]]:
    """All poses under a folder."""
    return read_bvh_folder(folder, BvhOptions(**options))


def test_positions_known_by_hand(tmp_path: Path) -> None:
    """A T-pose in y-up centimetres becomes z-up millimetres, every joint where it must be."""
    write_bvh(tmp_path / "walk1_subject1.bvh", lafan_body(), root=(30, 95, 7))
    poses, notes = read(tmp_path)
    joints = poses.joints_mm[0]
    # +y is up: the file's (x, y, z) is the store's (y, z, x).
    expected = {
        "Hip": (70, 300, 950),
        "LHip": (70, 400, 950),
        "RKnee": (70, 200, 510),
        "LFoot": (70, 400, 60),
        "Spine": (70, 300, 950 + 280),
        "Thorax": (70, 300, 950 + 490),
        "LShoulder": (70, 300 + 170, 950 + 470),
        "LElbow": (70, 300 + 450, 950 + 470),
        "RWrist": (70, 300 - 700, 950 + 470),
        "Nose": (70 + 95 * 890 / 897, 300, 950 + 590 - 10 * 890 / 897),
        "Head": (70, 300, 950 + 590 + 95 * 890 / 897),
    }
    assert (REFERENCE_LEG_MM, NOSE_FROM_SKULL_MM[0], CROWN_FROM_SKULL_MM[2]) == (897, 95, 95)
    for name, position in expected.items():
        np.testing.assert_allclose(joints[at(name)], position, atol=0.01, err_msg=name)
    assert notes == [
        "1 files, joint map lafan1",
        "unit cm (judged by the length of the legs)",
        "up +y (judged by the trunks)",
        "30 frames per second",
    ]
    assert (poses.subject[0], poses.action[0], poses.clip[0]) == (
        "subject1",
        "walk",
        "walk1_subject1",
    )


def test_rotations_turn_the_limbs_below(tmp_path: Path) -> None:
    """A knee bent by 90 degrees about the file's x axis moves the ankle back and up."""
    write_bvh(tmp_path / "walk1_subject1.bvh", lafan_body(), turns={"LeftLeg": (0, 0, 90)})
    joints = read(tmp_path)[0].joints_mm[0]
    np.testing.assert_allclose(joints[at("LFoot")] - joints[at("LKnee")], [-450, 0, 0], atol=0.01)
    np.testing.assert_allclose(joints[at("RFoot")] - joints[at("RKnee")], [0, 0, -450], atol=0.01)


def test_nose_follows_the_head(tmp_path: Path) -> None:
    """A head turned left by 90 degrees, in one of many clips, has its nose on the left."""
    for clip in range(1, 20):
        write_bvh(tmp_path / f"stand{clip}_subject1.bvh", lafan_body())
    write_bvh(tmp_path / "turn1_subject1.bvh", lafan_body(), turns={"Head": (0, 90, 0)})
    poses = read(tmp_path)[0]
    joints = poses.joints_mm[poses.action == "turn"][0].astype(np.float64)
    ahead = joints[at("Nose")] - joints[at("Thorax")]
    assert ahead[1] > 90
    assert abs(ahead[0]) < 10


def test_head_turns_with_everything_below_it(tmp_path: Path) -> None:
    """Neck bent forward by 90 degrees, then the head turned left: nose left, crown forward."""
    for clip in range(1, 20):
        write_bvh(tmp_path / f"stand{clip}_subject1.bvh", lafan_body())
    turns: Turns = {"Neck": (0, 0, 90), "Head": (0, 90, 0)}
    write_bvh(tmp_path / "turn1_subject1.bvh", lafan_body(), turns=turns)
    poses = read(tmp_path)[0]
    joints = poses.joints_mm[poses.action == "turn"][0].astype(np.float64)
    skull = joints[at("Thorax")] + [100, 0, 0]
    np.testing.assert_allclose(joints[at("Nose")] - skull, [-10, 95, 0], atol=12)
    np.testing.assert_allclose(joints[at("Head")] - skull, [95, 0, 0], atol=12)
    expected = np.hypot(95, 105) * 890 / 897
    assert np.linalg.norm(joints[at("Head")] - joints[at("Nose")]) == pytest.approx(expected)


def test_head_is_level_over_a_leaning_trunk(tmp_path: Path) -> None:
    """The head of a person who leans forward is held level: the crown is above the skull."""
    turns: Turns = {"Spine": (0, 0, 25), "Neck": (0, 0, -25)}
    write_bvh(tmp_path / "walk1_subject1.bvh", lafan_body(), turns=turns)
    joints = read(tmp_path)[0].joints_mm[0].astype(np.float64)
    skull = joints[at("Thorax")] + [0, 0, 100]
    np.testing.assert_allclose(joints[at("Head")] - skull, [0, 0, 95 * 890 / 897], atol=0.1)


def test_skull_axes_do_not_matter(tmp_path: Path) -> None:
    """Conventions with rotated head joints in the rest pose give the same nose and crown."""
    write_bvh(tmp_path / "a" / "walk1_subject1.bvh", lafan_body())
    write_bvh(tmp_path / "b" / "walk1_subject1.bvh", lafan_body(), turns={"Head": (90, 20, -70)})
    plain, turned = (read(tmp_path / name)[0].joints_mm for name in "ab")
    np.testing.assert_allclose(turned, plain, atol=0.01)


def test_result_passes_the_checks_of_a_store(tmp_path: Path) -> None:
    """Left, right, front and up survive the change of axes."""
    bent: Turns = {"LeftLeg": (0, 0, 60), "RightLeg": (0, 0, 60)}
    write_bvh(tmp_path / "squat1_subject1.bvh", lafan_body(), 20, turns=bent)
    poses = read(tmp_path)[0]
    about = Description(name="x", skeleton="human36m-17", fps=30, licence="none")
    outcomes = list(checks.run(checks.REQUIRED | checks.THOROUGH, poses, about, "x"))
    assert [check for check in outcomes if check.status != "passed"] == []


@pytest.mark.parametrize(
    ("up", "turn", "root"),
    [
        ("+z", (0, 0, 90), (0, 0, 95)),
        ("-y", (180, 0, 0), (0, -95, 0)),
        ("+x", (-90, 0, 0), (95, 0, 0)),
    ],
)
def test_up_axis_is_detected_or_given(
    tmp_path: Path,
    up: str,
    turn: tuple[float, float, float],
    root: tuple[float, float, float],
) -> None:
    """Turned files give the same upright person, without mirroring it."""
    write_bvh(tmp_path / "walk1_subject1.bvh", lafan_body(), root=root, turns={"Hips": turn})
    poses, notes = read(tmp_path)
    assert notes[2] == f"up {up} (judged by the trunks)"
    joints = poses.joints_mm[0].astype(np.float64)
    assert joints[at("Head"), 2] - joints[at("LFoot"), 2] > 1400
    left = joints[at("LHip")] - joints[at("RHip")]
    ahead = np.cross(left, [0, 0, 1])
    assert (joints[at("Nose")] - joints[at("Head")]) @ ahead > 0
    np.testing.assert_array_equal(read(tmp_path, up=up)[0].joints_mm, poses.joints_mm)


def test_no_axis_is_up(tmp_path: Path) -> None:
    """If people lie in both directions, the error asks for the option of the up axis."""
    write_bvh(tmp_path / "a_subject1.bvh", lafan_body(), turns={"Hips": (0, 0, 90)})
    write_bvh(tmp_path / "b_subject1.bvh", lafan_body(), turns={"Hips": (0, 0, -90)})
    with pytest.raises(InputError, match=r"--up: .*upright along no axis .*--up \+y"):
        read(tmp_path)


def scaled(node: Node, factor: float) -> Node:
    """The body in another unit."""
    x, y, z = (value * factor for value in node.offset)
    return Node(node.name, (x, y, z), [scaled(child, factor) for child in node.children])


@pytest.mark.parametrize(("unit", "factor"), [("mm", 10), ("m", 0.01), ("inch", 1 / 2.54)])
def test_unit_is_detected_or_given(tmp_path: Path, unit: str, factor: float) -> None:
    """The unit is detected from the length of the legs; the result is in millimetres."""
    write_bvh(tmp_path / "a" / "walk1_subject1.bvh", lafan_body())
    write_bvh(
        tmp_path / "b" / "walk1_subject1.bvh",
        scaled(lafan_body(), factor),
        root=(0, 95 * factor, 0),
    )
    expected = read(tmp_path / "a")[0].joints_mm
    found, notes = read(tmp_path / "b")
    assert notes[1].startswith(f"unit {unit} ")
    np.testing.assert_allclose(found.joints_mm, expected, atol=0.02)
    np.testing.assert_allclose(read(tmp_path / "b", unit=unit)[0].joints_mm, expected, atol=0.02)


def test_unit_that_fits_nothing(tmp_path: Path) -> None:
    """Implausible leg lengths are refused, and the error names the option."""
    write_bvh(tmp_path / "walk1_subject1.bvh", scaled(lafan_body(), 300))
    with pytest.raises(InputError, match=r"legs 2\.67e\+04 long fit no unit .*--unit mm\|cm"):
        read(tmp_path)


def test_files_of_different_units(tmp_path: Path) -> None:
    """Centimetres and metres in one folder are refused, both files are named."""
    write_bvh(tmp_path / "a_subject1.bvh", lafan_body())
    write_bvh(tmp_path / "b_subject1.bvh", scaled(lafan_body(), 0.01), root=(0, 0.95, 0))
    with pytest.raises(InputError, match=r"b_subject1\.bvh: looks like m where .*a_subject1"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("frame_time", "wanted", "kept", "fps"),
    [(1 / 120, 25, 8, 24), (1 / 100, 25, 10, 25), (1 / 30, 25, 40, 30), (1 / 60, 10, 7, 10)],
)
def test_frames_are_strided(
    tmp_path: Path, frame_time: float, wanted: float, kept: int, fps: float
) -> None:
    """Every n-th frame is kept; the rate that results is the poses' rate."""
    write_bvh(tmp_path / "walk1_subject1.bvh", lafan_body(), 40, frame_time=frame_time)
    poses = read(tmp_path, fps=wanted)[0]
    assert len(poses) == kept
    assert poses.fps == pytest.approx(fps)
    assert poses.frame.tolist() == list(range(kept))


def test_different_rates_are_refused(tmp_path: Path) -> None:
    """Files of 30 and 120 frames per second give different rates for a target of 25."""
    write_bvh(tmp_path / "a_subject1.bvh", lafan_body())
    write_bvh(tmp_path / "b_subject1.bvh", lafan_body(), frame_time=1 / 120)
    with pytest.raises(InputError, match=r"b_subject1\.bvh: gives 24 frames .* gives 30"):
        read(tmp_path)
    assert read(tmp_path, fps=30)[0].fps == 30


def renamed(node: Node, names: dict[str, str]) -> Node:
    """The body with other joint names."""
    children = [renamed(child, names) for child in node.children]
    return Node(names.get(node.name, node.name), node.offset, children)


def test_missing_joint_is_named_with_candidates(tmp_path: Path) -> None:
    """With a given map the error names the missing joint, its use and similar names."""
    body = renamed(lafan_body(), {"LeftForeArm": "LeftLowArm"})
    write_bvh(tmp_path / "walk1_subject1.bvh", body)
    with pytest.raises(
        InputError,
        match=r"walk1_subject1\.bvh: no joint 'LeftForeArm', which the joint map 'lafan1' needs "
        r"for LElbow .*LeftLowArm",
    ):
        read(tmp_path, joint_map="lafan1")


def test_unknown_names(tmp_path: Path) -> None:
    """Without a matching map the error names the nearest one and lists the file's joints."""
    body = renamed(lafan_body(), {"LeftForeArm": "LeftLowArm"})
    write_bvh(tmp_path / "walk1_subject1.bvh", body)
    with pytest.raises(InputError, match=r"nearest is 'lafan1', which needs LeftForeArm .*LeftLow"):
        read(tmp_path)
    with pytest.raises(
        InputError, match=r"unknown name 'lafan' .*auto, cmu, cmu-asf, lafan1, 100style"
    ):
        read(tmp_path, joint_map="lafan")


def test_path_without_subject(tmp_path: Path) -> None:
    """A path that the pattern doesn't fit, or a broken pattern, asks for --path."""
    write_bvh(tmp_path / "walk.bvh", lafan_body())
    with pytest.raises(InputError, match=r"'walk' names no subject .*--path"):
        read(tmp_path)
    with pytest.raises(InputError, match=r"--path: not a regular expression"):
        read(tmp_path, path="(")


def test_empty_folder(tmp_path: Path) -> None:
    """No files is an error that says where."""
    with pytest.raises(InputError, match=re.escape(f"{tmp_path}: no .bvh files")):
        read(tmp_path)
    with pytest.raises(InputError, match="nowhere: there is no such folder"):
        read(tmp_path / "nowhere")


def test_a_joint_map_is_looked_up_before_any_file_is_read(tmp_path: Path) -> None:
    """A misspelt option is reported before any file is read."""
    (tmp_path / "broken.bvh").write_text("nothing")
    with pytest.raises(InputError, match="unknown name 'lafan'"):
        read(tmp_path, joint_map="lafan")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "not readable as BVH"),
        (lambda text: text.replace("Frames: 4", "Frames: 6"), "declares 6 frames of 69 channels"),
        (
            lambda text: text.replace("3 Z", "6 Xposition Yposition Zposition Z", 1),
            "frames of 72 channels but holds 276 numbers",
        ),
        (lambda _text: "", "not readable as BVH"),
    ],
)
def test_damaged_file_is_named(tmp_path: Path, damage: Any, message: str) -> None:
    """Truncated or invalid files raise one error that names the file."""
    path = tmp_path / "walk1_subject1.bvh"
    write_bvh(path, lafan_body())
    path.write_text(damage(path.read_text()))
    with pytest.raises(InputError, match=rf"walk1_subject1\.bvh: .*{message}"):
        read(tmp_path)


def test_progress_is_told(tmp_path: Path) -> None:
    """The callback is called for every file."""
    for clip in "abc":
        write_bvh(tmp_path / f"{clip}_subject1.bvh", lafan_body())
    heard: list[tuple[int, int]] = []
    read_bvh_folder(tmp_path, BvhOptions(), lambda done, total: heard.append((done, total)))
    assert heard == [(1, 3), (2, 3), (3, 3)]
