"""Human3.6M as MMPose keeps it: h36m_train.npz and h36m_test.npz, in the cameras' metres.

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
"""Names of images: subject, recording, camera, and the frame at 50 a second, from 1."""
FAR_PX = 2.0
"""Most that the projected poses may be off the 2D joints of the file, in the median."""
SAMPLES = 500
_AGAIN = "make the file again with MMPose's script"


def read_mmpose(
    folder: Path, intrinsics: Mapping[str, Intrinsics], options: Human36MOptions
) -> tuple[dict[Split, Poses], list[str]]:
    """The poses of every split, and notes.

    Raises:
        InputError: detections are asked for, a file or a split's subjects are missing.
        DamagedError: a file can't be read, or its poses don't fit its 2D joints.
    """
    if options.keypoints != "gt":
        raise InputError(
            "--keypoints", "MMPose's files hold no detections", "use gt, or another layout"
        )
    paths = [folder / name for name in FILES]
    if missing := [path for path in paths if not path.is_file()]:
        raise InputError(str(missing[0]), "there is no such file", _AGAIN)
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


def _codes(values: NDArray[np.str_], known: tuple[str, ...]) -> NDArray[np.intp]:
    """(N,) positions of values among known ones."""
    names, inverse = np.unique(values, return_inverse=True)
    return np.array([known.index(name) for name in names.tolist()])[inverse]


def _read(
    path: Path, intrinsics: Mapping[str, Intrinsics], options: Human36MOptions, notes: list[str]
) -> Poses:
    # One array after the other: at 50 frames per second each takes up to 850 MB.
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
        lost = {" ".join(key[:2]) for key in keys if key[:2] in DAMAGED}
        notes.append("damaged, left out: " + ", ".join(sorted(lost)))
    order = np.lexsort((frame, clip))
    order = order[~damaged[clip[order]]]
    clip, frame = clip[order], frame[order]
    if ((clip[1:] == clip[:-1]) & (frame[1:] == frame[:-1])).any():
        raise DamagedError(str(path), "an image is there twice", _AGAIN)
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
    """(N, 17, D) numbers of one of the file's arrays."""
    values = read_npz(path, {name}).get(name)
    if (
        values is None
        or values.ndim != 3
        or values.shape[:2] != (count, 17)
        or values.shape[2] not in widths
        or values.dtype.kind != "f"
    ):
        found = "missing" if values is None else f"of shape {values.shape}, {values.dtype}"
        raise DamagedError(
            str(path), f"{name} is {found} where ({count}, 17, {widths[1]}) belongs", _AGAIN
        )
    return values


def _parse(
    path: Path,
) -> tuple[list[tuple[str, str, str]], NDArray[np.intp], NDArray[np.int64]]:
    """Subjects, recordings and cameras; which of them each row is of; its frame from 1."""
    place = str(path)
    images = read_npz(path, {"imgname"}).get("imgname")
    if images is None or images.ndim != 1 or images.dtype.kind not in "US" or not len(images):
        raise DamagedError(place, "it has no names of images, `imgname`", _AGAIN)
    keys: dict[tuple[str, str, str], int] = {}
    known: dict[str, int] = {}
    clip = np.empty(len(images), np.intp)
    frame = np.empty(len(images), np.int64)
    for row, raw in enumerate(images):
        text = raw.decode("latin1") if isinstance(raw, bytes) else str(raw)
        stem, _, rest = text.rpartition("_")
        if stem not in known:
            found = IMAGE.fullmatch(text)
            if found is None or found[1] not in SUBJECTS or found[3] not in CAMERAS:
                raise DamagedError(place, f"image {text!r} is none of Human3.6M", _AGAIN)
            key = found[1], recording_name(found[2], place), found[3]
            known[stem] = keys.setdefault(key, len(keys))
        number = rest.partition(".")[0]
        if not number.isdecimal() or int(number) < 1:
            raise DamagedError(place, f"image {text!r} has no number", _AGAIN)
        clip[row], frame[row] = known[stem], int(number)
    return list(keys), clip, frame


def _step(frame: NDArray[np.int64], path: Path) -> int:
    """Frames of the recordings from one row to the next, by the names of the images."""
    step = int(np.gcd.reduce(frame - 1))
    named = re.fullmatch(r"fps(\d+)", path.parent.name)
    if step < 1 or (named and step * int(named[1]) != FPS):
        raise DamagedError(
            str(path),
            f"its images are {step} frames of {FPS:g} a second apart",
            f"the folder is named {path.parent.name}: put the file where it belongs",
        )
    return step


def _check_fit(
    joints_mm: NDArray[np.float32],
    pixels: NDArray[np.float64],
    cameras: NDArray[np.str_],
    intrinsics: Mapping[str, Intrinsics],
    place: str,
) -> None:
    """The poses, projected, are the 2D joints of the same row: frame, unit and order are right."""
    rows = evenly_spaced(len(joints_mm), SAMPLES)
    off = np.empty(len(rows))
    for name in np.unique(cameras[rows]).tolist():
        lens = Camera.from_intrinsics(intrinsics[name].model_dump())
        mine = cameras[rows] == name
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            seen = lens.project(joints_mm[rows[mine]].astype(np.float64))
        off[mine] = np.linalg.norm(seen - pixels[mine], axis=-1).mean(-1)
    if not (median := float(np.median(off))) <= FAR_PX:
        raise DamagedError(
            place,
            f"its poses, projected, are {median:.3g} px off its 2D joints",
            "poses must be in the frame of each row's camera, x right, y down, z away, and not "
            "relative to the root",
        )
