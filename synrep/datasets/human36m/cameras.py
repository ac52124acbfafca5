"""Human3.6M's cameras: from metadata.xml, from cameras.h5, or the published numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from synrep.datasets.cameras import Camera
from synrep.datasets.human36m.protocol import CAMERAS, SUBJECTS
from synrep.datasets.human36m.published import LENS, PLACEMENT
from synrep.datasets.store.header import Intrinsics
from synrep.datasets.untrusted.hdf5 import read_datasets
from synrep.errors import DamagedError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Cameras = Mapping[tuple[str, str], Camera]

METADATA = "metadata.xml"
CAMERAS_H5 = "cameras.h5"
NUMBERS = 300
"""Numbers in metadata.xml: 6 for each of 4 cameras and 11 subjects, 9 for each lens."""
PEOPLE = 11
"""Subjects that metadata.xml counts."""
_AGAIN = "get the file again, or take it away to use the published numbers"


def find_cameras(folders: Iterable[Path]) -> tuple[Cameras, str]:
    """Cameras by (subject, name), and a note on where they are from.

    Args:
        folders: where a file with them may lie; the first one found is read.

    Raises:
        DamagedError: the file can't be read, or its cameras are none.
    """
    for folder in folders:
        if (path := folder / METADATA).is_file():
            return read_metadata(path), f"cameras: {path}"
        if (path := folder / CAMERAS_H5).is_file():
            return read_cameras_h5(path), f"cameras: {path}"
    return published_cameras(), "cameras: the published numbers"


def published_cameras() -> Cameras:
    """The cameras that come with this package."""
    return {
        (subject, camera): camera_from_numbers(placement, lens)
        for subject, placements in PLACEMENT.items()
        for camera, placement, lens in zip(CAMERAS, placements, LENS, strict=True)
    }


def camera_from_numbers(placement: Sequence[float], lens: Sequence[float]) -> Camera:
    """A camera from its 6 + 9 numbers in Human3.6M's own order.

    The rotation from world to camera is that about x, times that about y, times that about z.
    """
    first, second, third = (_turn(axis, angle) for axis, angle in enumerate(placement[:3]))
    numbers = np.array(lens, np.float64)
    return Camera(
        rotation=first @ second @ third,
        position_mm=np.array(placement[3:6], np.float64),
        focal_px=numbers[0:2],
        centre_px=numbers[2:4],
        radial=numbers[4:7],
        tangential=numbers[7:9],
    )


def _turn(axis: int, angle: float) -> NDArray[np.float64]:
    first, second = ((1, 2), (2, 0), (0, 1))[axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[second, first] = np.sin(angle)
    matrix[first, second] = -np.sin(angle)
    return matrix


def read_metadata(path: Path) -> Cameras:
    """The cameras of the official metadata.xml.

    Raises:
        DamagedError: it has no list `w0` of 300 numbers.
    """
    try:
        found = re.search(r"<w0>\s*\[?([^\]<]*)\]?\s*</w0>", path.read_text("utf-8", "replace"))
        numbers = [float(word) for word in found[1].replace(",", " ").split()] if found else []
    except (OSError, ValueError) as error:
        raise DamagedError(str(path), f"can't be read: {error}", _AGAIN) from None
    if len(numbers) != NUMBERS or not np.isfinite(numbers).all():
        raise DamagedError(
            str(path), f"its list w0 has {len(numbers)} numbers where {NUMBERS} belong", _AGAIN
        )
    lenses = np.reshape(numbers[-36:], (4, 9)).tolist()
    placements = np.reshape(numbers[:-36], (4, PEOPLE, 6))
    return {
        (subject, camera): camera_from_numbers(
            placements[index, int(subject[1:]) - 1].tolist(), lenses[index]
        )
        for subject in SUBJECTS
        for index, camera in enumerate(CAMERAS)
    }


def read_cameras_h5(path: Path) -> Cameras:
    """The cameras of cameras.h5, which holds the transposed rotations.

    Subjects that it lacks are left out.

    Raises:
        DamagedError: a subject that it has lacks a camera, or a value is none.
    """
    wanted = {"R": 9, "T": 3, "f": 2, "c": 2, "k": 3, "p": 2, "Name": len(CAMERAS[0])}
    groups = {
        (subject, number): f"subject{subject[1:]}/camera{number}"
        for subject in SUBJECTS
        for number in range(1, 5)
    }
    found = read_datasets(path, [f"{group}/{name}" for group in groups.values() for name in wanted])
    cameras = {}
    for (subject, _), group in groups.items():
        values = {name: found.get(f"{group}/{name}") for name in wanted}
        if not any(name.startswith(f"subject{subject[1:]}/") for name in found):
            continue
        for name, size in wanted.items():
            value = values[name]
            if value is None or value.size != size or not np.isfinite(value).all():
                raise DamagedError(str(path), f"{group}/{name} is not {size} numbers", _AGAIN)
        camera, name = _camera(values)
        if not np.allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-4):
            raise DamagedError(str(path), f"{group}/R is no rotation", _AGAIN)
        if name not in CAMERAS:
            raise DamagedError(str(path), f"{group}/Name is {name!r}", _AGAIN)
        cameras[subject, name] = camera
    if not cameras:
        raise DamagedError(str(path), "it has no groups subject1/camera1 and so on", _AGAIN)
    return cameras


def _camera(values: Mapping[str, Any]) -> tuple[Camera, str]:
    flat = {name: np.asarray(value, np.float64).reshape(-1) for name, value in values.items()}
    camera = Camera(
        rotation=flat["R"].reshape(3, 3).T,
        position_mm=flat["T"],
        focal_px=flat["f"],
        centre_px=flat["c"],
        radial=flat["k"],
        tangential=flat["p"],
    )
    return camera, "".join(chr(int(number)) for number in flat["Name"] if 0 < number < 128)


def require_camera(cameras: Cameras, subject: str, camera: str, place: str) -> Camera:
    """One camera.

    Raises:
        InputError: there is none for that subject.
    """
    if (subject, camera) not in cameras:
        raise InputError(
            place,
            f"there is no camera {camera} of {subject}",
            "take the file with cameras away to use the published numbers",
        )
    return cameras[subject, camera]


def shared_intrinsics(cameras: Cameras, place: str) -> dict[str, Intrinsics]:
    """The lens of each camera, which is the same for all subjects.

    Raises:
        InputError: it is not.
    """
    lenses: dict[str, NDArray[np.float64]] = {}
    for (subject, name), camera in cameras.items():
        lens = np.concatenate([camera.focal_px, camera.centre_px, camera.radial, camera.tangential])
        if not np.allclose(lenses.setdefault(name, lens), lens, rtol=1e-6, atol=1e-9):
            raise InputError(
                place, f"the lens of camera {name} of {subject} is not that of others", _AGAIN
            )
    return {
        name: Intrinsics(
            focal_px=(lens[0], lens[1]),
            centre_px=(lens[2], lens[3]),
            radial=(lens[4], lens[5], lens[6]),
            tangential=(lens[7], lens[8]),
        )
        for name, lens in lenses.items()
    }
