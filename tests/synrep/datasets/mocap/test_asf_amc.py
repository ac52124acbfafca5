"""ASF and AMC files: positions against independent kinematics, units, angles, subjects, errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from synrep.cli.data import data
from synrep.datasets.mocap.asf_amc import (
    AsfAmcOptions,
    find_asf,
    read_amc,
    read_asf,
    read_asf_amc_folder,
)
from synrep.datasets.store.store import PoseStore
from synrep.errors import InputError
from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MM = 25.4 / 0.45
"""Millimetres in CMU's unit of length."""


@dataclass(frozen=True)
class Bone:
    """A bone as an .asf file describes it: y up, facing z, left is x."""

    name: str
    parent: str
    direction: tuple[float, float, float]
    length: float
    axis: tuple[float, float, float] = (0, 0, 0)
    dof: str = "rx ry rz"


def side(letter: str, x: int) -> list[Bone]:
    """Limbs of one side, with tilted axes and few degrees of freedom as in CMU's files."""
    return [
        Bone(f"{letter}hipjoint", "root", (0.6 * x, -0.7, 0.2), 2.5, dof=""),
        Bone(f"{letter}femur", f"{letter}hipjoint", (0.3 * x, -0.9, 0), 7.1, (0, 0, 20 * x)),
        Bone(f"{letter}tibia", f"{letter}femur", (0.3 * x, -0.9, 0), 7.3, (0, 0, 20 * x), "rx"),
        Bone(f"{letter}foot", f"{letter}tibia", (0.1, -0.2, 1), 2, (-90, 9, 20 * x), "rx rz"),
        Bone(f"{letter}clavicle", "thorax", (0.9 * x, 0.4, -0.1), 3.5, dof="ry rz"),
        Bone(f"{letter}humerus", f"{letter}clavicle", (x, 0, 0), 4.8, (180, 30 * x, 90 * x)),
        Bone(f"{letter}radius", f"{letter}humerus", (x, 0, 0), 3.5, (180, 30 * x, 90 * x), "rx"),
        Bone(f"{letter}wrist", f"{letter}radius", (x, 0, 0), 1.7, (0, 90 * x, 90 * x), "ry"),
    ]


BODY = [
    *side("l", 1),
    *side("r", -1),
    Bone("lowerback", "root", (0, 1, -0.1), 2.1),
    Bone("upperback", "lowerback", (0, 1, 0), 2.2),
    Bone("thorax", "upperback", (0, 1, 0.1), 2.1),
    Bone("lowerneck", "thorax", (0, 1, 0.1), 1.7, dof="rz rx"),
    Bone("upperneck", "lowerneck", (0, 0.9, -0.3), 1.6),
    Bone("head", "upperneck", (0, 1, 0), 1.8),
]
MADE_OF = {
    **{f"{s}Hip": [f"{s.lower()}hipjoint"] for s in "LR"},
    **{f"{s}Knee": [f"{s.lower()}femur"] for s in "LR"},
    **{f"{s}Foot": [f"{s.lower()}tibia"] for s in "LR"},
    **{f"{s}Shoulder": [f"{s.lower()}clavicle"] for s in "LR"},
    **{f"{s}Elbow": [f"{s.lower()}humerus"] for s in "LR"},
    **{f"{s}Wrist": [f"{s.lower()}radius"] for s in "LR"},
    "Hip": ["lhipjoint", "rhipjoint"],
    "Spine": ["lowerback", "upperback"],
    "Thorax": ["lowerneck"],
}
"""The bones at whose ends a joint of Human3.6M lies."""


