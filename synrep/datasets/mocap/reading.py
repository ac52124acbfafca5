"""Convert motion capture of any format to poses: map joints, detect units and axes, place heads.

Axes: T frames of a recording, J joints.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn, get_args

import numpy as np
from pydantic import Field

from synrep.datasets.mocap.calibration import FirstFrame, is_t_pose
from synrep.datasets.mocap.files import SHOWN, find_files
from synrep.datasets.mocap.heads import place_heads
from synrep.datasets.mocap.joint_maps import (
    FROM_HEAD,
    NUMBERED_PATH,
    JointMap,
    detect_joint_map,
    load_joint_map,
    require_joints,
)
from synrep.datasets.options import Options
from synrep.datasets.store.header import Axis
from synrep.datasets.store.poses import Poses
from synrep.errors import InputError
from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from synrep.datasets.mocap.motion import SkeletonMotion

    Progress = Callable[[int, int], None]

Unit = Literal["mm", "cm", "m", "inch", "cmu"]
MM_PER_UNIT: dict[Unit, float] = {
    "mm": 1.0,
    "cm": 10.0,
    "m": 1000.0,
    "inch": 25.4,
    "cmu": 25.4 / 0.45,  # the scale in the headers of the CMU database
}
LEG_MM = (600.0, 1150.0)
"""Range of human leg lengths (hip to knee to ankle); no length falls in it for two units."""

DROPPED = "lose their first frame (--first-frame drop)"
T_POSE_DROPPED = (
    "begin with a T-pose for calibration, which is no motion: dropped (--first-frame keep keeps it)"
)


class MocapOptions(Options):
    """Options of the readers of motion-capture files."""

    joint_map: str = "auto"
    """Name of a joint map or a JSON file; `auto` detects it from each file's skeleton."""
    unit: Unit | Literal["auto"] = "auto"
    """Unit of length in the files; `auto` detects it from the length of the legs."""
    up: Axis | Literal["auto"] = "auto"
    """Axis that points up; `auto` detects it from the direction of the trunks."""
    fps: Annotated[float, Field(gt=0)] = 25.0
    """Target frame rate; of each file every n-th frame is kept, with n chosen to come nearest."""
    path: str = ""
    """Regular expression of a file's path below the folder, without suffix, with the groups
    `subject` and `action`; empty for that of the joint map."""
    first_frame: FirstFrame = "auto"
    """Whether to keep the first frame of each file; `auto` drops a known calibration pose."""
    skip_bad: bool = False
    """Leave out files that can't be read instead of refusing them all."""


@dataclass(frozen=True, eq=False)
class Recording:
    """One file, parsed."""

    motion: Callable[[int], SkeletonMotion]
    """The motion without that many frames at the beginning; raises InputError if none is left."""
    notes: tuple[str, ...] = ()
    """What is unusual about the file, as verbs in the plural: notes count the files."""


@dataclass(frozen=True)
class MocapFormat:
    """A format of motion-capture files."""

    suffix: str
    """Suffix of the files, in small letters."""
    read: Callable[[Path], Recording]
    """Parses a file; raises InputError."""
    subject: Callable[[Path], str] = lambda _path: ""
    """The subject of a file before it is read, empty if its path names it; raises InputError."""


@dataclass(frozen=True, eq=False)
class MocapClip:
    """Joints of one file in its own unit and axes, before nose and head are placed."""

    path: Path
    subject: str
    action: str
    clip: str
    joints: NDArray[np.float64]
    """(T, J, 3) joints; nose and head hold the base of the skull."""
    skull: NDArray[np.float64]
    """(T, 3, 3) rotation of the joint at the base of the skull."""
    fps: float
    joint_map: JointMap
    notes: tuple[str, ...]


