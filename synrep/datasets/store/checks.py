"""Plausibility checks of poses: units, axes, anatomy and disjoint splits.

A failed check means that training on the poses would be wrong; a warning means that the poses are
unusual. The checks in `REQUIRED` are cheap and run at every read, those in `THOROUGH` when a store
is written or verified.
Axes: N poses, J joints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from synrep.schema import Section
from synrep.skeleton import skeleton_by_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from synrep.datasets.store.header import Axis, Description, Split
    from synrep.datasets.store.poses import Poses

    CheckFunction = Callable[[Poses, Description], "Finding | None"]

Status = Literal["passed", "warning", "failed"]


class Check(Section):
    """Outcome of one check."""

    place: str
    """The file, or the store if the check concerns all splits."""
    name: str
    """Name of the check."""
    status: Status
    """A warning means that the poses are unusual but not wrong."""
    detail: str
    """What the check found."""
    remedy: str = ""
    """What the user can do about it."""


class Finding(NamedTuple):
    """Result of a check on the poses of one split."""

    status: Status
    detail: str
    remedy: str = ""


def run(
    checks: Mapping[str, CheckFunction],
    poses: Poses,
    about: Description,
    place: str,
) -> Iterator[Check]:
    """Run checks on the poses of one split; yield the outcome of each that applies."""
    for name, check in checks.items():
        if (finding := check(poses, about)) is not None:
            yield Check(place=place, name=name, **finding._asdict())


def finite(poses: Poses, about: Description) -> Finding:
    """Check that every joint and every keypoint is finite."""
    if np.isfinite(poses.joints_mm).all():
        keypoints = poses.keypoints_px
        if keypoints is not None and not np.isfinite(keypoints).all():
            return _first_gap(keypoints, "2D joint", poses, about)
        return Finding("passed", "every joint is a number")
    return _first_gap(poses.joints_mm, "joint", poses, about)


def _first_gap(points: NDArray[np.float32], what: str, poses: Poses, about: Description) -> Finding:
    gaps = ~np.isfinite(points).all(axis=2)
    rows, joints = np.nonzero(gaps)
    row, joint = int(rows[0]), skeleton_by_name(about.skeleton).joints[joints[0]]
    return Finding(
        "failed",
        f"row {row} (clip {poses.clip[row]}, frame {poses.frame[row]}): {what} {joint} is not a "
        f"number; {len(np.unique(rows))} such rows",
        "leave those rows out, or fill the gaps before the store is made",
    )


def _body_axis(poses: Poses, about: Description) -> NDArray[np.float32]:
    """Return the vectors (N, 3) from the root to the head."""
    head, root = skeleton_by_name(about.skeleton).indices("Head", "Hip")
    return poses.joints_mm[:, head] - poses.joints_mm[:, root]


def units(poses: Poses, about: Description) -> Finding:
    """Check that bodies have human size: in millimetres, the head is about 700 from the hip."""
    size = float(np.median(np.linalg.norm(_body_axis(poses, about), axis=1)))
    if 250 <= size <= 1200:
        return Finding("passed", f"median distance hip to head {size:.0f} mm")
    ranges = {"metres": (0.25, 1.2), "centimetres": (25, 120), "inches": (10, 25)}
    names = [name for name, (low, high) in ranges.items() if low <= size <= high]
    looks = f"looks like {names[0]}" if names else "no person has that size"
    return Finding(
        "failed",
        f"median distance hip to head is {size:.3g} where millimetres give about 700: {looks}",
        "convert the joints to millimetres",
    )


def up_axis(poses: Poses, about: Description) -> Finding:
    """Check that heads are above hips along the declared up axis, in the median over all poses."""
    body = np.median(_body_axis(poses, about).astype(np.float64), axis=0)
    size = float(np.median(np.linalg.norm(_body_axis(poses, about), axis=1)))
    shares: dict[Axis, float] = {}
    names: tuple[tuple[Axis, Axis], ...] = (("+x", "-x"), ("+y", "-y"), ("+z", "-z"))
    for value, (plus, minus) in zip(body / max(size, 1e-9), names, strict=True):
        shares[plus], shares[minus] = float(value), -float(value)
    declared = shares[about.up]
    axis = max(shares, key=lambda name: shares[name])
    if declared >= 0.6:
        return Finding("passed", f"{about.up} points from hip to head")
    if axis != about.up and shares[axis] >= 0.6:
        return Finding(
            "failed",
            f"the header says up is {about.up} but heads are above hips along {axis}",
            f"rotate the joints, or declare {axis}",
        )
    return Finding("warning", f"few people stand upright along {about.up}", "look at some poses")


def in_front_of_camera(poses: Poses, about: Description) -> Finding | None:
    """Check that joints in a camera frame have positive depth, and that all cameras are declared.

    Returns None for poses in world coordinates.
    """
    if about.frame == "world":
        return None
    behind = int((poses.joints_mm[..., 2] <= 0).any(axis=1).sum())
    if behind:
        return Finding(
            "failed",
            f"{behind} poses have a joint at or behind the camera (z <= 0)",
            "camera coordinates are x right, y down, z away, and not relative to the root",
        )
    if poses.camera is not None and about.cameras:
        unknown = sorted(set(poses.camera.tolist()) - set(about.cameras))
        if unknown:
            return Finding(
                "failed", f"camera {unknown[0]} has no entry in `cameras`", "add its intrinsics"
            )
    return Finding("passed", "all joints are in front of their camera")


LIMBS = {("Hip", "Knee"), ("Knee", "Foot"), ("Shoulder", "Elbow"), ("Elbow", "Wrist")}
"""Ends, without their side, of the bones that one rigid segment of a skeleton makes."""
RIGID, BENDING = 0.01, 0.25
"""Limits of the deviation of a rigid bone's length, and of a line's along a bending spine."""


def bone_lengths(poses: Poses, about: Description) -> Finding:
    """Check that each subject's bones have constant lengths: small deviation from the median.

    Lines of trunk and neck span several joints of a spine and are shorter where it bends, whatever
    the source; arms and legs tell estimated joints from those of a skeleton fitted to markers.
    """
    skeleton = skeleton_by_name(about.skeleton)
    worst, where, limbs = 0.0, "", 0.0
    for subject in np.unique(poses.subject):
        joints = poses.joints_mm[poses.subject == subject]
        for parent, child in skeleton.bones:
            lengths = np.linalg.norm(joints[:, child] - joints[:, parent], axis=1)
            spread = float(lengths.std() / max(float(np.median(lengths)), 1e-9))
            if (skeleton.joints[parent][1:], skeleton.joints[child][1:]) in LIMBS:
                limbs = max(limbs, spread)
            if spread > worst:
                bone = f"{skeleton.joints[parent]}-{skeleton.joints[child]}"
                worst, where = spread, f"{bone} of {subject}"
    detail = f"largest deviation {100 * worst:.2g} %" + (f" ({where})" if where else "")
    detail += f"; arms and legs {100 * limbs:.2g} %"
    if worst > 0.05 and (limbs > RIGID or worst > BENDING):
        return Finding(
            "warning",
            detail,
            "so much is usual for estimated joints; in a skeleton fitted to markers, arms and legs "
            "deviate under 1 %, and only trunk and neck bend",
        )
    return Finding("passed", detail)


def _forward(poses: Poses, about: Description) -> NDArray[np.float32]:
    """Return the directions (N, 3) in which bodies face: left cross up in right-handed frames."""
    left, right, hip, thorax = skeleton_by_name(about.skeleton).indices(
        "LHip", "RHip", "Hip", "Thorax"
    )
    joints = poses.joints_mm
    return np.cross(joints[:, left] - joints[:, right], joints[:, thorax] - joints[:, hip])


def bent_knees(poses: Poses, about: Description) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return for each knee (N, 2) whether it is bent, and whether it points forward."""
    skeleton = skeleton_by_name(about.skeleton)
    forward = _forward(poses, about)
    bent, ahead = [], []
    for side in "LR":
        hip, knee, foot = skeleton.indices(f"{side}Hip", f"{side}Knee", f"{side}Foot")
        leg = poses.joints_mm[:, foot] - poses.joints_mm[:, hip]
        thigh = poses.joints_mm[:, knee] - poses.joints_mm[:, hip]
        length = np.maximum((leg * leg).sum(axis=1, keepdims=True), 1e-9)
        off_line = thigh - leg * (thigh * leg).sum(axis=1, keepdims=True) / length
        bent.append(np.linalg.norm(off_line, axis=1) > 60)
        ahead.append((off_line * forward).sum(axis=1) > 0)
    return np.stack(bent, axis=1), np.stack(ahead, axis=1)


