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

FORMATS = (".npz", ".json", ".csv", ".png")
FRAME = "camera: x right, y down, z away; relative to the first joint"


def lift_file(
    model: Path,
    source: Path,
    out: Path,
    *,
    skeleton: str | None = None,
    **how: Unpack[How],
) -> Lifted:
    """Lift the keypoints in a file and write the poses in the kind of file that `out` names.

    Args:
        model: folder of a training, exported folder or checkpoint file.
        source: keypoints; see `synrep.inference.keypoints.keypoints.read_keypoints`.
        out: .npz, .json or .csv for the poses, .png for a picture of up to four of them; replaced.
        skeleton: name of the keypoints' joints, if the source does not say it.
        how: see `synrep.inference.lift.lift`.

    Raises:
        InputError: something given can't be used.
    """
    if out.suffix not in FORMATS:
        raise InputError(str(out), "unknown kind of file", "use one of " + ", ".join(FORMATS))
    keypoints = read_keypoints(source, skeleton)
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
