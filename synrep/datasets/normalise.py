"""Per-pose normalisation: centring at the root and scaling to unit size (section 3.5; rows 2, 3).

Normalised coordinates are in radii: multiples of the mean distance of the joints from the root.
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
    """Subtract the root, which is the first joint, from points (..., J, D)."""
    return points - points[..., :1, :]


def radius(centred: NDArray[Float], kind: ScaleRef = "xy_radius") -> NDArray[Float]:
    """Return the size (...,) of root-centred poses (..., J, D), by which they are normalised.

    `xy_radius` is the mean distance of the other J - 1 joints from the root in the image plane,
    `radius_3d` the same in space, `xy_fro` the root mean square distance in the image plane.
    """
    others = centred[..., 1:, :]
    if kind != "radius_3d":
        others = others[..., :2]
    squared = (others**2).sum(-1)
    size = np.sqrt(squared.mean(-1)) if kind == "xy_fro" else np.sqrt(squared).mean(-1)
    # A pose with all joints at one point has size 0; dividing it by 1 avoids NaN.
    return np.where(size > 0, size, np.ones_like(size))


def normalise_2d(
    points_px: NDArray[Float], kind: ScaleRef = "xy_radius"
) -> tuple[NDArray[Float], NDArray[Float]]:
    """Normalise 2D poses (..., J, 2); return them with their sizes (...,) in pixels."""
    centred = centre(points_px)
    size = radius(centred, "xy_fro" if kind == "xy_fro" else "xy_radius")
    return centred / size[..., None, None], size


def normalise_3d(
    camera_mm: NDArray[Float], kind: ScaleRef = "xy_radius"
) -> tuple[NDArray[Float], NDArray[Float]]:
    """Normalise 3D poses (..., J, 3); return them with their sizes (...,) in millimetres."""
    centred = centre(camera_mm)
    size = radius(centred, kind)
    return centred / size[..., None, None], size