def asf_text(order: str = "TX TY TZ RX RY RZ", angle: str = "deg", root: str = "") -> str:
    """A skeleton file."""
    lines = ["# made by a test", ":version 1.10", ":name VICON", ":units", "  mass 1.0"]
    lines += ["  length 0.45", f"  angle {angle}", ":documentation", "   free text", ":root"]
    lines += [f"   order {order}", "   axis XYZ", "   position 1 2 3", "   orientation 0 0 0", root]
    lines += [":bonedata"]
    for number, bone in enumerate(BODY, 1):
        axis = np.radians(bone.axis) if angle == "rad" else np.array(bone.axis)
        lines += ["  begin", f"     id {number}", f"     name {bone.name}"]
        lines += ["     direction " + " ".join(f"{v:g}" for v in bone.direction)]
        lines += [f"     length {bone.length:g}"]
        lines += ["     axis " + " ".join(f"{v:.12g}" for v in axis) + "  XYZ"]
        if bone.dof:
            lines += [f"    dof {bone.dof}", "    limits (-160.0 20.0)", "           (-70.0 70.0)"]
        lines += ["  end"]
    lines += [":hierarchy", "  begin"]
    for parent in ("root", *(bone.name for bone in BODY)):
        if children := [bone.name for bone in BODY if bone.parent == parent]:
            lines += ["    " + " ".join((parent, *children))]
    return "\n".join([*lines, "  end", ""])


Frame = dict[str, list[float]]


def amc_text(frames: list[Frame], unit: str = ":DEGREES") -> str:
    """A motion file; angles as given."""
    lines = ["#!OML:ASF nowhere.asf", ":FULLY-SPECIFIED", unit]
    for number, frame in enumerate(frames, 1):
        lines.append(str(number))
        lines += [
            f"{name} " + " ".join(f"{v:.12g}" for v in values) for name, values in frame.items()
        ]
    return "\n".join([*lines, ""])


def random_frame(seed: int, spread: float) -> Frame:
    """Degrees of every bone that moves; the root is about (20, 30, 40) from the origin."""
    random = np.random.default_rng(seed)
    turns = {
        bone.name: random.uniform(-spread, spread, len(bone.dof.split())).tolist()
        for bone in BODY
        if bone.dof
    }
    return {"root": [20.0, 30.0, 40.0, *random.uniform(-spread, spread, 3)], **turns}


def about(point: Array, turn: Array) -> Array:
    """A rotation about a point as a matrix (4, 4)."""
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = point - turn @ point
    return matrix


def bone_ends(frame: Frame) -> dict[str, Array]:
    """Where bones end, in the file's unit: each bone turns all that hangs on it in the base pose.

    Unlike the reader, this goes from the limb's end to the root, in the axes of the world.
    """
    base = {"root": np.zeros(3)}
    bones = {bone.name: bone for bone in BODY}
    pending = list(BODY)
    while pending:
        bone = pending.pop(0)
        if bone.parent not in base:
            pending.append(bone)
            continue
        direction = np.array(bone.direction)
        base[bone.name] = base[bone.parent] + bone.length * direction / np.linalg.norm(direction)
    found = {}
    for name in bones:
        point = np.append(base[name], 1.0)
        walk = name
        while walk != "root":
            bone = bones[walk]
            axis = Rotation.from_euler("xyz", bone.axis, degrees=True)
            turn = Rotation.identity()
            for letter, degrees in zip(bone.dof.split(), frame.get(walk, []), strict=True):
                turn = Rotation.from_euler(letter[1], degrees, degrees=True) * turn
            point = about(base[bone.parent], (axis * turn * axis.inv()).as_matrix()) @ point
            walk = bone.parent
        turned = Rotation.from_euler("xyz", frame["root"][3:], degrees=True).as_matrix() @ point[:3]
        found[name] = turned + np.add([1, 2, 3], frame["root"][:3])
    return found


def write(folder: Path, asf: str, amc: str, person: str = "07", motion: str = "07_01") -> Path:
    """A person and a motion."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{person}.asf").write_text(asf)
    (folder / f"{motion}.amc").write_text(amc)
    return folder / f"{motion}.amc"


def expected_mm(frame: Frame, joint: str) -> Array:
    """A joint in the store's axes: the file's (x, y, z) is the store's (y, z, x)."""
    ends = bone_ends(frame)
    point = np.mean([ends[bone] for bone in MADE_OF[joint]], axis=0)
    return np.asarray(point[[2, 0, 1]] * MM)


