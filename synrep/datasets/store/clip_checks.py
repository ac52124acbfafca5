"""Checks of each subject and each clip: one that is wrong drowns in the mean of its split.

They run when a store is written or verified. Limits were chosen on 408 clips of CMU's motion
capture: no clip fails, and each one does after its left and right were swapped.
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

FEW = 10
"""Poses, or bent knees, from which nothing is concluded if there are fewer."""
UPRIGHT = 0.7
"""Least part of the way from hip to head that goes up in an upright pose."""
ANGLE_WARNING, ANGLE_LIMIT = 0.2, 0.4
"""Of L_angle over a subject's upright poses: at most 0.13 in CMU's, at least 0.75 in the same with
left and right swapped."""
SIZE_WARNING, SIZE_LIMIT = 0.05, 0.2
"""Part by which the bones of a clip may be longer or shorter than their subject's: 1e-5 in CMU's,
where each subject has one skeleton."""
SIZES_MM = (250.0, 1200.0)
"""Distances from hip to head that people have."""
PROJECTED_PX, UNRELATED_PX = 1.0, 50.0
"""Median errors of reprojection: 2D joints with less are projected ones, with more than the other
not of these poses."""


CHUNK = 1 << 16
"""Poses projected at once: bounds memory, not the result."""
_TOGETHER = "look whether frames, joints and camera of 2D and 3D belong together"


def _runs(labels: NDArray[np.str_]) -> list[tuple[str, slice]]:
    """Each run of equal labels with its rows; poses are ordered by clip."""
    starts = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]])
    ends = [*starts[1:].tolist(), len(labels)]
    return [
        (str(labels[start]), slice(start, end))
        for start, end in zip(starts.tolist(), ends, strict=True)
    ]


def _subjects(poses: Poses) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    for name in np.unique(poses.subject).tolist():
        yield name, poses.subject == name


def _up(about: Description) -> NDArray[np.float64]:
    sign = 1.0 if about.up[0] == "+" else -1.0
    return sign * np.eye(3)["xyz".index(about.up[1])]


def _rising(poses: Poses, about: Description) -> NDArray[np.float64]:
    """(N,) part of the way from hip to head that goes up: -1 for people on their heads."""
    head, root = skeleton_by_name(about.skeleton).indices("Head", "Hip")
    body = (poses.joints_mm[:, head] - poses.joints_mm[:, root]).astype(np.float64)
    rising: NDArray[np.float64] = body @ _up(about) / np.maximum(np.linalg.norm(body, axis=1), 1e-9)
    return rising


def upside_down(poses: Poses, about: Description) -> Finding:
    """Nobody stands on the head all the time: the sign of the up axis holds for each subject."""
    rising = _rising(poses, about)
    for name, rows in _subjects(poses):
        if np.median(rising[rows]) < -UPRIGHT:
            return Finding(
                "failed",
                f"subject {name} is upside down along {about.up}",
                "turn that subject's poses like the others'",
            )
    return Finding("passed", "no subject is upside down")


def facing(poses: Poses, about: Description) -> Finding | None:
    """True poses have hardly any L_angle: faces point where the shoulders say (row 6).

    It is computed in the horizontal plane, of upright poses with a nose; for people who bend down
    it means nothing.
    """
    skeleton = skeleton_by_name(about.skeleton)
    if "Nose" not in skeleton.joints:
        return None
    numbers = skeleton.indices("Nose", "Thorax", "RShoulder", "LShoulder")
    face, thorax, right, left = poses.joints_mm[:, numbers].astype(np.float64).swapaxes(0, 1)
    v, w, up = face - thorax, right - left, _up(about)
    flat = [vector - np.outer(vector @ up, up) for vector in (v, w)]
    lengths = np.linalg.norm(flat[0], axis=1) * np.linalg.norm(flat[1], axis=1)
    loss = np.maximum(-(np.cross(w, v) @ up) / np.maximum(lengths, 1e-9), 0)
    upright = _rising(poses, about) > UPRIGHT
    found = [(0.0, "")]
    for name, rows in _subjects(poses):
        if (chosen := rows & upright).sum() >= FEW:
            found.append((float(loss[chosen].mean()), name))
    worst, name = max(found)
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
    """In each clip noses are in front and bent knees point forward.

    Both go wrong if left and right are swapped or the poses mirrored; one alone can be the motion,
    or joints that were guessed.
    """
    bent, ahead = bent_knees(poses, about)
    knees = np.stack([bent.sum(1), (bent & ahead).sum(1)], axis=1)
    noses = noses_ahead(poses, about)
    doubtful = []
    for name, rows in _runs(poses.clip):
        count, forward = knees[rows].sum(0).tolist()
        parts = [("bent knees point forward", forward / count)] if count >= FEW else []
        if noses is not None and rows.stop - rows.start >= FEW:
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
    return Finding("passed", "no clip has its sides swapped")


def sizes(poses: Poses, about: Description) -> Finding:
    """Each subject has a person's size, and in each clip the same bones."""
    skeleton = skeleton_by_name(about.skeleton)
    head, root = skeleton.indices("Head", "Hip")
    bones = np.array(skeleton.bones)
    joints = poses.joints_mm
    body = np.linalg.norm(joints[:, head] - joints[:, root], axis=1)
    lengths = sum(
        np.linalg.norm(joints[:, child] - joints[:, parent], axis=1) for parent, child in bones
    )
    usual = {}
    for name, rows in _subjects(poses):
        size = float(np.median(body[rows]))
        if not SIZES_MM[0] <= size <= SIZES_MM[1]:
            return Finding(
                "failed",
                f"subject {name}: {size:.3g} mm from hip to head, where people have about 700",
                "convert that subject's joints to millimetres",
            )
        usual[name] = float(np.median(lengths[rows]))
    worst, where = 1.0, ""
    for name, run in _runs(poses.clip):
        subject = str(poses.subject[run.start])
        ratio = float(np.median(lengths[run])) / max(usual[subject], 1e-9)
        if abs(ratio - 1) > abs(worst - 1):
            worst, where = ratio, f"clip {name} of subject {subject}"
    if abs(worst - 1) <= SIZE_WARNING:
        return Finding("passed", "in each clip people have the bones of their other clips")
    return Finding(
        "failed" if abs(worst - 1) > SIZE_LIMIT else "warning",
        f"{where}: its bones are {worst:.3g} times as long as that subject's elsewhere",
        "it is of another person or in another unit",
    )


