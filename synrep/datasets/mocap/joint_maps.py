"""Which joints of motion capture make which Human3.6M joints: a table entry a naming convention.

To add a convention, write an entry in `JOINT_MAPS`: options, detection, messages and help then know
it. One that is not here can be given as a JSON file with the fields of `JointMap`.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from synrep.errors import InputError, faults
from synrep.schema import Section
from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

FROM_HEAD = ("Nose", "Head")
"""Joints placed by the head's position and rotation instead of a joint of the file."""
NEEDED = tuple(joint for joint in HUMAN36M_17.joints if joint not in FROM_HEAD)


class MissingBone(Section):
    """A bone that the conversion to BVH lost: everything above it is moved by it.

    It points, in the axes of the joint where it starts, like the bone below it (row 40).
    """

    start: str
    """Joint where the bone below the gap starts; `end` or one of its ancestors."""
    end: str
    """Joint where that bone ends and the lost one starts."""
    ratio: float
    """Length of the lost bone over the length of the one below."""
    joints: tuple[str, ...]
    """Human3.6M joints above the gap."""


class JointMap(Section):
    """How the joints of one family of motion-capture files become those of Human3.6M."""

    name: str
    """Name in options."""
    help: str = ""
    """Whose files these are, for the help of commands."""
    joints: dict[str, tuple[str, ...]]
    """For each Human3.6M joint but nose and head, the file's joints whose mean it is."""
    skull: str
    """Joint at the base of the skull; its rotation turns the head."""
    path: str = r"(?:.*/)?(?P<subject>[^/]+)/(?P<action>[^/]+?)[_-]?\d*"
    """Regular expression of a file's path without suffix, with the groups `subject` and,
    where it is known, `action`."""
    missing_bone: MissingBone | None = None
    """A bone to put back."""
    own: tuple[str, ...] = ()
    """Joints that set these files apart from others with the same joints: files without them are
    not detected as these, unless the gap of the missing bone shows."""
    never: tuple[str, ...] = ()
    """Joints that these files never have."""
    t_pose_first: bool = False
    """The files' first frame can be a T-pose for calibration, which is no motion."""
    note: str = ""
    """What users of these files should know, for the notes of a conversion."""

    def needed(self) -> tuple[str, ...]:
        """All joints that a file must have, each once."""
        names = [name for joint in NEEDED for name in self.joints[joint]] + [self.skull]
        if self.missing_bone:
            names += [self.missing_bone.start, self.missing_bone.end]
        return tuple(dict.fromkeys(names))

    def converts_like(self, other: JointMap) -> bool:
        """Whether both maps make the same joints of a file."""
        mine, others = (
            (entry.joints, entry.skull, entry.missing_bone, entry.t_pose_first)
            for entry in (self, other)
        )
        return mine == others


def _limbs(sides: tuple[str, str] = ("Right", "Left"), **names: str) -> dict[str, tuple[str, ...]]:
    """Hips, legs and arms of a convention that names both sides alike; `{}` is the side."""
    joints = {
        f"{short}{joint}": (pattern.format(side),)
        for joint, pattern in names.items()
        for short, side in zip("RL", sides, strict=True)
    }
    return {"Hip": (*joints["RHip"], *joints["LHip"]), **joints}


_MAYA_LIMBS = _limbs(
    Hip="{}UpLeg",
    Knee="{}Leg",
    Foot="{}Foot",
    Shoulder="{}Arm",
    Elbow="{}ForeArm",
    Wrist="{}Hand",
)
_XSENS = _limbs(
    Hip="{}Hip",
    Knee="{}Knee",
    Foot="{}Ankle",
    Shoulder="{}Shoulder",
    Elbow="{}Elbow",
    Wrist="{}Wrist",
) | {"Spine": ("Chest2", "Chest3"), "Thorax": ("Neck",)}
NUMBERED_PATH = r"(?:.*/)?(?P<subject>\d+)_(?P<trial>\d+)"
"""Paths of files that number people and their recordings, as CMU's do."""
_STYLES = "no actor is named in these files: subjects are styles, and one person can have several"

