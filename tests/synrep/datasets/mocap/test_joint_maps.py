"""Joint maps: joint names and paths of each data set, and custom maps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from synrep.datasets.mocap.bvh import BvhOptions, read_bvh, read_bvh_folder
from synrep.datasets.mocap.joint_maps import (
    JOINT_MAPS,
    NEEDED,
    JointMap,
    detect_joint_map,
    load_joint_map,
)
from synrep.errors import InputError
from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from pathlib import Path

    from synrep.datasets.store.store import Poses

at = HUMAN36M_17.index
CHANNELS = "Zrotation Yrotation Xrotation"
MOVES = "Xposition Yposition Zposition"

Joint = tuple[str, str, tuple[float, float, float]]
"""Name, parent, offset in centimetres; y up, facing z, left is x."""


def limbs(shoulders: str, hips: str, arms: str, legs: str, sides: tuple[str, str]) -> list[Joint]:
    """Both sides of a T-pose; names are separated by spaces, `{}` is the side."""
    found: list[Joint] = []
    for side, x in zip(sides, (1, -1), strict=True):
        arm, leg = arms.format(*[side] * 4).split(), legs.format(*[side] * 3).split()
        steps = [(2 * x, 13, 0), (15 * x, 0, 0), (28 * x, 0, 0), (25 * x, 0, 0)]
        found += list(zip(arm, [shoulders, *arm], steps, strict=False))
        steps = [(10 * x, 0, 0), (0, -44, 0), (0, -45, 0)]
        found += list(zip(leg, [hips, *leg], steps, strict=False))
    return found


def trunk(names: str) -> list[Joint]:
    """Hips, three joints of the spine, neck and head."""
    heights = (95, 10, 12, 12, 15, 10)
    joints = names.split()
    return list(zip(joints, ["", *joints], [(0, y, 0) for y in heights], strict=False))


LAFAN1 = trunk("Hips Spine Spine1 Spine2 Neck Head") + limbs(
    "Spine2", "Hips", "{}Shoulder {}Arm {}ForeArm {}Hand", "{}UpLeg {}Leg {}Foot", ("Left", "Right")
)
XSENS = trunk("Hips Chest Chest2 Chest3 Neck Head") + limbs(
    "Chest3", "Hips", "{}Collar {}Shoulder {}Elbow {}Wrist", "{}Hip {}Knee {}Ankle",
    ("Left", "Right"),
)  # fmt: skip
BANDAI = [("joint_Root", "", (0.0, 0.0, 0.0)), ("Hips", "joint_Root", (0.0, 95.0, 0.0))]
BANDAI += trunk("Hips Spine Chest Neck Head")[1:] + limbs(
    "Chest", "Hips", "Shoulder_{} UpperArm_{} LowerArm_{} Hand_{}",
    "UpperLeg_{} LowerLeg_{} Foot_{}", ("L", "R"),
)  # fmt: skip


def write_bvh(path: Path, joints: list[Joint], *, six: bool = False) -> None:
    """A file of two frames without rotations. With `six`, every joint has positions too.

    Those positions are the joints' offsets, and the offsets in the hierarchy are then wrong, so
    that a reader that adds the two, or takes the offsets, finds other places.
    """

    def block(name: str, offset: tuple[float, float, float]) -> str:
        children = [joint for joint in joints if joint[1] == name]
        inner = "".join(f"JOINT {child[0]}\n" + block(child[0], child[2]) for child in children)
        moves = "6 " + MOVES if six or not parents[name] else "3"
        shown = [value + 7 for value in offset] if six else offset
        return (
            "{\nOFFSET " + " ".join(f"{v:g}" for v in shown) + f"\nCHANNELS {moves} {CHANNELS}\n"
            + (inner or "End Site\n{\nOFFSET 0 0 0\n}\n") + "}\n"
        )  # fmt: skip

    parents = {name: parent for name, parent, _ in joints}
    root, _, place = joints[0]
    numbers: list[float] = []

    def collect(name: str, offset: tuple[float, float, float]) -> None:
        numbers.extend([*offset, 0, 0, 0] if six or not parents[name] else [0, 0, 0])
        for child in joints:
            if child[1] == name:
                collect(child[0], child[2])

    collect(root, place)
    row = " ".join(f"{value:g}" for value in numbers) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = f"HIERARCHY\nROOT {root}\n{block(root, place)}MOTION\nFrames: 2\nFrame Time: 0.0333333\n"
    path.write_text(text + 2 * row)


def read(folder: Path, **options: str) -> tuple[Poses, list[str]]:
    """All poses under a folder."""
    return read_bvh_folder(folder, BvhOptions.checked(**options))


@pytest.mark.parametrize("name", JOINT_MAPS)
def test_tables_are_complete_and_symmetric(name: str) -> None:
    """Every convention maps every joint, and left and right use mirrored names."""
    entry = JOINT_MAPS[name]
    assert entry.name == name
    assert set(entry.joints) == set(NEEDED)
    pairs = [("Left", "Right"), ("_L", "_R"), ("l", "r")]
    for joint, (source,) in ((j, s) for j, s in entry.joints.items() if j[0] in "LR"):
        mirrored = entry.joints[("R" if joint[0] == "L" else "L") + joint[1:]][0]
        left, right = (source, mirrored) if joint[0] == "L" else (mirrored, source)
        assert right in {left.replace(a, b, 1) for a, b in pairs} - {left}


@pytest.mark.parametrize(
    ("joints", "path", "expected"),
    [
        (LAFAN1, "fallAndGetUp2_subject3", ("lafan1", "subject3", "fallAndGetUp")),
        (LAFAN1, "lafan1/aiming1_subject1", ("lafan1", "subject1", "aiming")),
        (XSENS, "Aeroplane/Aeroplane_FW", ("100style", "Aeroplane", "FW")),
        (XSENS, "100STYLE/Zombie/Zombie_TR3", ("100style", "Zombie", "TR3")),
        (XSENS, "OnToesBentForward/OnToesBentForward_ID", ("100style", "OnToesBentForward", "ID")),
        (XSENS, "dora/sneak_02", ("xsens", "dora", "sneak")),
        (
            BANDAI,
            "data/dataset-1_raise-up-both-hands_not-confident_003",
            ("bandai-namco", "not-confident", "raise-up-both-hands"),
        ),
        (
            BANDAI,
            "dataset-2_walk-turn-left_active_012",
            ("bandai-namco", "active", "walk-turn-left"),
        ),
    ],
)
def test_data_sets_are_known_by_joints_and_path(
    tmp_path: Path, joints: list[Joint], path: str, expected: tuple[str, str, str]
) -> None:
    """The joint map is detected, subject and action are parsed from the path."""
    write_bvh(tmp_path / f"{path}.bvh", joints, six=joints is BANDAI)
    poses, notes = read(tmp_path)
    assert notes[0] == f"1 files, joint map {expected[0]}"
    assert (poses.subject[0], poses.action[0]) == expected[1:]
    assert poses.clip[0] == path
    named, _ = read(tmp_path, joint_map=expected[0])
    np.testing.assert_array_equal(named.joints_mm, poses.joints_mm)


def test_where_no_actor_is_named_a_note_says_so(tmp_path: Path) -> None:
    """A note says that subjects are styles, unless the user gives a pattern."""
    write_bvh(tmp_path / "Aeroplane" / "Aeroplane_FW.bvh", XSENS)
    assert read(tmp_path)[1][-1].startswith("no actor is named in these files")
    mine = read(tmp_path, path=r"(?P<subject>[^/]+)/.*_(?P<action>..)")
    assert mine[1][-1] == "30 frames per second"


@pytest.mark.parametrize("joints", [LAFAN1, XSENS, BANDAI])
def test_limbs_are_where_they_must_be(tmp_path: Path, joints: list[Joint]) -> None:
    """The same T-pose in three conventions: equal hips, legs and arms, in z-up millimetres."""
    write_bvh(tmp_path / "set" / "walk1_subject1.bvh", joints, six=joints is BANDAI)
    poses, _ = read(tmp_path, path=r".*_(?P<subject>.*)")
    missing = 0 if joints is not BANDAI else 120  # its spine has one joint less
    expected = {
        "Hip": (0, 0, 950),
        "LHip": (0, 100, 950),
        "RKnee": (0, -100, 510),
        "LFoot": (0, 100, 60),
        "LShoulder": (0, 170, 1420 - missing),
        "LElbow": (0, 450, 1420 - missing),
        "RWrist": (0, -700, 1420 - missing),
    }
    for name, place in expected.items():
        np.testing.assert_allclose(poses.joints_mm[0, at(name)], place, atol=0.01, err_msg=name)
    assert poses.joints_mm[0, at("Nose"), 0] > 80


def test_positions_take_the_place_of_offsets(tmp_path: Path) -> None:
    """Position channels of joints replace their offsets."""
    write_bvh(tmp_path / "a.bvh", BANDAI, six=True)
    motion = read_bvh(tmp_path / "a.bvh", 30)
    places = dict(zip(motion.names, motion.world()[0][0], strict=True))
    np.testing.assert_allclose(places["Hips"], [0, 95, 0])
    np.testing.assert_allclose(places["Hand_L"], [70, 95 + 10 + 12 + 13, 0])
    assert motion.fps == 30


def test_a_path_tells_maps_of_equal_joints_apart() -> None:
    """If no path pattern matches, the more general map is chosen."""
    names = [name for name, _, _ in XSENS]
    assert detect_joint_map("x", names, "Cat/Cat_SR").name == "100style"
    assert detect_joint_map("x", names, "anna/Cat_XX").name == "xsens"
    assert detect_joint_map("x", names).name == "xsens"
    assert load_joint_map("100style").joints == load_joint_map("xsens").joints


def test_cmu_conversion_gets_its_missing_bone_back(tmp_path: Path) -> None:
    """The bone that CMU's conversions lost between Spine1 and neck and arms is restored."""
    names = {"Hips": "Hips", "Spine": "LowerBack", "Spine1": "Spine", "Spine2": "Spine1"}
    cmu = [(names.get(n, n), names.get(p, p), offset) for n, p, offset in LAFAN1 if n != "Head"]
    cmu += [("Neck1", "Neck", (0, 8, 0)), ("Head", "Neck1", (0, 9, 0))]
    cmu += [("LHipJoint", "Hips", (0, 0, 0))]
    write_bvh(tmp_path / "02" / "02_01.bvh", cmu)
    poses, notes = read(tmp_path)
    assert notes[0] == "1 files, joint map cmu"
    assert (poses.subject[0], poses.action[0]) == ("02", "unknown")
    above_hip = poses.joints_mm[0, :, 2] - poses.joints_mm[0, 0, 2]
    lost = 1.01 * 12  # from Spine to Spine1
    expected = {"Spine": 28, "LShoulder": 34 + 13 + lost, "Thorax": 34 + 15 + 8 + lost}
    for joint, cm in expected.items():
        assert above_hip[at(joint)] == pytest.approx(10 * cm, abs=0.01)


