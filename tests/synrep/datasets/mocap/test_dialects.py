"""BVH files as other programs write and keep them: names, headers, links, bad files, T-poses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.spatial.transform import Rotation

from synrep.cli.data import data
from synrep.datasets.mocap.bvh import BvhOptions, read_bvh_folder
from synrep.datasets.mocap.joint_maps import FROM_HEAD, JOINT_MAPS
from synrep.datasets.store.store import PoseStore
from synrep.errors import InputError
from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from synrep.datasets.store.store import Poses

at = HUMAN36M_17.index
Tree = dict[str, tuple[str, tuple[float, float, float]]]
"""Parent and offset of each joint, in centimetres; y up, facing z, left is x."""


def limbs(chest: str) -> Tree:
    """Arms and legs of a T-pose with MotionBuilder's names."""
    tree: Tree = {}
    for side, x in (("Left", 1), ("Right", -1)):
        tree |= {
            f"{side}Shoulder": (chest, (0, 0, 0)),
            f"{side}Arm": (f"{side}Shoulder", (17 * x, 7, 0)),
            f"{side}ForeArm": (f"{side}Arm", (28 * x, 0, 0)),
            f"{side}Hand": (f"{side}ForeArm", (25 * x, 0, 0)),
            f"{side}UpLeg": ("Hips", (10 * x, 0, 0)),
            f"{side}Leg": (f"{side}UpLeg", (0, -44, 0)),
            f"{side}Foot": (f"{side}Leg", (0, -45, 0)),
        }
    return tree


LAFAN1: Tree = {
    "Hips": ("", (0, 0, 0)),
    "Spine": ("Hips", (0, 10, 0)),
    "Spine1": ("Spine", (0, 12, 0)),
    "Spine2": ("Spine1", (0, 12, 0)),
    "Neck": ("Spine2", (0, 15, 0)),
    "Head": ("Neck", (0, 10, 0)),
} | limbs("Spine2")
NECK1: Tree = LAFAN1 | {"Neck1": ("Neck", (0, 5, 0)), "Head": ("Neck1", (0, 5, 0))}
"""MotionBuilder's names with a spine of three joints and a neck of two: no bone is missing."""
CMU: Tree = {
    "Hips": ("", (0, 0, 0)),
    "LHipJoint": ("Hips", (0, 0, 0)),
    "LowerBack": ("Hips", (0, 0, 0)),
    "Spine": ("LowerBack", (0.2, 11, -1)),
    "Spine1": ("Spine", (0.3, 12, 2)),
    "Neck": ("Spine1", (0, 0, 0)),
    "Neck1": ("Neck", (0, 8, 1)),
    "Head": ("Neck1", (0, 9, 0)),
} | limbs("Spine1")
"""B. Hahne's conversions: shoulders and neck start where the lost bone would."""
HANGING = {"LeftArm": (-80, 0, 0), "RightArm": (80, 0, 0)}


def text_of(tree: Tree, frames: list[dict[str, tuple[float, ...]]]) -> str:
    """A file whose frames turn joints by (z, y, x) degrees."""
    order: list[str] = []

    def block(name: str) -> str:
        order.append(name)
        inner = "".join(
            f"JOINT {child}\n{block(child)}" for child, (p, _) in tree.items() if p == name
        )
        moves = "3" if tree[name][0] else "6 Xposition Yposition Zposition"
        offset = " ".join(f"{value:g}" for value in tree[name][1])
        end = inner or "End Site\n{\nOFFSET 0 0 0\n}\n"
        turns = "Zrotation Yrotation Xrotation"
        return f"{{\nOFFSET {offset}\nCHANNELS {moves} {turns}\n{end}}}\n"

    root = next(iter(tree))
    hierarchy = f"HIERARCHY\nROOT {root}\n{block(root)}"
    rows = []
    for number, turned in enumerate(frames):
        values = [float(number), 95.0, 0.0]
        for name in order:
            values += turned.get(name, (0, 0, 0))
        rows.append(" ".join(f"{value:g}" for value in values))
    head = f"MOTION\nFrames: {len(frames)}\nFrame Time: 0.04\n"
    return hierarchy + head + "\n".join(rows) + "\n"


