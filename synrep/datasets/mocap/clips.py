"""Join the clips of a folder: detect their unit and axes, place heads, label the poses.

Axes: T frames of a clip, J joints.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from synrep.datasets.mocap.heads import place_heads
from synrep.datasets.store.header import Axis
from synrep.datasets.store.poses import Poses
from synrep.errors import InputError
from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.datasets.mocap.joint_maps import JointMap
    from synrep.datasets.mocap.options import MocapOptions, Unit

MM_PER_UNIT: dict[Unit, float] = {
    "mm": 1.0,
    "cm": 10.0,
    "m": 1000.0,
    "inch": 25.4,
    "cmu": 25.4 / 0.45,  # the scale in the headers of the CMU database
}
LEG_MM = (600.0, 1150.0)
"""Range of human leg lengths (hip to knee to ankle); no length falls in it for two units."""


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


def join_clips(recordings: list[MocapClip], options: MocapOptions) -> tuple[Poses, list[str]]:
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