def test_positions_are_those_of_another_kinematics(tmp_path: Path) -> None:
    """Positions agree with independent kinematics: axes, orders, lengths, root and CMU's unit."""
    frames = [random_frame(seed, 35) for seed in range(4)]
    write(tmp_path, asf_text(), amc_text(frames))
    options = AsfAmcOptions(up="+y", unit="cmu", recorded_fps=30)
    poses, notes = read_asf_amc_folder(tmp_path, options)
    for number, frame in enumerate(frames):
        for joint in MADE_OF:
            found = poses.joints_mm[number, HUMAN36M_17.index(joint)]
            np.testing.assert_allclose(found, expected_mm(frame, joint), atol=0.01, err_msg=joint)
    assert notes == ["1 files, joint map cmu-asf", "unit cmu", "up +y", "30 frames per second"]
    assert (poses.subject[0], poses.action[0], poses.clip[0]) == ("07", "unknown", "07_01")


def test_unit_and_up_are_judged(tmp_path: Path) -> None:
    """Unit and up axis of a nearly upright person are detected; the head is above the neck."""
    write(tmp_path, asf_text(), amc_text([random_frame(1, 5)] * 3))
    poses, notes = read_asf_amc_folder(tmp_path, AsfAmcOptions(recorded_fps=25))
    assert notes[1:3] == [
        "unit cmu (judged by the length of the legs)",
        "up +y (judged by the trunks)",
    ]
    head, thorax = HUMAN36M_17.indices("Head", "Thorax")
    assert poses.joints_mm[0, head, 2] > poses.joints_mm[0, thorax, 2] + 100


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), spread=st.floats(0, 180))
def test_bones_keep_their_lengths(
    tmp_path_factory: pytest.TempPathFactory, seed: int, spread: float
) -> None:
    """For any rotations, the distance of a joint from its parent is the length of its bone."""
    folder = tmp_path_factory.mktemp("person")
    amc = write(folder, asf_text(), amc_text([random_frame(seed, spread)]))
    motion = read_amc(amc, read_asf(folder / "07.asf"), 120, 120)
    places, turned = motion.world()
    lengths = {bone.name: bone.length for bone in BODY} | {"root": 0.0}
    for joint, parent in enumerate(motion.parents[1:], 1):
        distance = np.linalg.norm(places[0, joint] - places[0, parent])
        assert distance == pytest.approx(lengths[motion.names[parent]], abs=1e-9)
    np.testing.assert_allclose(np.linalg.det(turned), 1, atol=1e-9)


@pytest.mark.parametrize("order", ["RZ RY RX TX TY TZ", "TX TZ TY RY RX RZ"])
def test_order_of_the_root(tmp_path: Path, order: str) -> None:
    """The root's values are read, and its rotations applied, in the skeleton's order."""
    given_values = {"TX": 20.0, "TY": 30.0, "TZ": 40.0, "RX": 10.0, "RY": 50.0, "RZ": -30.0}
    frame = random_frame(2, 0) | {"root": [given_values[word] for word in order.split()]}
    amc = write(tmp_path, asf_text(order), amc_text([frame]))
    places, turned = read_amc(amc, read_asf(tmp_path / "07.asf"), 120, 120).world()
    rotation = Rotation.identity()
    for word in order.split():
        if word[0] == "R":
            rotation = Rotation.from_euler(word[1].lower(), given_values[word], True) * rotation
    np.testing.assert_allclose(turned[0, 0], rotation.as_matrix(), atol=1e-12)
    np.testing.assert_allclose(places[0, 0], [21, 32, 43])


