"""Read the motion capture of a folder, of any format: check paths, map joints, leave out bad files.

Axes: T frames of a recording, J joints.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from synrep.datasets.mocap.calibration import is_t_pose
from synrep.datasets.mocap.clips import MocapClip, join_clips
from synrep.datasets.mocap.files import SHOWN, find_files
from synrep.datasets.mocap.joint_maps import (
    FROM_HEAD,
    JOINT_MAPS,
    NUMBERED_PATH,
    JointMap,
    detect_joint_map,
    load_joint_map,
    require_joints,
)
from synrep.errors import InputError
from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from synrep.datasets.mocap.motion import SkeletonMotion
    from synrep.datasets.mocap.options import MocapOptions
    from synrep.datasets.store.poses import Poses

    Progress = Callable[[int, int], None]

DROPPED = "lose their first frame (--first-frame drop)"
T_POSE_DROPPED = (
    "begin with a T-pose for calibration, which is no motion: dropped (--first-frame keep keeps it)"
)


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
    poses, notes = join_clips(clips, options)
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
        places = {"--path": self.options.path, name: self.fixed_map.path if self.fixed_map else ""}
        for place, pattern in places.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise InputError(place, f"not a regular expression: {error}") from None

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
        """The subject and action of a file, parsed from its path unless the subject is known.

        Without a joint map, before the file is read, any map's pattern will do.

        Raises:
            InputError: the path names no subject.
        """
        if subject and not self.options.path:
            return subject, "unknown"
        maps = [joint_map] if joint_map else JOINT_MAPS.values()
        known = [*(entry.path for entry in maps), NUMBERED_PATH]
        clip = self.clip(path)
        for pattern in [self.options.path] if self.options.path else known:
            match = re.fullmatch(pattern, clip)
            groups = match.groupdict() if match else {}
            if groups.get("subject"):
                return groups["subject"], groups.get("action") or "unknown"
        own = self.options.path or (joint_map.path if joint_map else "")
        raise InputError(
            str(path),
            f"its path {clip!r} names no subject by "
            + (f"the pattern {own!r}" if own else "any pattern of the known joint maps"),
            "give --path with a group (?P<subject>...) and optionally (?P<action>...)",
        )


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
