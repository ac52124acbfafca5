"""From 2D keypoints in a file to 3D poses in a file."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Unpack

import numpy as np

from synrep.errors import InputError
from synrep.inference.keypoints.keypoints import read_keypoints
from synrep.inference.lift import How, Lifted, lift
from synrep.inference.lifter import Lifter
from synrep.storage import Storage
from synrep.viz.plots import Scene, draw

if TYPE_CHECKING:
    from pathlib import Path

    from synrep.inference.keypoints.checks import ImageSize

FORMATS = (".npz", ".json", ".csv", ".png")
FRAME = "camera: x right, y down, z away; relative to the first joint"


class FileHow(How, total=False):
    """Options of `lift_file`: those of reading beside those of lifting."""

    skeleton: str | None
    person: str | int | None
    image_size: ImageSize | None
    min_confidence: float


def lift_file(model: Path, source: Path, out: Path, **options: Unpack[FileHow]) -> Lifted:
    """Lift the keypoints in a file and write the poses in the kind of file that `out` names.

    Args:
        model: folder of a training, exported folder or checkpoint file.
        source: keypoints; see `synrep.inference.keypoints.keypoints.read_keypoints`.
        out: .npz, .json or .csv for the poses, .png for a picture of up to four of them; replaced.
        options: `skeleton` (name of the keypoints' joints, if the source does not say it),
            `person`, `image_size` and `min_confidence` as in
            `synrep.inference.keypoints.keypoints.read_keypoints`; the others as in
            `synrep.inference.lift.lift`.

    Raises:
        InputError: something given can't be used.
    """
    if out.suffix not in FORMATS:
        raise InputError(str(out), "unknown kind of file", "use one of " + ", ".join(FORMATS))
    how: How = {}
    for option in ("scale", "height_mm", "skip_missing_joints"):
        if option in options:
            how[option] = options[option]
    keypoints = read_keypoints(
        source,
        options.get("skeleton"),
        person=options.get("person"),
        image_size=options.get("image_size"),
        min_confidence=options.get("min_confidence", 0.0),
    )
    lifted = lift(Lifter.load(model), keypoints, **how)
    write = {".npz": _npz, ".json": _json, ".csv": _csv, ".png": _png}[out.suffix]
    Storage.at(out.parent).write(out.name, write(lifted))
    return lifted


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
        estimated=np.array(lifted.estimated, dtype=np.str_),
    )
    return buffer.getvalue()


def _json(lifted: Lifted) -> bytes:
    content = {
        "skeleton": lifted.skeleton.name,
        "joints": lifted.skeleton.joints,
        "units": lifted.units,
        "scale": lifted.scale,
        "frame": FRAME,
        "estimated": lifted.estimated,
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
            note=f"scale: {lifted.scale}"
            + (f"; estimated: {', '.join(lifted.estimated)}" if lifted.estimated else ""),
        )
    )