def write(path: Path, tree: Tree = LAFAN1, frames: Any = ({},) * 4) -> Path:
    """A file of one person."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text_of(tree, list(frames)))
    return path


def read(folder: Path, **options: Any) -> tuple[Poses, list[str]]:
    """All poses under a folder."""
    return read_bvh_folder(folder, BvhOptions.checked(**options))


def test_a_file_s_name_does_not_decide_its_joints(tmp_path: Path) -> None:
    """Equal files under names of CMU's and of LAFAN1's kind give equal joints."""
    write(tmp_path / "a" / "01_01.bvh", NECK1)
    write(tmp_path / "b" / "walk1_subject1.bvh", NECK1)
    (numbered, notes), (named, other) = read(tmp_path / "a"), read(tmp_path / "b")
    assert notes == other
    assert notes[0] == "1 files, joint map lafan1"
    np.testing.assert_array_equal(numbered.joints_mm, named.joints_mm)
    assert named.joints_mm[0, at("LShoulder"), 2] == pytest.approx(950 + 410, abs=0.01)
    assert (numbered.subject[0], named.subject[0]) == ("01", "subject1")


def test_a_missing_bone_is_known_by_names_or_by_its_gap(tmp_path: Path) -> None:
    """Where neither tells, the user must: the message names both ways."""
    for name in ("LHipJoint", "LowerBack"):
        tree = {joint: (parent, at) for joint, (parent, at) in CMU.items() if joint != name}
        tree["Spine"] = ("LowerBack" if "LowerBack" in tree else "Hips", CMU["Spine"][1])
        write(tmp_path / name / "01_01.bvh", tree)
        assert read(tmp_path / name)[1][0] == "1 files, joint map cmu"
        tree |= {"Neck": ("Spine1", (0, 15, 0))}
        write(tmp_path / name / "01_01.bvh", tree)
        with pytest.raises(
            InputError,
            match=rf"01_01\.bvh: .* 'cmu' .* but not {name}, .* use --joint-map cmu; else .*\.json",
        ):
            read(tmp_path / name)
        assert read(tmp_path / name, joint_map="cmu")[1][0] == "1 files, joint map cmu"


def test_the_lost_bone_turns_with_the_joint_where_it_starts(tmp_path: Path) -> None:
    """Row 40: 1.01 times the offset of Spine1, turned by all rotations up to Spine1's own."""
    turns = {"Hips": (10, 20, 5), "Spine": (0, 5, 15), "Spine1": (20, -30, 40), **HANGING}
    write(tmp_path / "01_01.bvh", CMU, [turns] * 3)
    joints = read(tmp_path, unit="cm", up="+y")[0].joints_mm[0].astype(np.float64)
    turned = Rotation.identity()
    for name in ("Hips", "Spine", "Spine1"):
        turned = turned * Rotation.from_euler("ZYX", turns[name], degrees=True)
    below = turned.apply(CMU["Spine1"][1])
    neck = turned.apply(CMU["Neck1"][1])
    start = np.zeros(3)
    hips = Rotation.from_euler("ZYX", turns["Hips"], degrees=True)
    start += hips.apply(CMU["Spine"][1])
    spine = hips * Rotation.from_euler("ZYX", turns["Spine"], degrees=True)
    start += spine.apply(CMU["Spine1"][1])
    x, y, z = 10 * (start + 1.01 * below + neck)
    np.testing.assert_allclose(joints[at("Thorax")] - joints[at("Hip")], [z, x, y], atol=0.01)
    rigid = np.linalg.norm(joints[at("Thorax")] - joints[at("LShoulder")])
    write(tmp_path / "01_01.bvh", CMU, [{}] * 3)
    straight = read(tmp_path, unit="cm", up="+y", first_frame="keep")[0].joints_mm[0]
    assert np.linalg.norm(straight[at("Thorax")] - straight[at("LShoulder")]) == pytest.approx(
        rigid, abs=0.01
    )


def test_the_calibration_pose_of_cmu_is_dropped(tmp_path: Path) -> None:
    """Before frames are strided, with a note; not where the motion begins otherwise."""
    frames = [{}, *[{**HANGING, "Head": (0, n, 0)} for n in range(10)]]
    write(tmp_path / "01_01.bvh", CMU, frames)
    write(tmp_path / "01_02.bvh", CMU, frames[1:])
    poses, notes = read(tmp_path)
    assert notes[-1].startswith("1 of 2 files begin with a T-pose for calibration")
    first, second = (poses.joints_mm[poses.clip == name] for name in ("01_01", "01_02"))
    assert len(first) == len(second) == 10
    np.testing.assert_allclose(first - first[:, :1], second - second[:, :1], atol=0.01)
    assert poses.frame.tolist() == [*range(10), *range(10)]
    half, _ = read(tmp_path, fps=12.5)
    body = [at(name) for name in HUMAN36M_17.joints if name not in FROM_HEAD]
    strided = half.joints_mm[half.clip == "01_01"]
    np.testing.assert_allclose(strided[:, body], first[::2, body], atol=0.01)
    kept, notes = read(tmp_path, first_frame="keep")
    assert len(kept) == 21
    assert "T-pose" not in " ".join(notes)
    dropped, notes = read(tmp_path, first_frame="drop")
    assert len(dropped) == 19
    assert notes[-1] == "2 of 2 files lose their first frame (--first-frame drop)"


