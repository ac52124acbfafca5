"""Cameras of MPI-INF-3DHP, and placement of rescaled poses in front of them.

`univ_annot3` is `annot3` rescaled about the pelvis so that all people have the same height. Since
the pelvis does not move, the joints no longer project to `annot2`: the projection is preserved only
by scaling about the camera. A rescaled pose is therefore moved along the viewing ray of its pelvis
until it projects to the annotations again. Relative to the pelvis, which is all that training and
evaluation use, it remains as published.
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
"""Number of evenly spaced frames to which the parameters of an unknown camera are fitted."""


def read_calibration(path: Path) -> dict[int, Intrinsics]:
    """Read the intrinsics of every camera in camera.calibration, by camera number.

    The file is text ("Skeletool Camera Calibration File V1.0"): a line `name <number>` starts a
    camera, and its line `intrinsic` contains a row-major 4 x 4 matrix. There is no distortion.

    Raises:
        InputError: the file can't be read, or one of these lines is malformed.
    """
    try:
        lines = path.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"can't be read as text: {error}") from None
    calibration: dict[int, Intrinsics] = {}
    number = None
    for count, line in enumerate(lines, 1):
        words = line.split()
        try:
            if words[:1] == ["name"]:
                number = int(words[1])
            elif words[:1] == ["intrinsic"] and number is not None:
                matrix = np.array(words[1:], float).reshape(4, 4)
                calibration[number] = _intrinsics(
                    matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
                )
        except (ValueError, IndexError):
            raise InputError(
                f"{path}, line {count}",
                f"not a camera's {words[0]}: {line.strip()[:60]!r}",
                "get the file again, or remove it: intrinsics are then fitted to the annotations",
            ) from None
    if not calibration:
        raise InputError(
            str(path),
            "no camera in it",
            "get the file again, or remove it: cameras are then fitted",
        )
    return calibration


def _intrinsics(fx: float, fy: float, cx: float, cy: float) -> Intrinsics:
    return Intrinsics(focal_px=(float(fx), float(fy)), centre_px=(float(cx), float(cy)))


def fit_intrinsics(camera_mm: Array, keypoints_px: Array) -> Intrinsics:
    """Fit a pinhole camera by which poses (T, J, 3) project to keypoints (T, J, 2).

    Solves x Z = f X + c Z by least squares in each image direction, as MMPose does for the cameras
    of the test set.
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
    """Return the median distance between keypoints (T, J, 2) and projected poses (T, J, 3)."""
    projected = Camera.from_intrinsics(intrinsics.model_dump()).project(camera_mm)
    return float(np.median(np.linalg.norm(projected - keypoints_px, axis=-1)))


def rescaled(poses_mm: Array, projecting_mm: Array, root: int) -> tuple[Array, Array, float]:
    """Move poses so that they project like poses of the same shape and another size.

    Args:
        poses_mm: (T, J, 3) poses to move; they do not change relative to their root.
        projecting_mm: (T, J, 3) poses that project to the annotations.
        root: index of the root joint.

    Returns:
        The moved poses (T, J, 3), their scales (T,) relative to `projecting_mm`, and the median
        joint distance in millimetres that remains after rescaling.
    """
    pose, other = (joints - joints[:, root : root + 1] for joints in (poses_mm, projecting_mm))
    scale = (pose * other).sum((1, 2)) / np.maximum((other**2).sum((1, 2)), 1e-9)
    residual = pose - scale[:, None, None] * other
    moved = pose + scale[:, None, None] * projecting_mm[:, root : root + 1]
    return moved, scale, float(np.median(np.linalg.norm(residual, axis=-1)))


def fit_rescaled(poses_mm: Array, keypoints_px: Array, root: int) -> tuple[Intrinsics, Array]:
    """Fit a camera, and the root positions in its frame, by which poses project to keypoints.

    This is for sources with neither `annot3` nor intrinsics. Given a camera, the position of each
    pose follows from linear least squares; the camera minimises the reprojection error over at
    most `FITTED_FRAMES` frames.

    Args:
        poses_mm: (T, J, 3) poses, of which only the joints relative to the root are used.
        keypoints_px: (T, J, 2) 2D annotations.
        root: index of the root joint.

    Returns:
        The camera, and the poses (T, J, 3) in its frame.
    """
    from scipy.optimize import least_squares  # noqa: PLC0415 - slow to load

    pose = poses_mm - poses_mm[:, root : root + 1]
    rows = np.linspace(0, len(pose) - 1, min(len(pose), FITTED_FRAMES)).round().astype(int)
    initial = fit_intrinsics(poses_mm[rows], keypoints_px[rows])

    def residual(parameters: Array) -> Array:
        camera = _intrinsics(*parameters.tolist())
        placed = pose[rows] + _positions(camera, pose[rows], keypoints_px[rows])
        projected = Camera.from_intrinsics(camera.model_dump()).project(placed)
        return np.asarray((projected - keypoints_px[rows]).ravel())

    start = np.array([*np.abs(initial.focal_px), *initial.centre_px])
    fitted = least_squares(residual, start, x_scale=np.maximum(np.abs(start), 1.0))
    camera = _intrinsics(*fitted.x.tolist())
    return camera, pose + _positions(camera, pose, keypoints_px)


def _positions(camera: Intrinsics, pose: Array, keypoints_px: Array) -> Array:
    """Return the root positions (T, 1, 3) of root-relative poses (T, J, 3) in a camera's frame.

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