def reprojection(poses: Poses, about: Description) -> Finding | None:
    """Poses project to their 2D joints, where these are projected ones and not a detector's."""
    seen = poses.keypoints_px is not None and poses.camera is not None
    if about.frame == "world" or not about.cameras or not seen:
        return None
    parts = [slice(start, start + CHUNK) for start in range(0, len(poses), CHUNK)]
    errors = np.concatenate([_errors_px(poses.take(part), about) for part in parts])
    medians = [(float(np.median(errors[run])), name, run) for name, run in _runs(poses.clip)]
    worst, name, run = max(medians, key=lambda found: found[0])
    other = float(np.median(_errors_px(poses.take(run), about, _swapped(about))))
    typical = float(np.median(errors))
    projected = typical <= PROJECTED_PX or is_mpi_inf_3dhp(about)
    serious: Status = "failed" if projected else "warning"  # a detector can be that wrong
    far = f"clip {name}: its poses project {worst:.2g} px off its 2D joints"
    if worst > PROJECTED_PX and other < worst / 2:
        sides = f"left and right of its 2D joints are swapped: {other:.2g} px off the other way"
        return Finding(serious, f"clip {name}: {sides}, {worst:.2g} px this way", "swap them back")
    if worst > UNRELATED_PX:
        return Finding(serious, far, _TOGETHER)
    if not projected:
        return Finding("passed", f"2D joints of a detector: {typical:.2g} px off in the median")
    if worst > PROJECTED_PX:
        return Finding("warning", far, _TOGETHER)
    return Finding("passed", f"poses project at most {worst:.2g} px off their 2D joints")


def _errors_px(
    poses: Poses, about: Description, order: list[int] | slice = slice(None)
) -> NDArray[np.float64]:
    """(N,) mean distances of the projected joints from the 2D joints, taken in some order."""
    assert poses.keypoints_px is not None
    assert poses.camera is not None
    errors = np.empty(len(poses))
    for name in np.unique(poses.camera).tolist():
        rows = poses.camera == name
        lens = Camera.recorded(about.cameras[name].model_dump())
        seen = lens.project(poses.joints_mm[rows].astype(np.float64))
        errors[rows] = np.linalg.norm(seen - poses.keypoints_px[rows][:, order], axis=-1).mean(-1)
    return errors


def _swapped(about: Description) -> list[int]:
    """The number of the joint on the other side, for each joint."""
    joints = skeleton_by_name(about.skeleton).joints
    sides = {"L": "R", "R": "L"}
    other = [sides.get(name[0], name[0]) + name[1:] for name in joints]
    return [joints.index(name if name in joints else joints[at]) for at, name in enumerate(other)]


CHECKS: dict[str, CheckFunction] = {
    "upright": upside_down,
    "L_angle": facing,
    "sides": sides,
    "sizes": sizes,
    "reprojection": reprojection,
}