def test_the_first_frame_of_other_files_is_kept(tmp_path: Path) -> None:
    """LAFAN1 has no calibration pose: a T-pose is motion. A file with nothing else is refused."""
    write(tmp_path / "a" / "walk1_subject1.bvh")
    assert len(read(tmp_path / "a")[0]) == 4
    write(tmp_path / "b" / "01_01.bvh", CMU, [{}])
    with pytest.raises(InputError, match=r"it holds 1 frames, and 1 are left out"):
        read(tmp_path / "b")


def test_files_below_links_are_read(tmp_path: Path) -> None:
    """Links to folders and files; a circle ends, a folder is read once, a dead link is told."""
    write(tmp_path / "root" / "walk1_subject1.bvh")
    write(tmp_path / "store" / "actor" / "walk1_subject2.bvh")
    single = write(tmp_path / "single" / "walk1_subject3.bvh")
    (tmp_path / "root" / "more").symlink_to("../store")
    (tmp_path / "root" / "again").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "up").symlink_to("../root")
    (tmp_path / "root" / "walk1_subject3.bvh").symlink_to(single)
    (tmp_path / "root" / "walk1_subject4.bvh").symlink_to("nowhere.bvh")
    poses, notes = read(tmp_path / "root")
    assert sorted(set(poses.subject)) == ["subject1", "subject2", "subject3"]
    assert len(poses) == 12
    told = " ".join(notes)
    assert "2 links lead to folders that are read already, not read twice: " in told
    assert "1 files or folders can't be opened, left out: walk1_subject4.bvh" in told
    assert str(tmp_path) not in told


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("Frames: ", "Frames:").replace("Time: ", "Time:").encode(),
        lambda text: text.replace("Frames: ", "Frames : ").replace("\n", "\r\n").encode(),
        lambda text: (
            text.replace("ROOT ", "ROOT mixamorig:").replace("JOINT ", "JOINT mixamorig:").encode()
        ),
        lambda text: text.replace("ROOT ", "ROOT a:b:").replace("JOINT ", "JOINT a:").encode(),
    ],
)
def test_dialects_are_read_alike(tmp_path: Path, change: Callable[[str], bytes]) -> None:
    """Marks, encodings, spaces and namespaces change no number."""
    path = write(tmp_path / "walk1_subject1.bvh")
    wanted, notes = read(tmp_path)
    path.write_bytes(change(path.read_text()))
    found, same = read(tmp_path)
    np.testing.assert_array_equal(found.joints_mm, wanted.joints_mm)
    assert same == notes


def test_names_in_latin_1(tmp_path: Path) -> None:
    """A joint that no map needs can have any name; a map of one's own can name it."""
    tree = {**LAFAN1, "Zeh\xe4": ("LeftFoot", (0.0, 0.0, 5.0))}
    path = write(tmp_path / "a" / "walk1_subject1.bvh", tree)
    path.write_bytes(path.read_text("utf-8").encode("latin-1"))
    joints = JOINT_MAPS["lafan1"].joints | {"LFoot": ("Zeh\xe4",)}
    own = tmp_path / "map.json"
    own.write_text(json.dumps({"name": "mine", "joints": joints, "skull": "Head"}), "utf-8")
    pattern = r"walk1_(?P<subject>.*)"
    poses, _ = read(tmp_path / "a", joint_map=str(own), path=pattern)
    forward = poses.joints_mm[0, at("LFoot"), 0] - poses.joints_mm[0, at("LKnee"), 0]
    assert forward == pytest.approx(50, abs=0.01)


def test_a_map_with_namespaces_and_files_of_two_people(tmp_path: Path) -> None:
    """One's own map can name full names; else equal names in two namespaces are refused."""
    tree = {f"a:{name}": (parent and f"a:{parent}", p) for name, (parent, p) in LAFAN1.items()}
    tree["b:Head"] = ("a:Neck", (0.0, 3.0, 0.0))
    write(tmp_path / "a" / "walk1_subject1.bvh", tree)
    with pytest.raises(InputError, match="in the namespaces 'a', 'b': several people"):
        read(tmp_path / "a")
    joints = {
        joint: tuple(f"a:{name}" for name in names)
        for joint, names in JOINT_MAPS["lafan1"].joints.items()
    }
    own = tmp_path / "map.json"
    own.write_text(json.dumps({"name": "mine", "joints": joints, "skull": "b:Head"}))
    poses, _ = read(tmp_path / "a", joint_map=str(own), path=r"walk1_(?P<subject>.*)")
    assert poses.subject[0] == "subject1"


