"""Human3.6M's cameras: from metadata.xml, from cameras.h5, or the published parameters.

The published parameters are at the end of this module: the extrinsics of each subject's cameras
and the intrinsics of each camera. They are printed in many public repositories.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from synrep.datasets.cameras import Camera
from synrep.datasets.human36m.protocol import CAMERAS, SUBJECTS
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
"""Numbers in metadata.xml: 6 extrinsics per camera and 11 subjects, 9 intrinsics per camera."""
SUBJECT_COUNT = 11
"""Number of subjects in metadata.xml."""
_REMEDY = "get the file again, or remove it to use the published numbers"


def find_cameras(folders: Iterable[Path]) -> tuple[Cameras, str]:
    """Return the cameras by (subject, name), and a note on their source.

    Args:
        folders: folders to search for a file with cameras; the first one found is read.

    Raises:
        DamagedError: the file can't be read or contains no valid cameras.
    """
    for folder in folders:
        if (path := folder / METADATA).is_file():
            return read_metadata(path), f"cameras: {path}"
        if (path := folder / CAMERAS_H5).is_file():
            return read_cameras_h5(path), f"cameras: {path}"
    return published_cameras(), "cameras: the published numbers"


def published_cameras() -> Cameras:
    """Return the published cameras, which are part of this module."""
    return {
        (subject, camera): camera_from_numbers(extrinsics, intrinsics)
        for subject, placements in EXTRINSICS.items()
        for camera, extrinsics, intrinsics in zip(CAMERAS, placements, INTRINSICS, strict=True)
    }


def camera_from_numbers(extrinsics: Sequence[float], intrinsics: Sequence[float]) -> Camera:
    """Create a camera from its 6 + 9 parameters in Human3.6M's order.

    The rotation from world to camera is R_x R_y R_z, from the three angles about x, y and z.
    """
    r_x, r_y, r_z = (_axis_rotation(axis, angle) for axis, angle in enumerate(extrinsics[:3]))
    numbers = np.array(intrinsics, np.float64)
    return Camera(
        rotation=r_x @ r_y @ r_z,
        position_mm=np.array(extrinsics[3:6], np.float64),
        focal_px=numbers[0:2],
        centre_px=numbers[2:4],
        radial=numbers[4:7],
        tangential=numbers[7:9],
    )


def _axis_rotation(axis: int, angle: float) -> NDArray[np.float64]:
    """Return the rotation (3, 3) by an angle in radians about a coordinate axis."""
    first, second = ((1, 2), (2, 0), (0, 1))[axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[second, first] = np.sin(angle)
    matrix[first, second] = -np.sin(angle)
    return matrix


def read_metadata(path: Path) -> Cameras:
    """Read the cameras of the official metadata.xml.

    Raises:
        DamagedError: the file has no list `w0` of 300 finite numbers.
    """
    try:
        match = re.search(r"<w0>\s*\[?([^\]<]*)\]?\s*</w0>", path.read_text("utf-8", "replace"))
        numbers = [float(word) for word in match[1].replace(",", " ").split()] if match else []
    except (OSError, ValueError) as error:
        raise DamagedError(str(path), f"can't be read: {error}", _REMEDY) from None
    if len(numbers) != NUMBERS or not np.isfinite(numbers).all():
        raise DamagedError(
            str(path), f"its list w0 has {len(numbers)} numbers instead of {NUMBERS}", _REMEDY
        )
    intrinsics = np.reshape(numbers[-36:], (4, 9)).tolist()
    extrinsics = np.reshape(numbers[:-36], (4, SUBJECT_COUNT, 6))
    return {
        (subject, camera): camera_from_numbers(
            extrinsics[index, int(subject[1:]) - 1].tolist(), intrinsics[index]
        )
        for subject in SUBJECTS
        for index, camera in enumerate(CAMERAS)
    }


def read_cameras_h5(path: Path) -> Cameras:
    """Read the cameras of cameras.h5, which stores transposed rotations.

    Subjects that the file lacks are left out.

    Raises:
        DamagedError: a subject lacks a camera, or a camera has a missing or invalid value.
    """
    sizes = {"R": 9, "T": 3, "f": 2, "c": 2, "k": 3, "p": 2, "Name": len(CAMERAS[0])}
    groups = {
        (subject, number): f"subject{subject[1:]}/camera{number}"
        for subject in SUBJECTS
        for number in range(1, 5)
    }
    arrays = read_datasets(path, [f"{group}/{name}" for group in groups.values() for name in sizes])
    cameras = {}
    for (subject, _), group in groups.items():
        values = {name: arrays.get(f"{group}/{name}") for name in sizes}
        if not any(name.startswith(f"subject{subject[1:]}/") for name in arrays):
            continue
        for name, size in sizes.items():
            value = values[name]
            if value is None or value.size != size or not np.isfinite(value).all():
                raise DamagedError(str(path), f"{group}/{name} is not {size} numbers", _REMEDY)
        camera, name = _camera(values)
        if not np.allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-4):
            raise DamagedError(str(path), f"{group}/R is not a rotation", _REMEDY)
        if name not in CAMERAS:
            raise DamagedError(str(path), f"{group}/Name is {name!r}", _REMEDY)
        cameras[subject, name] = camera
    if not cameras:
        raise DamagedError(str(path), "it has no groups subject1/camera1 and so on", _REMEDY)
    return cameras


def _camera(values: Mapping[str, Any]) -> tuple[Camera, str]:
    """Return the camera and its name from the arrays of a group of cameras.h5."""
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
    """Return the camera of a subject.

    Raises:
        InputError: the camera is missing.
    """
    if (subject, camera) not in cameras:
        raise InputError(
            place,
            f"there is no camera {camera} of {subject}",
            "remove the file with cameras to use the published numbers",
        )
    return cameras[subject, camera]


def shared_intrinsics(cameras: Cameras, place: str) -> dict[str, Intrinsics]:
    """Return the intrinsics of each camera, which are the same for all subjects.

    Raises:
        InputError: the intrinsics of a camera differ between subjects.
    """
    shared: dict[str, NDArray[np.float64]] = {}
    for (subject, name), camera in cameras.items():
        parts = [camera.focal_px, camera.centre_px, camera.radial, camera.tangential]
        numbers = np.concatenate(parts)
        if not np.allclose(shared.setdefault(name, numbers), numbers, rtol=1e-6, atol=1e-9):
            raise InputError(
                place,
                f"the intrinsics of camera {name} of {subject} differ from other subjects'",
                _REMEDY,
            )
    return {
        name: Intrinsics(
            focal_px=(numbers[0], numbers[1]),
            centre_px=(numbers[2], numbers[3]),
            radial=(numbers[4], numbers[5], numbers[6]),
            tangential=(numbers[7], numbers[8]),
        )
        for name, numbers in shared.items()
    }


EXTRINSICS: dict[str, tuple[tuple[float, float, float, float, float, float], ...]] = {
    "S1": (
        (-1.38382776, -3.16734304, 0.413636308, 1841.10703, 4955.28462, 1563.4454),
        (-1.35517119, 3.13934427, 2.76026318, 1761.27853, -5078.00659, 1606.26496),
        (-1.35460454, -3.09585375, -0.415010681, -1846.77766, 5215.0465, 1491.97247),
        (-1.29084726, -3.20353825, -2.72857299, -1794.78973, -3722.69892, 1574.89273),
    ),
    "S5": (
        (-1.37617713, -3.16256767, 0.440809993, 2097.39151, 4880.94466, 1605.73247),
        (-1.35630506, 3.12931805, 2.74473745, 2031.70078, -5167.93301, 1612.92305),
        (-1.35627435, -3.0798216, -0.382865372, -1620.59486, 5171.65873, 1496.43705),
        (-1.31332016, -3.22574515, -2.75330006, -1637.17375, -3867.31735, 1547.03326),
    ),
    "S6": (
        (-1.37384066, -3.14962909, 0.41533827, 1935.45175, 4950.2458, 1618.08382),
        (-1.35273483, 3.12306623, 2.73860728, 1969.80391, -5128.73876, 1632.77884),
        (-1.36295424, -3.07297742, -0.405919808, -1769.59648, 5185.36115, 1476.99341),
        (-1.31574862, -3.23364633, -2.74452671, -1721.66875, -3884.13135, 1540.4879),
    ),
    "S7": (
        (-1.37679009, -3.15634557, 0.437827264, 1974.51296, 4926.35446, 1597.83264),
        (-1.35115947, 3.12541721, 2.7424245, 1937.05843, -5119.78982, 1631.56648),
        (-1.36202017, -3.07639613, -0.385859473, -1741.81112, 5208.24936, 1464.82465),
        (-1.31229904, -3.23226714, -2.75617673, -1734.71058, -3832.42135, 1548.58303),
    ),
    "S8": (
        (-1.377291, -3.16179685, 0.423258143, 2150.65184, 4896.16095, 1611.90471),
        (-1.35529598, 3.12906798, 2.768184, 2219.96567, -5148.45308, 1613.04402),
        (-1.35633306, -3.07903933, -0.395738229, -1571.2215, 5137.01858, 1498.17613),
        (-1.31261467, -3.22669131, -2.76803843, -1476.91338, -3896.74112, 1547.97221),
    ),
    "S9": (
        (-1.38660154, -3.18292551, 0.441478758, 2044.45853, 4935.11728, 1481.22753),
        (-1.36358354, 3.1489219, 2.7695784, 1990.95966, -5123.81055, 1568.80482),
        (-1.34888172, -3.10296069, -0.382788964, -1670.99215, 5211.98574, 1528.388),
        (-1.30216364, -3.20525795, -2.73209049, -1696.04347, -3827.09989, 1591.41273),
    ),
    "S11": (
        (-1.38253857, -3.18032945, 0.435684449, 2098.44024, 4926.55466, 1500.27857),
        (-1.36708938, 3.14300995, 2.74314805, 2083.1824, -4912.17282, 1561.07858),
        (-1.33953525, -3.1006424, -0.434419468, -1609.81534, 5177.33597, 1537.89672),
        (-1.30528201, -3.20681865, -2.73759301, -1590.73799, -3854.169, 1578.01761),
    ),
}
"""Three angles in radians and the position in millimetres of each subject's four cameras."""

INTRINSICS: tuple[tuple[float, float, float, float, float, float, float, float, float], ...] = (
    (
        1145.04940459, 1143.78109572, 512.541504957, 515.451486978,
        -0.207098910825, 0.247775183069, -0.00307515035079, -0.0014244715747, -0.00097569885947,
    ),
    (
        1149.67569987, 1147.59161667, 508.848621646, 508.064917089,
        -0.194213629607, 0.240408539138, 0.00681997559023, -0.00274089439619, -0.00161902661379,
    ),
    (
        1149.14071676, 1148.79896857, 519.815837182, 501.402658889,
        -0.208338188252, 0.255488007489, -0.00246049749892, -0.00075999932103, 0.00148438698386,
    ),
    (
        1145.51133842, 1144.77392808, 514.96819732, 501.882018538,
        -0.198384093828, 0.218323676298, -0.00894780704152, -0.00181336200488, -0.000587205583421,
    ),
)  # fmt: skip
"""Focal lengths (2), centre (2), radial (3) and tangential (2) coefficients of each camera."""