def noses_ahead(poses: Poses, about: Description) -> NDArray[np.bool_] | None:
    """Return (N,) whether the nose is in front of the line from thorax to head.

    Returns None if the skeleton has no nose.
    """
    skeleton = skeleton_by_name(about.skeleton)
    if "Nose" not in skeleton.joints:
        return None
    nose, thorax, head = skeleton.indices("Nose", "Thorax", "Head")
    joints = poses.joints_mm
    axis, offset = joints[:, head] - joints[:, thorax], joints[:, nose] - joints[:, thorax]
    square = np.maximum((axis * axis).sum(1, keepdims=True), 1e-9)
    off_axis = offset - axis * (offset * axis).sum(1, keepdims=True) / square
    ahead: NDArray[np.bool_] = (off_axis * _forward(poses, about)).sum(axis=1) > 0
    return ahead


def knees(poses: Poses, about: Description) -> Finding:
    """Check that bent knees point forward, which fails for mirrored poses and swapped sides."""
    bent, ahead = bent_knees(poses, about)
    return _share("bent knees point forward", int((bent & ahead).sum()), int(bent.sum()))


def nose(poses: Poses, about: Description) -> Finding | None:
    """Check that noses are in front of the line from thorax to head."""
    ahead = noses_ahead(poses, about)
    return None if ahead is None else _share("noses are in front", int(ahead.sum()), len(poses))