def test_capitals_and_files_of_macos(tmp_path: Path) -> None:
    """A .BVH file is one; what macOS keeps beside it is not, and is told."""
    write(tmp_path / "walk1_subject1.BVH")
    (tmp_path / "._walk1_subject1.BVH").write_bytes(b"\0\5\x16\7Mac OS X")
    poses, notes = read(tmp_path)
    assert (len(poses), poses.clip[0]) == (4, "walk1_subject1")
    assert notes[-1] == ("1 files that macOS made hold no motion, ignored: ._walk1_subject1.BVH")


@pytest.mark.parametrize("declared", [3, 5])
def test_a_frame_count_that_is_one_off(tmp_path: Path, declared: int) -> None:
    """All frames are read, and a note says so."""
    path = write(tmp_path / "walk1_subject1.bvh")
    path.write_text(path.read_text().replace("Frames: 4", f"Frames: {declared}"))
    poses, notes = read(tmp_path)
    assert len(poses) == 4
    assert "1 of 1 files hold one frame more or less than they declare" in notes[-1]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "an empty file"),
        (b"Kaydara FBX Binary  \0", r"an FBX file \(convert it"),
        (b"\n<!DOCTYPE html><html>", r"a web page \(download the file itself"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"#!OML:ASF x.asf\n:FULLY-SPECIFIED", "synrep data prepare asf-amc"),
        (b"PK\3\4\0\0", r"a zip archive \(unpack it"),
        (b"\1\0\2\0", r"a binary file \(export it as BVH text"),
        (b"HIERARCHY\nROOT Hips", "it ends too early"),
    ],
)
def test_what_stays_refused_says_what_it_looks_like(
    tmp_path: Path, content: bytes, told: str
) -> None:
    """The message says what to do, and how to leave the file out."""
    (tmp_path / "a_subject1.bvh").write_bytes(content)
    with pytest.raises(
        InputError, match=rf"a_subject1\.bvh: not readable as BVH: .*{told}.*--skip-bad"
    ):
        read(tmp_path)


def test_other_files_are_named_where_there_are_none(tmp_path: Path) -> None:
    """A folder of FBX files."""
    for name in ("a.fbx", "b.FBX", "notes.txt"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"no \.bvh files; there are 2 \.fbx, 1 \.txt"):
        read(tmp_path)


def test_all_paths_are_checked_before_a_file_is_read(tmp_path: Path) -> None:
    """A pattern that two paths don't fit is told at once, with both."""
    (tmp_path / "a_x.bvh").write_text("broken")
    for name in ("b", "c"):
        write(tmp_path / f"{name}.bvh")
    with pytest.raises(
        InputError, match=r"b\.bvh: its path 'b' names .*; 2 of 3 files can't be used, also c"
    ):
        read(tmp_path, path=r"(?P<subject>.)_.*")
    with pytest.raises(InputError, match=r"a_x\.bvh: .* by any pattern .*; 3 of 3 .*, also b, c"):
        read(tmp_path)


def test_bad_files_can_be_left_out(tmp_path: Path) -> None:
    """They are listed at the end and in the store; if none is left, the error says why."""
    for number in range(1, 4):
        write(tmp_path / "mocap" / f"walk1_subject{number}.bvh", frames=[{}] * 12)
    (tmp_path / "mocap" / "cut_subject8.bvh").write_text("HIERARCHY\nROOT")
    (tmp_path / "mocap" / "web_subject9.bvh").write_text("<html>")
    words = ["prepare", "bvh", "--root", str(tmp_path / "mocap"), "--out", str(tmp_path / "out")]
    refused = CliRunner().invoke(data, words)
    assert isinstance(refused.exception, InputError)
    made = CliRunner().invoke(data, [*words, "--skip-bad"])
    assert made.exit_code == 0, made.output
    wanted = [
        "left out, 2 files:",
        "  cut_subject8: not readable as BVH: it ends too early",
        "  web_subject9: not readable as BVH: it looks like a web page",
    ]
    assert made.stderr.splitlines()[-3:] == wanted
    assert list(PoseStore.open(tmp_path / "out").header.notes[-3:]) == wanted
    assert "note" in CliRunner().invoke(data, ["info", str(tmp_path / "out")]).output
    for path in (tmp_path / "mocap").glob("walk*"):
        path.unlink()
    with pytest.raises(InputError, match=r"cut_.*\.bvh: .*; no file can be read, also web"):
        read(tmp_path / "mocap", skip_bad=True)
