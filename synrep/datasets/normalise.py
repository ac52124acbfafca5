"""Per-pose normalisation, and the ways back to millimetres (sections 3.5; rows 2, 3).

Numbers without a unit here are in radii: the mean distance of the joints from the root.
Axes: ... any leading axes, J joints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Float = TypeVar("Float", np.float32, np.float64)
ScaleRef = Literal["xy_radius", "radius_3d", "xy_fro"]


def centre(points: NDArray[Float]) -> NDArray[Float]:
    """Subtract the root, the first joint, from points (..., J, D)."""
    return points - points[..., :1, :]


def radius(centred: NDArray[Float], kind: ScaleRef = "xy_radius") -> NDArray[Float]:
    """Size (...,) of root-centred poses (..., J, D): what they are divided by.

    `xy_radius` is the mean distance from the root over the J - 1 other joints in the image plane,
    `radius_3d` the same in space, `xy_fro` the root mean square in the image plane.
    """
    others = centred[..., 1:, :]
    if kind != "radius_3d":
        others = others[..., :2]
    squared = (others**2).sum(-1)
    size = np.sqrt(squared.mean(-1)) if kind == "xy_fro" else np.sqrt(squared).mean(-1)
    # A pose with all joints in one point has no size; it stays where it is instead of becoming NaN.
    return np.where(size > 0, size, np.ones_like(size))


def normalise_2d(
    points_px: NDArray[Float], kind: ScaleRef = "xy_radius"
) -> tuple[NDArray[Float], NDArray[Float]]:
    """Root-centred 2D poses (..., J, 2) of unit size, and their sizes (...,) in pixels."""
    centred = centre(points_px)
    size = radius(centred, "xy_fro" if kind == "xy_fro" else "xy_radius")
    return centred / size[..., None, None], size


def normalise_3d(
    camera_mm: NDArray[Float], kind: ScaleRef = "xy_radius"
) -> tuple[NDArray[Float], NDArray[Float]]:
    """Root-centred 3D poses (..., J, 3) of unit size, and their sizes (...,) in millimetres."""
    centred = centre(camera_mm)
    size = radius(centred, kind)
    return centred / size[..., None, None], size
