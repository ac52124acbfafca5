"""2D keypoints from files, and from detectors' joints to Human3.6M's.

Every array of keypoints comes with the name of its joints: a file says it, or the user does.
Axes: F frames, J joints.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from synrep.errors import InputError
from synrep.inference.keypoints.checks import in_pixels, unsure_missing, without_undetected
from synrep.inference.keypoints.formats import format_of
from synrep.inference.keypoints.geometry import check_geometry
from synrep.inference.keypoints.people import follow
from synrep.inference.keypoints.source import Source
from synrep.keypoint_sets import KEYPOINT_SETS, KeypointSet, MpiiMap, keypoint_set_by_name
from synrep.skeleton import HUMAN36M_17, Skeleton

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.inference.keypoints.checks import ImageSize
    from synrep.keypoint_sets import Conversion

COORDINATES = 3
"""Most numbers of a joint: x, y and confidence."""
SHOWN = 5
"""Missing joints that an error message names one by one."""


@dataclass(frozen=True, kw_only=True)
class Keypoints:
    """2D keypoints of one person over frames.

    Attributes:
        joints: the set that they are of.
        points_px: (F, J, 2) pixels, y down; NaN where a joint is missing.
        source: where they come from, for messages.
        frames: (F) numbers of the frames; omitted, they count from 0.
    """

    joints: KeypointSet
    points_px: NDArray[np.float64]
    source: str
    frames: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.frames:
            object.__setattr__(self, "frames", tuple(range(len(self.points_px))))


def read_keypoints(
    source: Path,
    skeleton: str | None = None,
    *,
    person: str | int | None = None,
    image_size: ImageSize | None = None,
    min_confidence: float = 0.0,
) -> Keypoints:
    """Read 2D keypoints of one person.

    Formats are those of `synrep.inference.keypoints.formats`. What is read otherwise than it is
    written, and what is doubtful, comes as an `InputWarning`.

    Args:
        source: file or folder.
        skeleton: name of the joints, for a file that does not say it.
        person: whom to take where there are several: a track, or a number from 0 in the first
            frame that shows so many; omitted, see `synrep.inference.keypoints.people.follow`.
        image_size: see `keypoints_of`.
        min_confidence: see `keypoints_of`.

    Raises:
        InputError: the source can't be understood, or nothing says which joints it holds; see also
            `keypoints_of`.
    """
    place = str(source)
    given = None if skeleton is None else keypoint_set_by_name(skeleton).name
    found = Source(source)
    form = format_of(found)
    content = form.read(found, given)
    named = content.skeleton and keypoint_set_by_name(content.skeleton).name
    if named and given and named != given:
        raise InputError(
            place, f"it holds {named} keypoints, not {given}", f"use --skeleton {named}"
        )
    name = named or given
    if name is None:
        raise InputError(
            place,
            "nothing says which joints these are",
            "use --skeleton with one of " + ", ".join(KEYPOINT_SETS),
        )
    points = content.points
    if content.people is not None:
        numbers = _numbers(content.frames, len(content.people), place)
        wanted = None if person is None else str(person)
        points = follow(content.people, numbers, wanted, place)
    elif person is not None:
        raise InputError("--person", f"{form.name} files hold one person", "leave it out")
    return keypoints_of(
        points,
        name,
        place,
        content.frames,
        image_size=image_size,
        min_confidence=min_confidence,
    )


def keypoints_of(
    points: Any,
    joints: str,
    source: str,
    frames: Any = None,
    *,
    image_size: ImageSize | None = None,
    min_confidence: float = 0.0,
) -> Keypoints:
    """Checked 2D keypoints of one person.

    Warns of joints at (0, 0), which are missing, and of keypoints that break the geometry of the
    set in most frames.

    Args:
        points: (F, J, 2) pixels, y down, or (F, J, 3) with a confidence; an array or nested lists.
            A joint is missing where a coordinate is NaN or null, where it is at (0, 0), or where
            its confidence is 0. One frame may come without the first axis.
        joints: name of the keypoint set that they are of.
        source: where they come from, for messages.
        frames: (F) numbers of the frames; omitted, they count from 0.
        image_size: width and height in pixels, for coordinates from 0 to 1 or from -1 to 1.
        min_confidence: joints below are missing, too.

    Raises:
        InputError: the name is unknown, the shape does not fit it, the coordinates are normalised
            without a size of the image, or an option has no effect.
    """
    known = keypoint_set_by_name(joints)
    given = _points(points, len(known.joints), known.name, source)
    numbers = _numbers(frames, len(given), source)
    found = unsure_missing(given, min_confidence, source)
    found = without_undetected(found, known, numbers, source)
    found = in_pixels(found, image_size, source)
    check_geometry(found, known, source)
    return Keypoints(joints=known, points_px=found, source=source, frames=numbers)


def to_skeleton(
    keypoints: Keypoints, target: Skeleton = HUMAN36M_17, mpii_map: MpiiMap = "geometric"
) -> NDArray[np.float64]:
    """Keypoints as the joints of a Human3.6M skeleton, (F, J, 2) pixels.

    Args:
        keypoints: of any known set.
        target: with or without the nose.
        mpii_map: how MPII joints become Human3.6M's (row 35).

    Raises:
        InputError: a joint that the target needs is missing in a frame, or has no counterpart.
    """
    rule = keypoints.joints.conversion(mpii_map)
    faults = _missing(keypoints, target, rule)
    if faults:
        found = [f"frame {frame}: {joint}" for frame, joints in faults.items() for joint in joints]
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise InputError(
            keypoints.source,
            "missing joints: " + "; ".join(found[:SHOWN]) + more,
            "fill them in, or leave these frames out (--skip-missing, skip_missing_joints)",
        )
    points = np.zeros((len(keypoints.points_px), len(target), 2))
    for index, name in enumerate(target.joints):
        if name not in rule:
            raise InputError(
                "data.sh_map",
                f"the map {mpii_map!r} has no {name}",
                f"not usable for {target.name}",
            )
        for joint, share in rule[name].items():
            points[:, index] += share * keypoints.points_px[:, keypoints.joints.index(joint)]
    return points


def skip_missing(
    keypoints: Keypoints, target: Skeleton = HUMAN36M_17, mpii_map: MpiiMap = "geometric"
) -> tuple[Keypoints, dict[int, list[str]]]:
    """The frames that have all joints the target needs, and what each other frame lacks.

    Raises:
        InputError: no frame has them all.
    """
    faults = _missing(keypoints, target, keypoints.joints.conversion(mpii_map))
    kept = [row for row, frame in enumerate(keypoints.frames) if frame not in faults]
    if not kept:
        frame, joints = next(iter(faults.items()))
        raise InputError(
            keypoints.source,
            f"no frame has all joints; frame {frame} lacks " + ", ".join(joints),
            "lower the detector's threshold, or check --skeleton",
        )
    some = replace(
        keypoints,
        points_px=keypoints.points_px[kept],
        frames=tuple(keypoints.frames[row] for row in kept),
    )
    return some, faults


def _missing(keypoints: Keypoints, target: Skeleton, rule: Conversion) -> dict[int, list[str]]:
    """The joints that a target needs and a frame lacks, by the frame's number."""
    used = list(dict.fromkeys(joint for name in target.joints for joint in rule.get(name, {})))
    numbers = [keypoints.joints.index(joint) for joint in used]
    rows, columns = np.nonzero(~np.isfinite(keypoints.points_px[:, numbers]).all(-1))
    faults: dict[int, list[str]] = {}
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        faults.setdefault(keypoints.frames[row], []).append(used[column])
    return faults