def test_a_new_map_is_known_by_its_entry_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by its joints, and by name."""
    names = {"LeftForeArm": "LeftLowArm"}
    joints = [(names.get(n, n), names.get(p, p), offset) for n, p, offset in LAFAN1]
    write_bvh(tmp_path / "anna" / "walk_1.bvh", joints)
    with pytest.raises(InputError, match="no known joint names; nearest is"):
        read(tmp_path)
    made = JointMap(
        name="made-up",
        help="made up",
        joints=JOINT_MAPS["lafan1"].joints | {"LElbow": ("LeftLowArm",)},
        skull="Head",
    )
    monkeypatch.setitem(JOINT_MAPS, made.name, made)
    for chosen in ("auto", "made-up"):
        poses, notes = read(tmp_path, joint_map=chosen)
        assert notes[0] == "1 files, joint map made-up"
        assert (poses.subject[0], poses.action[0]) == ("anna", "walk")
        assert poses.joints_mm[0, at("LElbow"), 1] == pytest.approx(450, abs=0.01)


def test_own_joint_map(tmp_path: Path) -> None:
    """A JSON file describes any skeleton; a map that lacks a joint is refused."""
    names = {"LeftForeArm": "LeftLowArm", "Head": "Kopf"}
    mine = [(names.get(n, n), names.get(p, p), offset) for n, p, offset in LAFAN1]
    write_bvh(tmp_path / "walk" / "walk1_subject1.bvh", mine)
    joints = JOINT_MAPS["lafan1"].joints | {"LElbow": ("LeftLowArm",)}
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"name": "mine", "joints": joints, "skull": "Kopf"}))
    pattern = r"(?P<action>[a-z]+)1_(?P<subject>.*)"
    poses = read(tmp_path / "walk", joint_map=str(path), path=pattern)[0]
    assert poses.joints_mm[0, at("LElbow"), 1] == pytest.approx(450, abs=0.01)
    path.write_text(json.dumps({"name": "mine", "joints": {"Hip": ["Hips"]}, "skull": "Head"}))
    with pytest.raises(InputError, match=r"map\.json: `joints` lacks RHip"):
        read(tmp_path / "walk", joint_map=str(path))
    path.write_text(json.dumps({"name": "mine"}))
    with pytest.raises(InputError, match=r"map\.json: joints: Field required; skull: Field"):
        read(tmp_path / "walk", joint_map=str(path))
