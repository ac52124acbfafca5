"""Human3.6M as packed by MMPose: h36m_train.npz and h36m_test.npz, camera frames, metres.

Axes: N rows of a file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from synrep.datasets.cameras import Camera
from synrep.datasets.human36m.assembly import clip_name, complete
from synrep.datasets.human36m.plausible import check_size, evenly_spaced
from synrep.datasets.human36m.protocol import (
    CAMERAS,
    DAMAGED,
    FPS,
    SUBJECTS,
    action_of,
    recording_name,
    split_of,
)
from synrep.datasets.store.poses import Poses
from synrep.datasets.untrusted.npz import read_npz
from synrep.errors import DamagedError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.datasets.human36m.options import Human36MOptions
    from synrep.datasets.store.header import Intrinsics, Split

FILES = ("h36m_train.npz", "h36m_test.npz")
IMAGE = re.compile(r"(?:.*/)?(S\d+)_(\w+)\.(\d{8})_(\d+)\.\w+")
"""Image names: subject, recording, camera, and the frame number at 50 fps, from 1."""
MAX_ERROR_PX = 2.0
"""Largest accepted median distance of the projected poses from the 2D joints of the file."""
SAMPLES = 500
"""Number of rows checked for it."""
_REMEDY = "make the file again with MMPose's script"


def read_mmpose(
    folder: Path, intrinsics: Mapping[str, Intrinsics], options: Human36MOptions
) -> tuple[dict[Split, Poses], list[str]]:
    """Read the poses of every split, and notes for the user.

    Raises:
        InputError: detections are requested, or a file or all subjects of a split are missing.
        DamagedError: a file can't be read, or its poses don't project to its 2D joints.
    """
    if options.keypoints != "gt":
        raise InputError(
            "--keypoints", "MMPose's files contain no detections", "use gt, or another layout"
        )
    names = FILES[1:] if options.test_only else FILES
    paths = [folder / name for name in names]
    if missing := [path for path in paths if not path.is_file()]:
        raise InputError(str(missing[0]), "there is no such file", _REMEDY)
    splits = np.array([split_of(subject, train_on_s8=options.train_on_s8) for subject in SUBJECTS])
    parts: dict[Split, list[Poses]] = {}
    notes: list[str] = []
    for path in paths:
        poses = _read(path, intrinsics, options, notes)
        rows = splits[_codes(poses.subject, SUBJECTS)]
        for split in np.unique(rows).tolist():
            parts.setdefault(split, []).append(poses.take(rows == split))
    joined = {
        split: part[0] if len(part) == 1 else Poses.concatenate(part)
        for split, part in parts.items()
    }
    return complete(joined, options, notes, str(folder)), notes


def _codes(values: NDArray[np.str_], categories: tuple[str, ...]) -> NDArray[np.intp]:
    """Return the indices (N,) of values in a tuple of categories."""
    names, inverse = np.unique(values, return_inverse=True)
    return np.array([categories.index(name) for name in names.tolist()])[inverse]


def _read(
    path: Path, intrinsics: Mapping[str, Intrinsics], options: Human36MOptions, notes: list[str]
) -> Poses:
    """Read the poses of one file, sorted by clip and frame."""
    # Read the arrays one after the other: at 50 frames per second each takes up to 850 MB.
    keys, clip, frame = _parse(path)
    step = _step(frame, path)
    count = len(frame)
    pixels = _points(path, "part", count, (2, 3))[evenly_spaced(count, SAMPLES), :, :2]
    joints_mm = _points(path, "S", count, (3, 4))[..., :3].astype(np.float32)
    joints_mm *= 1000
    check_size(joints_mm, "metres", str(path))
    labels = [(s, action_of(name), clip_name(s, name, c), c) for s, name, c in keys]
    subject, action, name, camera = (np.array(column) for column in zip(*labels, strict=True))
    _check_fit(joints_mm, pixels, camera[clip], intrinsics, str(path))
    damaged = np.array([options.drop_damaged and key[:2] in DAMAGED for key in keys])
    if damaged.any():
        names = {" ".join(key[:2]) for key in keys if key[:2] in DAMAGED}
        notes.append("damaged, left out: " + ", ".join(sorted(names)))
    order = np.lexsort((frame, clip))
    order = order[~damaged[clip[order]]]
    clip, frame = clip[order], frame[order]
    if ((clip[1:] == clip[:-1]) & (frame[1:] == frame[:-1])).any():
        raise DamagedError(str(path), "an image name occurs twice", _REMEDY)
    return Poses(
        joints_mm=joints_mm[order],
        subject=subject[clip],
        action=action[clip],
        clip=name[clip],
        camera=camera[clip],
        frame=((frame - 1) // step).astype(np.int32),
        fps=FPS / step,
    )


def _points(path: Path, name: str, count: int, widths: tuple[int, int]) -> NDArray[Any]:
    """Read an array (N, 17, D) of the file; `widths` are the accepted values of D."""
    values = read_npz(path, {name}).get(name)
    if (
        values is None
        or values.ndim != 3
        or values.shape[:2] != (count, 17)
        or values.shape[2] not in widths
        or values.dtype.kind != "f"
    ):
        actual = "missing" if values is None else f"of shape {values.shape}, {values.dtype}"
        raise DamagedError(
            str(path), f"{name} is {actual} where ({count}, 17, {widths[1]}) is expected", _REMEDY
        )
    return values


def _parse(
    path: Path,
) -> tuple[list[tuple[str, str, str]], NDArray[np.intp], NDArray[np.int64]]:
    """Parse the image names of a file.

    Returns:
        (subject, recording, camera) of each clip, the clip index (N,) of each row, and the frame
        number (N,) of each row, from 1.
    """
    place = str(path)
    images = read_npz(path, {"imgname"}).get("imgname")
    if images is None or images.ndim != 1 or images.dtype.kind not in "US" or not len(images):
        raise DamagedError(place, "it has no image names, `imgname`", _REMEDY)
    keys: dict[tuple[str, str, str], int] = {}
    clip_of_stem: dict[str, int] = {}
    clip = np.empty(len(images), np.intp)
    frame = np.empty(len(images), np.int64)
    for row, raw in enumerate(images):
        text = raw.decode("latin1") if isinstance(raw, bytes) else str(raw)
        stem, _, rest = text.rpartition("_")
        if stem not in clip_of_stem:
            match = IMAGE.fullmatch(text)
            if match is None or match[1] not in SUBJECTS or match[3] not in CAMERAS:
                raise DamagedError(place, f"image {text!r} is not one of Human3.6M", _REMEDY)
            key = match[1], recording_name(match[2], place), match[3]
            clip_of_stem[stem] = keys.setdefault(key, len(keys))
        number = rest.partition(".")[0]
        if not number.isdecimal() or int(number) < 1:
            raise DamagedError(place, f"image {text!r} has no number", _REMEDY)
        clip[row], frame[row] = clip_of_stem[stem], int(number)
    return list(keys), clip, frame


def _step(frame: NDArray[np.int64], path: Path) -> int:
    """Return the step between frames of the file, in frames of the recordings."""
    step = int(np.gcd.reduce(frame - 1))
    folder_fps = re.fullmatch(r"fps(\d+)", path.parent.name)
    if step < 1 or (folder_fps and step * int(folder_fps[1]) != FPS):
        raise DamagedError(
            str(path),
            f"its images are {step} frames apart at {FPS:g} frames per second",
            f"the folder is named {path.parent.name}: move the file to the folder of its rate",
        )
    return step


def _check_fit(
    joints_mm: NDArray[np.float32],
    pixels: NDArray[np.float64],
    cameras: NDArray[np.str_],
    intrinsics: Mapping[str, Intrinsics],
    place: str,
) -> None:
    """Check that poses project to the 2D joints of their row: frame, unit and order are right.

    Args:
        joints_mm: (N, 17, 3) all poses.
        pixels: (S, 17, 2) 2D joints of S evenly spaced rows.
        cameras: (N,) name of the camera of each row.
        intrinsics: intrinsics by camera name.
        place: name of the file, for messages.

    Raises:
        DamagedError: the median error exceeds `MAX_ERROR_PX`.
    """
    rows = evenly_spaced(len(joints_mm), SAMPLES)
    errors = np.empty(len(rows))
    for name in np.unique(cameras[rows]).tolist():
        camera = Camera.from_intrinsics(intrinsics[name].model_dump())
        mask = cameras[rows] == name
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            projected = camera.project(joints_mm[rows[mask]].astype(np.float64))
        errors[mask] = np.linalg.norm(projected - pixels[mask], axis=-1).mean(-1)
    if not (median := float(np.median(errors))) <= MAX_ERROR_PX:
        raise DamagedError(
            place,
            f"its projected poses are {median:.3g} px off its 2D joints",
            "poses must be in the frame of each row's camera, x right, y down, z away, and not "
            "relative to the root",
        )
