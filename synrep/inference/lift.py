"""From 2D keypoints in a file to 3D poses in a file, without any truth.

Axes: F frames, J joints. Camera frame: x right, y down, z away.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

import numpy as np
import torch

from synrep.errors import InputError
from synrep.inference.keypoints.keypoints import (
    Keypoints,
    read_keypoints,
    skip_missing,
    to_skeleton,
)
from synrep.inference.lifter import Lifter
from synrep.storage import Storage
from synrep.viz.plots import Scene, draw

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.skeleton import Skeleton

Scale = Literal["bone_length", "constant", "radii"]

ANKLE_HEIGHT = 0.039
"""Height of the ankle above the ground as a fraction of a person's height (Winter, Biomechanics
and Motor Control of Human Movement, after Drillis and Contini)."""

FORMATS = (".npz", ".json", ".csv", ".png")


@dataclass(frozen=True, kw_only=True)
class Lifted:
    """Lifted poses.

    Attributes:
        skeleton: joints of keypoints and poses.
        keypoints_px: (F, J, 2) what was lifted, in pixels.
        poses: (F, J, 3) relative to the first joint, in the camera frame.
        units: 'mm', or 'radii': the mean 2D distance of a pose's joints from its root.
        scale: how the units came about, in words.
        frames: (F) numbers of the frames in the source.
        left_out: for each frame that was left out, the joints that it lacks.
    """

    skeleton: Skeleton
    keypoints_px: NDArray[np.float64]
    poses: NDArray[np.float32]
    units: Literal["mm", "radii"]
    scale: str
    frames: tuple[int, ...]
    left_out: Mapping[int, list[str]]


class How(TypedDict, total=False):
    """Options of `lift`."""

    scale: Scale
    height_mm: float | None
    skip_missing_joints: bool


def lift(
    trained: Lifter,
    keypoints: Keypoints,
    *,
    scale: Scale = "bone_length",
    height_mm: float | None = None,
    skip_missing_joints: bool = False,
) -> Lifted:
    """Lift 2D keypoints of any resolution to 3D poses.

    Args:
        trained: the generator.
        keypoints: of one person.
        scale: 'bone_length' gives every pose the same sum of bone lengths, the training poses'
            mean; 'constant' multiplies every pose by the same number; 'radii' leaves it as it
            is (row 3).
        height_mm: the person's height; with 'bone_length', it takes the place of that sum.
        skip_missing_joints: leave out frames that lack a joint which the generator needs, instead
            of refusing them all.

    Raises:
        InputError: a joint is missing, no frame is left, or the options contradict each other.
    """
    if height_mm is not None and scale != "bone_length":
        raise InputError("--height-mm", f"given with scale {scale!r}", "use it with 'bone_length'")
    if height_mm is not None and not (height_mm > 0 and np.isfinite(height_mm)):
        raise InputError("--height-mm", f"{height_mm:g} is no height", "give millimetres")
    sh_map = trained.config.data.sh_map
    left_out: dict[int, list[str]] = {}
    if skip_missing_joints:
        keypoints, left_out = skip_missing(keypoints, trained.skeleton, sh_map)
    points = to_skeleton(keypoints, trained.skeleton, sh_map)
    radii = trained.lift(points)
    factor, reason = _factor(trained, radii, scale, height_mm)
    return Lifted(
        skeleton=trained.skeleton,
        keypoints_px=points,
        poses=(radii * factor[:, None, None]).astype(np.float32),
        units="radii" if scale == "radii" else "mm",
        scale=reason,
        frames=keypoints.frames,
        left_out=left_out,
    )


def lift_file(
    checkpoint: Path,
    source: Path,
    out: Path,
    *,
    skeleton: str | None = None,
    **how: Unpack[How],
) -> Lifted:
    """Lift the keypoints in a file and write the poses in the kind of file that `out` names.

    Args:
        checkpoint: a training's checkpoint file, or a folder made by `synrep export`.
        source: keypoints; see `synrep.inference.keypoints.keypoints.read_keypoints`.
        out: .npz, .json or .csv for the poses, .png for a picture of up to four of them; replaced.
        skeleton: name of the keypoints' joints, if the source does not say it.
        how: see `lift`.

    Raises:
        InputError: something given can't be used.
    """
    if out.suffix not in FORMATS:
        raise InputError(str(out), "unknown kind of file", "use one of " + ", ".join(FORMATS))
    keypoints = read_keypoints(source, skeleton)
    lifted = lift(Lifter.load(checkpoint), keypoints, **how)
    write = {".npz": _npz, ".json": _json, ".csv": _csv, ".png": _png}[out.suffix]
    Storage.at(out.parent).write(out.name, write(lifted))
    return lifted


def _factor(
    trained: Lifter, radii: NDArray[np.float32], scale: Scale, height_mm: float | None
) -> tuple[NDArray[np.float64], str]:
    """What each pose (F,) is multiplied by, and why."""
    body, skeleton = trained.body, trained.skeleton
    if scale == "radii":
        return np.ones(len(radii)), "none: in mean 2D radii of each pose"
    if scale == "constant":
        reason = f"every radius is {body.scale_mm:.0f} mm, the mean of the training poses"
        return np.full(len(radii), body.scale_mm), reason
    if height_mm is None:
        factor = body.bone_scale(torch.from_numpy(radii).double(), skeleton).numpy()
        total = f"{body.bone_length_sum_mm:.0f} mm"
        return factor, f"the bones add up to {total}, the mean of the training poses"
    standing = np.maximum(_stature(radii, skeleton), 1e-6)
    return height_mm * (1 - ANKLE_HEIGHT) / standing, f"for a person {height_mm:.0f} mm tall"


def _stature(poses: NDArray[np.float32], skeleton: Skeleton) -> NDArray[np.float64]:
    """Length (F,) from ankle to crown along leg, trunk and head, whatever the posture."""
    trunk = [("Hip", "Spine"), ("Spine", "Thorax"), ("Thorax", "Head")]
    legs = [(f"{side}{a}", f"{side}{b}") for side in "LR" for a, b in _LEG]
    length = np.zeros(len(poses))
    for share, bones in ((1.0, trunk), (0.5, legs)):
        for bone in bones:
            length += share * _distance(poses, skeleton, *bone)
    return length


_LEG = (("Hip", "Knee"), ("Knee", "Foot"))


def _distance(
    poses: NDArray[np.float32], skeleton: Skeleton, first: str, second: str
) -> NDArray[np.float64]:
    a, b = skeleton.indices(first, second)
    return np.asarray(np.linalg.norm(poses[:, a].astype(np.float64) - poses[:, b], axis=-1))


FRAME = "camera: x right, y down, z away; relative to the first joint"


def _npz(lifted: Lifted) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        poses=lifted.poses,
        keypoints_px=lifted.keypoints_px,
        frames=np.array(lifted.frames),
        joints=np.array(lifted.skeleton.joints),
        skeleton=np.array(lifted.skeleton.name),
        units=np.array(lifted.units),
        scale=np.array(lifted.scale),
        frame=np.array(FRAME),
    )
    return buffer.getvalue()


def _json(lifted: Lifted) -> bytes:
    content = {
        "skeleton": lifted.skeleton.name,
        "joints": lifted.skeleton.joints,
        "units": lifted.units,
        "scale": lifted.scale,
        "frame": FRAME,
        "frames": lifted.frames,
        "keypoints_px": lifted.keypoints_px.round(3).tolist(),
        "poses": lifted.poses.astype(np.float64).round(5).tolist(),
    }
    return json.dumps(content).encode()


def _csv(lifted: Lifted) -> bytes:
    """A row a frame; the unit is in the names of the columns: `Hip_x_mm`."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = [f"{j}_{axis}_{lifted.units}" for j in lifted.skeleton.joints for axis in "xyz"]
    writer.writerow(["frame", *columns])
    rows = lifted.poses.astype(np.float64).reshape(len(lifted.poses), -1).round(5).tolist()
    writer.writerows([frame, *row] for frame, row in zip(lifted.frames, rows, strict=True))
    return buffer.getvalue().encode()


def _png(lifted: Lifted) -> bytes:
    return draw(
        Scene(
            skeleton=lifted.skeleton,
            keypoints=lifted.keypoints_px,
            predicted=lifted.poses,
            frames=lifted.frames,
            units=lifted.units,
            note=f"scale: {lifted.scale}",
        )
    )