def _points(frames: Any, joints: int, name: str, place: str) -> NDArray[np.float64]:
    """Checked (F, J, 2 or 3); NaN where a joint has no place."""
    try:
        points = np.array(_with_nan(frames), dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        raise InputError(
            place, "not numbers in the shape frames x joints x (x, y)", "give every joint in order"
        ) from None
    if points.ndim == 2:
        points = points[None]
    if points.ndim != 3 or points.shape[1] != joints or points.shape[2] not in {2, 3}:
        raise InputError(
            place,
            f"its shape is {points.shape}",
            f"{name} needs (frames, {joints}, 2), or 3 with confidences",
        )
    if len(points) == 0:
        raise InputError(place, "it holds no frames")
    return points


def _with_nan(value: Any) -> Any:
    """Nested lists in which a missing joint or coordinate (null) is NaN."""
    if not isinstance(value, list):
        return np.nan if value is None else value
    length = next((len(item) for item in value if isinstance(item, list)), 0)
    if length > COORDINATES:
        length = 0  # no joint: a row of nothing would become as long as its longest neighbour
    return [[np.nan] * length if item is None and length else _with_nan(item) for item in value]


def _numbers(numbers: Any, frames: int, place: str) -> tuple[int, ...]:
    """Checked numbers of the frames; from 0 if the source has none."""
    if numbers is None:
        return tuple(range(frames))
    try:
        found = np.array(numbers)
    except ValueError:
        found = np.array(None)
    if found.shape != (frames,) or found.dtype.kind not in "iu":
        raise InputError(place, f"its 'frames' are not one whole number for each of {frames}")
    if len(set(found.tolist())) < frames:
        raise InputError(place, "a frame's number comes twice", "give one person, each frame once")
    return tuple(found.tolist())
