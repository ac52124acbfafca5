"""Plausibility checks per subject and per clip, whose errors the mean of a split can hide.

They run when a store is written or verified. The limits were chosen on 408 clips of CMU's motion
capture: no clip fails, and every clip fails after left and right were swapped.
Axes: N poses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synrep.datasets.cameras import Camera
from synrep.datasets.store.checks import Finding, bent_knees, noses_ahead
from synrep.datasets.store.published_counts import is_mpi_inf_3dhp
from synrep.skeleton import skeleton_by_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from synrep.datasets.store.checks import CheckFunction, Status
    from synrep.datasets.store.header import Description
    from synrep.datasets.store.poses import Poses

MIN_SAMPLES = 10
"""Fewest poses, or bent knees, from which a check draws a conclusion."""
UPRIGHT = 0.7
"""Smallest cosine between the up axis and the direction from hip to head in an upright pose."""
ANGLE_WARNING, ANGLE_LIMIT = 0.2, 0.4
"""Limits of the mean L_angle over a subject's upright poses. CMU's subjects have at most 0.13, and
at least 0.75 with left and right swapped."""
SIZE_WARNING, SIZE_LIMIT = 0.05, 0.2
"""Limits of the relative deviation of a clip's bone lengths from the subject's. CMU's clips deviate
by 1e-5, since each subject has one skeleton."""
HIP_TO_HEAD_MM = (250.0, 1200.0)
"""Range of people's distances from hip to head."""
PROJECTED_PX, UNRELATED_PX = 1.0, 50.0
"""Limits of the median reprojection error: 2D joints below the first are projections of the poses,
2D joints above the second do not belong to the poses."""


CHUNK = 1 << 16
"""Number of poses projected at once; it bounds memory and does not affect the result."""
_CHECK_PAIRING = "check that frames, joints and camera of 2D and 3D belong together"


def _runs(labels: NDArray[np.str_]) -> list[tuple[str, slice]]:
    """Return each run of equal labels with its rows."""
    starts = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]])
    ends = [*starts[1:].tolist(), len(labels)]
    return [
        (str(labels[start]), slice(start, end))
        for start, end in zip(starts.tolist(), ends, strict=True)
    ]