def read_folder(
    root: str | Path, source: MocapFormat, options: MocapOptions, on_file: Progress
) -> tuple[Poses, list[str]]:
    """Read the poses of all files of one format under a folder, in world millimetres with z up.

    All paths are checked before the first file is read.

    Args:
        root: folder to search, with all subfolders, also below links.
        source: the format.
        options: reader options.
        on_file: callback that receives the number of files read and the total.

    Returns:
        The poses, and notes for the user on what was detected and left out.

    Raises:
        InputError: the folder does not exist or has no such files, a file can't be read (see
            `MocapOptions.skip_bad`), has unknown joint names or no subject in its path, unit or
            up axis can't be detected, or frame rates differ.
    """
    reader = _Reader(Path(root), source, options)
    found = find_files(reader.folder, source.suffix)
    subjects = reader.subjects(found.paths)
    clips = []
    for count, (path, subject) in enumerate(subjects.items(), 1):
        try:
            clips.append(reader.read(path, subject))
        except InputError as error:
            reader.leave_out(path, error)
        on_file(count, len(subjects))
    if not clips:
        reader.refuse("no file can be read")
    poses, notes = _join(clips, options)
    return poses, notes + found.notes(reader.folder) + reader.notes()


@dataclass(eq=False)
class _Reader:
    """Reads the files of one folder one by one, and remembers those it leaves out."""

    folder: Path
    source: MocapFormat
    options: MocapOptions
    fixed_map: JointMap | None = field(init=False)
    left_out: dict[str, InputError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = self.options.joint_map
        self.fixed_map = None if name == "auto" else load_joint_map(name)

    def clip(self, path: Path) -> str:
        return path.relative_to(self.folder).with_suffix("").as_posix()

    def subjects(self, paths: list[Path]) -> dict[Path, str]:
        """The subject of each file, empty if its path names it; checks all paths.

        Raises:
            InputError: the subject of a file can't be told; names several such files.
        """
        subjects = {}
        for path in paths:
            try:
                subjects[path] = self.source.subject(path)
                if self.options.path or (self.fixed_map and not subjects[path]):
                    self.labels(path, subjects[path], self.fixed_map)
            except InputError as error:
                subjects.pop(path, None)
                self.left_out[self.clip(path)] = error
        if self.left_out and not (self.options.skip_bad and subjects):
            self.refuse(f"{len(self.left_out)} of {len(paths)} files can't be used")
        return subjects

    def refuse(self, summary: str) -> NoReturn:
        """Raise the error of the first file left out; with others, a summary names some of them."""
        first, *others = self.left_out.items()
        error = first[1]
        if not others:
            raise error
        more = f", {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        names = ", ".join(name for name, _ in others[:SHOWN])
        rule = f"{error.rule}; {summary}, also {names}{more}"
        hint = "; --skip-bad leaves such files out"
        raise InputError(error.place, rule, error.remedy.removesuffix(hint) + hint)

    def leave_out(self, path: Path, error: InputError) -> None:
        """Remember a file that can't be read; raises the error if that is not wanted."""
        if not self.options.skip_bad:
            raise error
        self.left_out[self.clip(path)] = error

    def notes(self) -> list[str]:
        """Notes on all files that were left out."""
        if not self.left_out:
            return []
        lines = [f"  {name}: {error.rule}" for name, error in sorted(self.left_out.items())]
        return [f"left out, {len(lines)} files:", *lines]

    def read(self, path: Path, subject: str) -> MocapClip:
        """Read one file; raises InputError if it can't be used."""
        recording, clip = self.source.read(path), self.clip(path)
        drop = self.options.first_frame == "drop"
        motion = _plain_names(path, recording.motion(int(drop)), self.fixed_map)
        joint_map = self.fixed_map or detect_joint_map(str(path), motion.names, clip, motion.gaps())
        require_joints(str(path), joint_map, motion.names)
        labels = self.labels(path, subject, joint_map)
        joints, skull = _joints(motion, joint_map)
        notes = (*recording.notes, *([DROPPED] if drop else []))
        detects = self.options.first_frame == "auto" and joint_map.t_pose_first
        if detects and is_t_pose(joints[0]):
            motion = replace(recording.motion(1), names=motion.names)
            joints, skull = _joints(motion, joint_map)
            notes = (*notes, T_POSE_DROPPED)
        return MocapClip(path, *labels, clip, joints, skull, motion.fps, joint_map, notes)

    def labels(self, path: Path, subject: str, joint_map: JointMap | None) -> tuple[str, str]:
        """The subject and action of a file, parsed from its path unless the subject is known."""
        if subject and not self.options.path:
            return subject, "unknown"
        own = joint_map.path if joint_map else NUMBERED_PATH
        patterns = [self.options.path] if self.options.path else [own, NUMBERED_PATH]
        return _labels(path, self.clip(path), patterns)


def _plain_names(path: Path, motion: SkeletonMotion, fixed_map: JointMap | None) -> SkeletonMotion:
    """The motion without namespaces in its joints' names (mixamorig:Hips), unless a map has them.

    Raises:
        InputError: names are equal without them: there are several people in the file.
    """
    if fixed_map and set(fixed_map.needed()) <= set(motion.names):
        return motion
    plain = tuple(name.rpartition(":")[2] for name in motion.names)
    if len(set(plain)) < len(set(motion.names)):
        spaces = dict.fromkeys(name.rpartition(":")[0] for name in motion.names)
        raise InputError(
            str(path),
            f"equal joints in the namespaces {', '.join(map(repr, spaces))}: several people",
            "export each to a file of its own, or name the joints in a .json file for --joint-map",
        )
    return replace(motion, names=plain)


def _joints(
    motion: SkeletonMotion, joint_map: JointMap
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the joints (T, J, 3) by a joint map, and the rotations (T, 3, 3) of the skull."""
    world_positions, world_rotations = motion.world()
    positions = dict(zip(motion.names, np.moveaxis(world_positions, 1, 0), strict=True))
    joints = [
        np.mean([positions[name] for name in joint_map.joints[joint]], axis=0)
        if joint not in FROM_HEAD
        else positions[joint_map.skull]
        for joint in HUMAN36M_17.joints
    ]
    stacked = np.stack(joints, axis=1)
    if (bone := joint_map.missing_bone) is not None:
        end = motion.names.index(bone.end)
        below = world_rotations[:, end] @ motion.between(bone.start, bone.end)[..., None]
        stacked[:, HUMAN36M_17.indices(*bone.joints)] += bone.ratio * below[:, None, :, 0]
    return stacked, world_rotations[:, motion.names.index(joint_map.skull)]


def _labels(path: Path, clip: str, patterns: list[str]) -> tuple[str, str]:
    """Parse the subject and action of a file from its path by the first pattern that fits."""
    for pattern in patterns:
        try:
            match = re.fullmatch(pattern, clip)
        except re.error as error:
            raise InputError("--path", f"not a regular expression: {error}") from None
        groups = match.groupdict() if match else {}
        if groups.get("subject"):
            return groups["subject"], groups.get("action") or "unknown"
    raise InputError(
        str(path),
        f"its path {clip!r} names no subject by the pattern {patterns[0]!r}",
        "give --path with a group (?P<subject>...) and optionally (?P<action>...)",
    )


def _join(recordings: list[MocapClip], options: MocapOptions) -> tuple[Poses, list[str]]:
    """Convert all clips to millimetres with z up and place the heads; note what was detected."""
    _check_rates(recordings)
    scale, unit = _unit(recordings, options)
    rotation, up = _z_up_rotation(recordings, options)
    maps = {file.joint_map.name: file.joint_map for file in recordings}
    notes = [f"{len(recordings)} files, joint map {', '.join(sorted(maps))}", unit, up]
    notes.append(f"{recordings[0].fps:g} frames per second")
    if not options.path:
        notes += [entry.note for _, entry in sorted(maps.items()) if entry.note]
    counts = Counter(note for file in recordings for note in file.notes)
    notes += [f"{count} of {len(recordings)} files {note}" for note, count in counts.items()]
    placed = place_heads(
        [file.joints @ rotation.T * scale for file in recordings],
        [rotation @ file.skull for file in recordings],
        [file.subject for file in recordings],
    )
    parts = [_poses(file, joints) for file, joints in zip(recordings, placed, strict=True)]
    return Poses.concatenate(parts), notes


def _check_rates(recordings: list[MocapClip]) -> None:
    first = recordings[0]
    for file in recordings:
        if abs(file.fps - first.fps) > 0.01 * first.fps:
            raise InputError(
                str(file.path),
                f"gives {file.fps:g} frames per second where {first.path} gives {first.fps:g}",
                "choose --fps so that both come out equal, or convert them to separate stores",
            )


def _unit(recordings: list[MocapClip], options: MocapOptions) -> tuple[float, str]:
    """Return the millimetres per unit, and a note on how the unit was determined."""
    hip, knee, foot = HUMAN36M_17.indices("RHip", "RKnee", "RFoot")
    if options.unit != "auto":
        return MM_PER_UNIT[options.unit], f"unit {options.unit}"
    first_files: dict[Unit, MocapClip] = {}
    for file in recordings:
        joints = file.joints[0]
        leg = float(
            np.linalg.norm(joints[knee] - joints[hip]) + np.linalg.norm(joints[foot] - joints[knee])
        )
        fits = [u for u, mm in MM_PER_UNIT.items() if LEG_MM[0] <= leg * mm <= LEG_MM[1]]
        if len(fits) != 1:
            raise InputError(
                str(file.path),
                f"legs {leg:.3g} long fit no unit",
                f"--unit {'|'.join(MM_PER_UNIT)}",
            )
        first_files.setdefault(fits[0], file)
    if len(first_files) > 1:
        (unit, file), (other, second) = list(first_files.items())[:2]
        raise InputError(
            str(second.path),
            f"looks like {other} where {file.path} looks like {unit}",
            "give --unit, or convert them to separate stores",
        )
    unit = next(iter(first_files))
    return MM_PER_UNIT[unit], f"unit {unit} (judged by the length of the legs)"


def _z_up_rotation(
    recordings: list[MocapClip], options: MocapOptions
) -> tuple[NDArray[np.float64], str]:
    """Return the rotation (3, 3) from the files' up axis to z, and a note on how it was found."""
    hip, thorax = HUMAN36M_17.indices("Hip", "Thorax")
    if options.up != "auto":
        return _to_z_up(options.up), f"up {options.up}"
    trunk = np.concatenate([file.joints[:, thorax] - file.joints[:, hip] for file in recordings])
    trunk /= np.maximum(np.linalg.norm(trunk, axis=1, keepdims=True), 1e-9)
    mean = trunk.mean(axis=0)
    axis = int(np.argmax(np.abs(mean)))
    if abs(mean[axis]) < 0.6:
        raise InputError("--up", "the people stand upright along no axis", "name it: --up +y")
    up: Axis = next(a for a in get_args(Axis) if a == f"{'+-'[int(mean[axis] < 0)]}{'xyz'[axis]}")
    return _to_z_up(up), f"up {up} (judged by the trunks)"


def _to_z_up(up: Axis) -> NDArray[np.float64]:
    """Return a rotation (3, 3), not a reflection, that maps an axis to z."""
    axis = "xyz".index(up[1])
    z = np.zeros(3)
    z[axis] = -1.0 if up[0] == "-" else 1.0
    x = np.zeros(3)
    x[(axis + 1) % 3] = 1.0
    return np.stack([x, np.cross(z, x), z])


def _poses(file: MocapClip, joints: NDArray[np.float64]) -> Poses:
    count = len(joints)
    return Poses(
        joints_mm=joints.astype(np.float32),
        subject=np.full(count, file.subject),
        action=np.full(count, file.action),
        clip=np.full(count, file.clip),
        frame=np.arange(count, dtype=np.int32),
        fps=file.fps,
    )