@pytest.mark.parametrize(("angle", "unit"), [("rad", ":RADIANS"), ("rad", ""), ("deg", ":RADIANS")])
def test_radians(tmp_path: Path, angle: str, unit: str) -> None:
    """Either file can declare radians; for the .amc file its own declaration takes precedence."""
    frame = random_frame(3, 60)
    radians = {name: np.radians(values).tolist() for name, values in frame.items()}
    radians["root"][:3] = frame["root"][:3]
    amc = write(tmp_path / "rad", asf_text(angle=angle), amc_text([radians], unit))
    other = write(tmp_path / "deg", asf_text(), amc_text([frame]))
    found = read_amc(amc, read_asf(amc.with_name("07.asf")), 120, 120).world()[0]
    expected = read_amc(other, read_asf(other.with_name("07.asf")), 120, 120).world()[0]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_frames_are_strided(tmp_path: Path) -> None:
    """At 120 recorded frames per second, every fifth frame is kept, which gives 24."""
    frames = [random_frame(0, 5) | {"root": [float(n), 30, 0, 0, 0, 0]} for n in range(12)]
    write(tmp_path, asf_text(), amc_text(frames))
    poses, _ = read_asf_amc_folder(tmp_path, AsfAmcOptions(up="+y"))
    assert poses.fps == 24
    np.testing.assert_allclose(np.diff(poses.joints_mm[:, 0, 1]) / MM, [5, 5], rtol=1e-4)


def test_every_motion_finds_its_person(tmp_path: Path) -> None:
    """The skeleton has the motion's name, the part before the last '_', or is the only one."""
    for name in ("07.asf", "08.asf", "07_02.asf"):
        (tmp_path / name).touch()
    assert find_asf(tmp_path / "08_11.amc").name == "08.asf"
    assert find_asf(tmp_path / "07_02.amc").name == "07_02.asf"
    with pytest.raises(InputError, match=r"09_01\.amc: its skeleton could be any of 3 \.asf"):
        find_asf(tmp_path / "09_01.amc")
    (tmp_path / "alone").mkdir()
    with pytest.raises(InputError, match=r"walk\.amc: no \.asf"):
        find_asf(tmp_path / "alone" / "walk.amc")
    (tmp_path / "alone" / "anna.asf").touch()
    assert find_asf(tmp_path / "alone" / "walk.amc").stem == "anna"
    for name in ("HDM_mm.asf", "HDM_bd.ASF", "HDM.asf", "._HDM_mm_x.asf"):
        (tmp_path / name).touch()
    assert find_asf(tmp_path / "HDM_mm_x_019_120.amc").name == "HDM_mm.asf"
    assert find_asf(tmp_path / "HDM_bd_01-01_01_120.amc").name == "HDM_bd.ASF"
    assert find_asf(tmp_path / "HDM_mmx_01.amc").name == "HDM.asf"


def test_a_missing_skeleton_is_told_before_anything_is_read(tmp_path: Path) -> None:
    """All motions without one are named; they can be left out."""
    for person in ("07", "08"):
        write(tmp_path, asf_text(), amc_text([random_frame(0, 5)] * 3), person, f"{person}_01")
    (tmp_path / "07_01.amc").write_text("broken")
    for name in ("09_01", "09_02"):
        (tmp_path / f"{name}.amc").write_text(amc_text([random_frame(0, 5)]))
    with pytest.raises(
        InputError, match=r"09_01\.amc: its skeleton .*; 2 of 4 files can't be used, also 09_02"
    ):
        read_asf_amc_folder(tmp_path, AsfAmcOptions())
    poses, notes = read_asf_amc_folder(tmp_path, AsfAmcOptions(skip_bad=True))
    assert set(poses.subject) == {"08"}
    assert notes[-4] == "left out, 3 files:"
    assert notes[-3] == "  07_01: not readable as AMC: no frames"