def _subjects(poses: Poses) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield each subject with a mask (N,) of its poses."""
    for name in np.unique(poses.subject).tolist():
        yield name, poses.subject == name


def _up(about: Description) -> NDArray[np.float64]:
    """Return the unit vector (3,) that points up."""
    sign = 1.0 if about.up[0] == "+" else -1.0
    return sign * np.eye(3)["xyz".index(about.up[1])]


def _upright_cosine(poses: Poses, about: Description) -> NDArray[np.float64]:
    """Return the cosine (N,) between the up axis and hip to head; -1 for a headstand."""
    head, root = skeleton_by_name(about.skeleton).indices("Head", "Hip")
    body = (poses.joints_mm[:, head] - poses.joints_mm[:, root]).astype(np.float64)
    cosine: NDArray[np.float64] = body @ _up(about) / np.maximum(np.linalg.norm(body, axis=1), 1e-9)
    return cosine


def upside_down(poses: Poses, about: Description) -> Finding:
    """Check the sign of the up axis for each subject: nobody is upside down in most poses."""
    cosine = _upright_cosine(poses, about)
    for name, rows in _subjects(poses):
        if np.median(cosine[rows]) < -UPRIGHT:
            return Finding(
                "failed",
                f"subject {name} is upside down along {about.up}",
                "rotate that subject's poses like the others'",
            )
    return Finding("passed", "no subject is upside down")


def facing(poses: Poses, about: Description) -> Finding | None:
    """Check that L_angle is near zero: faces point in the direction given by the shoulders (row 6).

    L_angle is computed in the horizontal plane and over upright poses only, since it means nothing
    for people who bend down. Returns None if the skeleton has no nose.
    """
    skeleton = skeleton_by_name(about.skeleton)
    if "Nose" not in skeleton.joints:
        return None
    indices = skeleton.indices("Nose", "Thorax", "RShoulder", "LShoulder")
    face, thorax, right, left = poses.joints_mm[:, indices].astype(np.float64).swapaxes(0, 1)
    v, w, up = face - thorax, right - left, _up(about)
    horizontal = [vector - np.outer(vector @ up, up) for vector in (v, w)]
    lengths = np.linalg.norm(horizontal[0], axis=1) * np.linalg.norm(horizontal[1], axis=1)
    loss = np.maximum(-(np.cross(w, v) @ up) / np.maximum(lengths, 1e-9), 0)
    upright = _upright_cosine(poses, about) > UPRIGHT
    means = [(0.0, "")]
    for name, rows in _subjects(poses):
        if (chosen := rows & upright).sum() >= MIN_SAMPLES:
            means.append((float(loss[chosen].mean()), name))
    worst, name = max(means)
    detail = f"L_angle of upright poses at most {worst:.2f}" + (
        f" (subject {name})" if name else ""
    )
    if worst > ANGLE_LIMIT:
        return Finding(
            "failed",
            f"L_angle of subject {name} is {worst:.2f} where true poses have about 0",
            "left and right are swapped, or an axis has the wrong sign",
        )
    return Finding("warning" if worst > ANGLE_WARNING else "passed", detail)


def sides(poses: Poses, about: Description) -> Finding:
    """Check that noses are in front and bent knees point forward in each clip.

    Both criteria fail if left and right are swapped or the poses are mirrored. If only one fails,
    the cause can be the motion itself or estimated joints.
    """
    bent, ahead = bent_knees(poses, about)
    knees = np.stack([bent.sum(1), (bent & ahead).sum(1)], axis=1)
    noses = noses_ahead(poses, about)
    doubtful = []
    for name, rows in _runs(poses.clip):
        count, forward = knees[rows].sum(0).tolist()
        parts = [("bent knees point forward", forward / count)] if count >= MIN_SAMPLES else []
        if noses is not None and rows.stop - rows.start >= MIN_SAMPLES:
            parts.append(("noses are in front", float(noses[rows].mean())))
        wrong = [f"{what} in {100 * share:.0f} %" for what, share in parts if share < 0.5]
        if len(wrong) == 2:
            return Finding(
                "failed",
                f"clip {name}: {', '.join(wrong)}",
                "left and right are swapped there, or the poses are mirrored",
            )
        if wrong:
            doubtful.append(f"clip {name}: {', '.join(wrong)}")
    if doubtful:
        return Finding("warning", doubtful[0], f"look at it; {len(doubtful)} such clips")
    return Finding("passed", "left and right are not swapped in any clip")


def sizes(poses: Poses, about: Description) -> Finding:
    """Check that each subject has human size and the same bone lengths in all clips."""
    skeleton = skeleton_by_name(about.skeleton)
    head, root = skeleton.indices("Head", "Hip")
    bones = np.array(skeleton.bones)
    joints = poses.joints_mm
    body = np.linalg.norm(joints[:, head] - joints[:, root], axis=1)
    lengths = sum(
        np.linalg.norm(joints[:, child] - joints[:, parent], axis=1) for parent, child in bones
    )
    subject_lengths = {}
    for name, rows in _subjects(poses):
        size = float(np.median(body[rows]))
        if not HIP_TO_HEAD_MM[0] <= size <= HIP_TO_HEAD_MM[1]:
            return Finding(
                "failed",
                f"subject {name}: {size:.3g} mm from hip to head, where people have about 700",
                "convert that subject's joints to millimetres",
            )
        subject_lengths[name] = float(np.median(lengths[rows]))
    worst, where = 1.0, ""
    for name, run in _runs(poses.clip):
        subject = str(poses.subject[run.start])
        ratio = float(np.median(lengths[run])) / max(subject_lengths[subject], 1e-9)
        if abs(ratio - 1) > abs(worst - 1):
            worst, where = ratio, f"clip {name} of subject {subject}"
    if abs(worst - 1) <= SIZE_WARNING:
        return Finding("passed", "bone lengths of each subject agree in all clips")
    return Finding(
        "failed" if abs(worst - 1) > SIZE_LIMIT else "warning",
        f"{where}: its bones are {worst:.3g} times as long as in that subject's other clips",
        "the clip shows another person or is in another unit",
    )


def reprojection(poses: Poses, about: Description) -> Finding | None:
    """Check that poses project to their 2D joints; those of a detector may deviate.

    Returns None for stores without cameras or 2D joints.
    """
    has_keypoints = poses.keypoints_px is not None and poses.camera is not None
    if about.frame == "world" or not about.cameras or not has_keypoints:
        return None
    parts = [slice(start, start + CHUNK) for start in range(0, len(poses), CHUNK)]
    errors = np.concatenate([_errors_px(poses.take(part), about) for part in parts])
    medians = [(float(np.median(errors[run])), name, run) for name, run in _runs(poses.clip)]
    worst, name, run = max(medians, key=lambda item: item[0])
    swapped = float(np.median(_errors_px(poses.take(run), about, _swapped(about))))
    typical = float(np.median(errors))
    projected = typical <= PROJECTED_PX or is_mpi_inf_3dhp(about)
    severity: Status = "failed" if projected else "warning"  # a detector can be that wrong
    detail = f"clip {name}: its poses project {worst:.2g} px off its 2D joints"
    if worst > PROJECTED_PX and swapped < worst / 2:
        sides = "left and right of its 2D joints are swapped"
        errors_px = f"{worst:.2g} px off as stored, {swapped:.2g} px when swapped back"
        return Finding(severity, f"clip {name}: {sides}: {errors_px}", "swap them back")
    if worst > UNRELATED_PX:
        return Finding(severity, detail, _CHECK_PAIRING)
    if not projected:
        return Finding("passed", f"2D joints of a detector: {typical:.2g} px off in the median")
    if worst > PROJECTED_PX:
        return Finding("warning", detail, _CHECK_PAIRING)
    return Finding("passed", f"poses project at most {worst:.2g} px off their 2D joints")


def _errors_px(
    poses: Poses, about: Description, order: list[int] | slice = slice(None)
) -> NDArray[np.float64]:
    """Return the mean distances (N,) of the projected joints from the 2D joints.

    Args:
        poses: poses with keypoints and cameras.
        about: header with the intrinsics of the cameras.
        order: permutation of the 2D joints.
    """
    assert poses.keypoints_px is not None
    assert poses.camera is not None
    errors = np.empty(len(poses))
    for name in np.unique(poses.camera).tolist():
        rows = poses.camera == name
        camera = Camera.from_intrinsics(about.cameras[name].model_dump())
        projected = camera.project(poses.joints_mm[rows].astype(np.float64))
        offsets = projected - poses.keypoints_px[rows][:, order]
        errors[rows] = np.linalg.norm(offsets, axis=-1).mean(-1)
    return errors


def _swapped(about: Description) -> list[int]:
    """Return the permutation that swaps the left and right joints of the skeleton."""
    joints = skeleton_by_name(about.skeleton).joints
    sides = {"L": "R", "R": "L"}
    mirrored = [sides.get(name[0], name[0]) + name[1:] for name in joints]
    return [
        joints.index(name if name in joints else joints[index])
        for index, name in enumerate(mirrored)
    ]


CHECKS: dict[str, CheckFunction] = {
    "upright": upside_down,
    "L_angle": facing,
    "sides": sides,
    "sizes": sizes,
    "reprojection": reprojection,
}
