"""What 2D keypoints must be before they are lifted: joints that were detected, in pixels.

Files and arrays given from Python pass the same checks. Axes: F frames, J joints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synrep.errors import InputError, tell
from synrep.inference.keypoints.people import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from synrep.keypoint_sets import KeypointSet

ImageSize = tuple[float, float]
"""Width and height in pixels."""

NOT_DETECTED = (0.0, -1.0)
"""What detectors and annotators write for x and y of a joint that was not found."""
NORMALISED = 2.0
"""Half of all normalised coordinates are below this, of pixels none that shows a person."""
CENTRED = 0.1
"""A share of coordinates below 0 that frames do not have in pixels counted from a corner."""
SHOWN = 5


def without_undetected(
    points: NDArray[np.float64], joints: KeypointSet, frames: Sequence[int], place: str
) -> NDArray[np.float64]:
    """Keypoints (F, J, 2) with NaN for joints at (0, 0) or (-1, -1), which is told.

    Detectors write (0, 0) for a joint that they did not find. It is a place where a root lies that
    the others are relative to: the root at (0, 0) in all frames, with others on all sides of it.
    """
    found = np.zeros(points.shape[:2], bool)
    for value in NOT_DETECTED:
        found |= (points == value).all(-1)
    root = joints.conversion()["Hip"]
    if len(root) == 1 and is_centred(points):
        column = joints.index(next(iter(root)))
        found[:, column] &= not (points[:, column] == 0).all()
    if not found.any():
        return points
    rows, columns = np.nonzero(found)
    names = dict.fromkeys(joints.joints[column] for column in columns.tolist())
    shown = ", ".join(list(names)[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    numbers = list(dict.fromkeys(frames[row] for row in rows.tolist()))
    written = sorted({tuple(int(v) for v in point) for point in points[found].tolist()})[::-1]
    tell(
        place,
        f"{len(rows)} joints at {' or '.join(map(str, written))} taken as not detected: "
        f"{shown} in {listed(numbers)}",
    )
    return np.where(found[..., None], np.nan, points)


def is_centred(points: NDArray[np.float64]) -> bool:
    """Whether x as well as y of (F, J, 2) lie on both sides of 0."""
    known = points[np.isfinite(points).all(-1)]
    return bool(len(known) and ((known < 0).mean(0) > CENTRED).all())


def in_pixels(
    points: NDArray[np.float64], image_size: ImageSize | None, place: str
) -> NDArray[np.float64]:
    """Keypoints (F, J, 2) in pixels.

    Coordinates from 0 to 1, or from -1 to 1, are fractions of the width and the height, which
    differ: without the image's size, poses would be squeezed.

    Args:
        points: pixels, or fractions if the image's size is given.
        image_size: width and height of the image.
        place: where they are from, for messages.

    Raises:
        InputError: they are fractions and the size is not given, or the other way round.
    """
    known = points[np.isfinite(points).all(-1)]
    normalised = bool(len(known)) and float(np.median(np.abs(known))) <= NORMALISED
    if image_size is None:
        if not normalised:
            return points
        low, high = known.min(), known.max()
        raise InputError(
            place,
            f"its coordinates are normalised ({low:.3g} to {high:.3g}), not pixels",
            "give the size of the images: --image-size W H, in Python image_size=(W, H); where x "
            "and y were both divided by the same number, W twice",
        )
    if len(image_size) != 2 or not all(np.isfinite(n) and n > 0 for n in image_size):
        raise InputError("image_size", f"{image_size} is no width and height", "give two pixels")
    if len(known) and not normalised:
        rule = f"{place} is in pixels already, up to {known.max():.0f}"
        raise InputError("image_size", rule, "leave it out")
    scale = np.array(image_size, float)
    return (points + 1) / 2 * scale if is_centred_picture(known) else points * scale


def is_centred_picture(known: NDArray[np.float64]) -> bool:
    """Whether normalised points (N, 2) count from the middle of the picture, -1 to 1.

    A person in one quarter of the picture can't be told; then both sizes are twice too large,
    which does not change the pose.
    """
    return bool(len(known) and (known < 0).mean() > CENTRED)


def unsure_missing(points: NDArray[np.float64], least: float, place: str) -> NDArray[np.float64]:
    """Keypoints (F, J, 2) of (F, J, 2 or 3): NaN where the confidence is 0 or below the least.

    Raises:
        InputError: the least is no confidence, or there are no confidences to compare with it.
    """
    if not least >= 0:
        raise InputError("min_confidence", f"{least:g} is no confidence", "give 0 or more")
    if points.shape[-1] == 2:
        if least > 0:
            rule = f"{place} holds no confidences"
            raise InputError("min_confidence", rule, "leave it out")
        return points
    sure = points[..., 2]
    return np.where(((sure > 0) & (sure >= least))[..., None], points[..., :2], np.nan)