def _share(what: str, count: int, total: int) -> Finding:
    if total < 10:
        return Finding("passed", f"too few poses to say whether {what}")
    share = count / total
    detail = f"{what} in {100 * share:.1f} %"
    if share < 0.5:
        return Finding("failed", detail, "left and right are swapped, or the poses are mirrored")
    if share < 0.9:
        return Finding("warning", detail, "look at some poses")
    return Finding("passed", detail)


def shared(splits: Mapping[Split, Poses], place: str) -> Iterator[Check]:
    """Check that no two splits share a subject or a clip."""
    for field in ("subject", "clip"):
        first_split: dict[str, str] = {}
        faults = []
        for split, poses in splits.items():
            for value in np.unique(getattr(poses, field)).tolist():
                if value in first_split:
                    faults.append(f"{value} is in {first_split[value]} and {split}")
                first_split.setdefault(value, split)
        yield Check(
            place=place,
            name=f"{field}s disjoint",
            status="failed" if faults else "passed",
            detail="; ".join(faults[:3]) or f"{len(first_split)} {field}s, each in one split",
            remedy=f"keep all poses of a {field} in one split" if faults else "",
        )


REQUIRED: dict[str, CheckFunction] = {
    "finite": finite,
    "units": units,
    "up axis": up_axis,
    "camera": in_front_of_camera,
}
THOROUGH: dict[str, CheckFunction] = {
    "bone lengths": bone_lengths,
    "knees": knees,
    "nose": nose,
}