def test_the_first_frame_can_be_dropped(tmp_path: Path) -> None:
    """AMC files have no calibration pose, so only if asked for."""
    frames = [random_frame(0, 5) | {"root": [float(n), 30, 0, 0, 0, 0]} for n in range(11)]
    write(tmp_path, asf_text(), amc_text(frames))
    kept, _ = read_asf_amc_folder(tmp_path, AsfAmcOptions(up="+y"))
    dropped, _ = read_asf_amc_folder(tmp_path, AsfAmcOptions(up="+y", first_frame="drop"))
    assert (len(kept), len(dropped)) == (3, 2)
    assert dropped.joints_mm[0, 0, 1] - kept.joints_mm[0, 0, 1] == pytest.approx(MM, rel=1e-4)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace("dof rx\n", "dof rx l\n", 1), "degree of freedom 'l'"),
        (
            lambda text: text.replace("orientation 0 0 0", "orientation 0 9 0"),
            "root has an orientation",
        ),
        (lambda text: text.replace("name lfemur", "name thigh"), "lacks 'lfemur'"),
        (
            lambda text: text.replace("    root lhip", "    lfoot lhip"),
            "nothing connects .*lhipjoint.* to the root",
        ),
        (lambda text: text.replace(":hierarchy", ":tree"), "lacks ':hierarchy'"),
        (lambda text: text.replace("length 7.1", "length long"), "could not convert"),
        (lambda text: text.replace(":root", ":trunk"), "lacks ':root'"),
        (lambda _text: "", "it looks like an empty file"),
    ],
)
def test_a_skeleton_that_cannot_be_read(
    tmp_path: Path, damage: Callable[[str], str], message: str
) -> None:
    """The message names the file and the reason."""
    write(tmp_path, damage(asf_text()), amc_text([random_frame(0, 5)]))
    with pytest.raises(InputError, match=rf"07\.asf: not readable as ASF: .*{message}"):
        read_asf_amc_folder(tmp_path, AsfAmcOptions())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:-400], "frame 2: .* needs . numbers, not none"),
        (
            lambda text: text.replace("rtibia ", "rtibia 1 "),
            "frame 1: rtibia needs 1 numbers, not 2",
        ),
        (lambda text: text.replace("head ", "head nan "), "head needs 3"),
        (lambda text: text.replace("root 20", "root nan"), "not finite"),
        (lambda text: text.replace("root 20", "root x"), "could not convert"),
        (lambda text: text.replace("\n1\n", "\n").replace("\n2\n", "\n"), "no frames"),
        (lambda _text: "", "it looks like an empty file"),
    ],
)
def test_a_motion_that_cannot_be_read(
    tmp_path: Path, damage: Callable[[str], str], message: str
) -> None:
    """The message names the file, the frame and the bone."""
    write(tmp_path, asf_text(), damage(amc_text([random_frame(0, 5)] * 2)))
    with pytest.raises(InputError, match=rf"07_01\.amc: not readable as AMC: .*{message}"):
        read_asf_amc_folder(tmp_path, AsfAmcOptions(recorded_fps=25))


def synrep_data(*words: object) -> Any:
    """Run a command in this process."""
    return CliRunner().invoke(data, [str(word) for word in words])


def test_prepare_asf_amc(tmp_path: Path) -> None:
    """The subjects of the store are the names of the .asf files."""
    for person in ("07", "08", "35"):
        folder = tmp_path / "mocap" / person
        frames = [random_frame(seed, 8) for seed in range(20)]
        write(folder, asf_text(), amc_text(frames), person, f"{person}_01")
    out = tmp_path / "poses"
    result = synrep_data(
        "prepare", "asf-amc", "--root", tmp_path / "mocap", "--out", out, "--fps", 120,
        "--train", "07", "--validation", "08", "--test", "35", "--licence", "CMU",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "joint map cmu-asf" in result.stderr
    store = PoseStore.open(out)
    assert (store.header.fps, store.header.licence) == (120, "CMU")
    assert {split: store.subjects(split) for split in store.splits} == {
        "train": {"07"}, "validation": {"08"}, "test": {"35"},
    }  # fmt: skip
    assert synrep_data("verify", out).exit_code == 0
    help_text = synrep_data("prepare", "asf-amc", "--help").output
    assert "synrep data prepare asf-amc --root" in help_text
