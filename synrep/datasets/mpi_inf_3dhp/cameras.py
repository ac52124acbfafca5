"""Cameras of MPI-INF-3DHP, and where before them a pose of another size has to stand.

`univ_annot3` is `annot3` rescaled about the pelvis, each person to one height: the pelvis stays, so
the joints no longer project to `annot2`. What an image shows stays the same only if everything is
rescaled about the camera. So a rescaled pose is moved along the ray of its pelvis until it
projects as the person did; relative to the pelvis, which is all that is trained on and scored, it
stays as published.
Axes: T frames, J joints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synrep.datasets.cameras import Camera
from synrep.datasets.store.header import Intrinsics
from synrep.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FITTED_FRAMES = 200
"""Evenly spaced frames from which a camera is found that is not in the source."""


def read_calibration(path: Path) -> dict[int, Intrinsics]:
    """Intrinsics of every camera in camera.calibration, by number.

    The file is text ("Skeletool Camera Calibration File V1.0"): a line `name <number>` begins a
    camera, its line `intrinsic` has a 4 x 4 matrix by rows. The cameras have no distortion.

    Raises:
        InputError: it can't be read, or such a line is malformed.
    """
    try:
        lines = path.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"can't be read as text: {error}") from None
    found: dict[int, Intrinsics] = {}
    number = None
    for count, line in enumerate(lines, 1):
        words = line.split()
        try:
            if words[:1] == ["name"]:
                number = int(words[1])
            elif words[:1] == ["intrinsic"] and number is not None:
                matrix = np.array(words[1:], float).reshape(4, 4)
                found[number] = _intrinsics(matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2])
        except (ValueError, IndexError):
            raise InputError(
                f"{path}, line {count}",
                f"not a camera's {words[0]}: {line.strip()[:60]!r}",
                "get the file again, or remove it: intrinsics are then fitted to the annotations",
            ) from None
    if not found:
        raise InputError(
            str(path),
            "no camera in it",
            "get the file again, or remove it: cameras are then fitted",
        )
    return found


def _intrinsics(fx: float, fy: float, cx: float, cy: float) -> Intrinsics:
    return Intrinsics(focal_px=(float(fx), float(fy)), centre_px=(float(cx), float(cy)))


def fit_intrinsics(camera_mm: Array, keypoints_px: Array) -> Intrinsics:
    """The pinhole camera by which poses (T, J, 3) project to keypoints (T, J, 2).

    By least squares on x z = f X + c Z in each image direction, as mmpose finds the cameras of the
    test set.
    """
    depth = camera_mm[..., 2].ravel()
    focal, centre = zip(
        *(
            np.linalg.lstsq(
                np.stack([camera_mm[..., axis].ravel(), depth], axis=1),
                keypoints_px[..., axis].ravel() * depth,
            )[0].tolist()
            for axis in (0, 1)
        ),
        strict=True,
    )
    return _intrinsics(focal[0], focal[1], centre[0], centre[1])


def reprojection_px(intrinsics: Intrinsics, camera_mm: Array, keypoints_px: Array) -> float:
    """Median distance between keypoints and projected joints."""
    projected = Camera.from_intrinsics(intrinsics.model_dump()).project(camera_mm)
    return float(np.median(np.linalg.norm(projected - keypoints_px, axis=-1)))


def rescaled(poses_mm: Array, projecting_mm: Array, root: int) -> tuple[Array, Array, float]:
    """Poses moved so that they project like others of the same shape and another size.

    Args:
        poses_mm: (T, J, 3) poses to keep relative to their root.
        projecting_mm: (T, J, 3) the poses that project to the annotations.
        root: number of the root.

    Returns:
        The moved poses (T, J, 3), their sizes (T,) over the others', and the median distance of
        joints that rescaling leaves over, in mm.
    """
    pose, other = (joints - joints[:, root : root + 1] for joints in (poses_mm, projecting_mm))
    scale = (pose * other).sum((1, 2)) / np.maximum((other**2).sum((1, 2)), 1e-9)
    left = pose - scale[:, None, None] * other
    moved = pose + scale[:, None, None] * projecting_mm[:, root : root + 1]
    return moved, scale, float(np.median(np.linalg.norm(left, axis=-1)))


def fit_rescaled(poses_mm: Array, keypoints_px: Array, root: int) -> tuple[Intrinsics, Array]:
    """The camera and the positions before it by which poses project to keypoints.

    For sources that have neither `annot3` nor intrinsics. For a given camera the position of each
    pose follows from linear least squares; the camera is the one with the least error of
    reprojection over some frames.

    Args:
        poses_mm: (T, J, 3), of which only the joints relative to the root are used.
        keypoints_px: (T, J, 2).
        root: number of the root.

    Returns:
        The camera, and the poses (T, J, 3) in front of it.
    """
    from scipy.optimize import least_squares  # noqa: PLC0415 - takes a while to load

    pose = poses_mm - poses_mm[:, root : root + 1]
    some = np.linspace(0, len(pose) - 1, min(len(pose), FITTED_FRAMES)).round().astype(int)
    start = fit_intrinsics(poses_mm[some], keypoints_px[some])

    def residual(parameters: Array) -> Array:
        camera = _intrinsics(*parameters.tolist())
        placed = pose[some] + _positions(camera, pose[some], keypoints_px[some])
        projected = Camera.from_intrinsics(camera.model_dump()).project(placed)
        return np.asarray((projected - keypoints_px[some]).ravel())

    first = np.array([*np.abs(start.focal_px), *start.centre_px])
    fitted = least_squares(residual, first, x_scale=np.maximum(np.abs(first), 1.0))
    camera = _intrinsics(*fitted.x.tolist())
    return camera, pose + _positions(camera, pose, keypoints_px)


def _positions(camera: Intrinsics, pose: Array, keypoints_px: Array) -> Array:
    """(T, 1, 3) where root-relative poses (T, J, 3) stand.

    f (X + x) = u (Z + z), with u = keypoint - centre, is linear in the position (X, Y, Z).
    """
    focal, offset = np.array(camera.focal_px), keypoints_px - np.array(camera.centre_px)
    system = np.zeros((*offset.shape, 3))
    system[..., 0, 0], system[..., 1, 1] = focal
    system[..., 2] = -offset
    right = offset * pose[..., 2:] - focal * pose[..., :2]
    flat = system.reshape(len(pose), -1, 3)
    normal = flat.transpose(0, 2, 1) @ flat
    target = flat.transpose(0, 2, 1) @ right.reshape(len(pose), -1, 1)
    return np.asarray(np.linalg.solve(normal, target).transpose(0, 2, 1))