JOINT_MAPS = {
    entry.name: entry
    for entry in (
        JointMap(
            name="cmu",
            help="CMU in BVH: B. Hahne's conversions with MotionBuilder's names",
            joints=_MAYA_LIMBS | {"Spine": ("Spine", "Spine1"), "Thorax": ("Neck1",)},
            skull="Head",
            path=NUMBERED_PATH,
            own=("LHipJoint", "LowerBack"),
            never=("Spine2",),
            t_pose_first=True,
            missing_bone=MissingBone(
                start="Spine",
                end="Spine1",
                ratio=1.01,
                joints=(
                    *("Thorax", "Nose", "Head"),
                    *("LShoulder", "LElbow", "LWrist", "RShoulder", "RElbow", "RWrist"),
                ),
            ),
        ),
        JointMap(
            name="cmu-asf",
            help="CMU in ASF/AMC: the database's own files",  # a bone is named for where it starts
            joints=_limbs(
                ("r", "l"),
                Hip="{}femur",
                Knee="{}tibia",
                Foot="{}foot",
                Shoulder="{}humerus",
                Elbow="{}radius",
                Wrist="{}wrist",
            )
            | {"Spine": ("upperback", "thorax"), "Thorax": ("upperneck",)},
            skull="head",
            path=NUMBERED_PATH,
        ),
        JointMap(
            name="lafan1",
            help="LAFAN1",
            joints=_MAYA_LIMBS | {"Spine": ("Spine1", "Spine2"), "Thorax": ("Neck",)},
            skull="Head",
            path=r"(?:.*/)?(?P<action>[^/]+?)\d*_(?P<subject>subject\d+)",
        ),
        JointMap(
            name="100style",
            help="100STYLE; its files name no actor, so styles are the subjects",
            joints=_XSENS,
            skull="Head",
            # <style>_<movement>: walk, run, sidestep, idle, transitions
            path=r"(?:.*/)?(?P<subject>[^/_]+)_(?P<action>[FBS][WR]|ID|TR[123])",
            note=_STYLES,
        ),
        JointMap(name="xsens", help="Xsens", joints=_XSENS, skull="Head"),
        JointMap(
            name="bandai-namco",
            help="Bandai Namco Research; its files name no actor, so styles are the subjects",
            joints=_limbs(
                ("R", "L"),
                Hip="UpperLeg_{}",
                Knee="LowerLeg_{}",
                Foot="Foot_{}",
                Shoulder="UpperArm_{}",
                Elbow="LowerArm_{}",
                Wrist="Hand_{}",
            )
            | {"Spine": ("Spine", "Chest"), "Thorax": ("Neck",)},
            skull="Head",
            # dataset-<1|2>_<content>_<style>_<number>
            path=r"(?:.*/)?dataset-\d+_(?P<action>[^/_]+)_(?P<subject>[^/_]+)_\d+",
            note=_STYLES,
        ),
    )
}
"""The conventions known by name. The order is that of detection: more specific ones first."""


def load_joint_map(name: str) -> JointMap:
    """A joint map by name, or from a JSON file.

    Raises:
        InputError: the name is unknown, or the file is no joint map.
    """
    if name in JOINT_MAPS:
        return JOINT_MAPS[name]
    if not name.endswith(".json"):
        raise InputError(
            "--joint-map",
            f"unknown name {name!r}",
            f"known: auto, {', '.join(JOINT_MAPS)}; or a .json file of your own",
        )
    try:
        entry = JointMap.model_validate_json(Path(name).read_text("utf-8"))
    except OSError as error:
        raise InputError(name, f"can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(name, f"not UTF-8 text: {error}") from None
    except ValidationError as error:
        remedy = "see the fields of synrep.datasets.mocap.joint_maps.JointMap"
        raise InputError(name, faults(error, JointMap), remedy) from None
    if missing := [joint for joint in NEEDED if not entry.joints.get(joint)]:
        raise InputError(name, "`joints` lacks " + ", ".join(missing))
    return entry


def detect_joint_map(
    place: str, names: Sequence[str], clip: str = "", gaps: Collection[str] = ()
) -> JointMap:
    """The convention whose joints are all there.

    The skeleton alone decides what becomes of the joints. Of maps that differ in names only, such
    as `100style` and `xsens`, the first is taken whose path fits that of the file.

    Args:
        place: the file, for messages.
        names: its joints.
        clip: its path below the folder that is read, without suffix.
        gaps: joints at whose own place all joints above them start, as if a bone were missing.

    Raises:
        InputError: no convention fits, or one might: the file has its joints, but not those that
            set it apart.
    """
    lacking = {
        entry.name: [name for name in entry.needed() if name not in names]
        for entry in JOINT_MAPS.values()
    }
    possible = [
        entry
        for name, entry in JOINT_MAPS.items()
        if not lacking[name] and not set(entry.never) & set(names)
    ]
    fitting = [
        entry
        for entry in possible
        if set(entry.own) <= set(names) or (entry.missing_bone and entry.missing_bone.end in gaps)
    ]
    if fitting:
        equal = [entry for entry in fitting if entry.converts_like(fitting[0])]
        named = (entry for entry in equal if re.fullmatch(entry.path, clip))
        return next(named, equal[-1])
    if possible:
        raise _ambiguous(place, possible[0], names)
    nearest = min(lacking, key=lambda name: len(lacking[name]))
    needs = lacking[nearest][:5] or ["none of " + ", ".join(JOINT_MAPS[nearest].never)]
    raise InputError(
        place,
        f"no known joint names; nearest is {nearest!r}, which needs " + ", ".join(needs),
        f"the file has {', '.join(names)}; describe them in a .json file for --joint-map",
    )


def _ambiguous(place: str, entry: JointMap, names: Sequence[str]) -> InputError:
    """The error for a file that has the joints of a map, but not those that set it apart."""
    absent = ", ".join(name for name in entry.own if name not in names)
    return InputError(
        place,
        f"it has the joints that the joint map {entry.name!r} ({entry.help}) needs, but not "
        f"{absent}, by which such files are known; that map would put back a bone of the trunk",
        f"if it is such a file, use --joint-map {entry.name}; else describe its joints in a .json "
        "file for --joint-map",
    )


def require_joints(place: str, entry: JointMap, names: Sequence[str]) -> None:
    """Check that a file has every joint of a map.

    Raises:
        InputError: one is missing; names it, its use and candidates.
    """
    for name in entry.needed():
        if name not in names:
            uses = [joint for joint, sources in entry.joints.items() if name in sources]
            near = difflib.get_close_matches(name, names, 3, 0.5) or list(names)
            raise InputError(
                place,
                f"no joint {name!r}, which the joint map {entry.name!r} needs"
                + (f" for {', '.join(uses)}" if uses else ""),
                f"the file has {', '.join(near)}; choose another --joint-map",
            )
