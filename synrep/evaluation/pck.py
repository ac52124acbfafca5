"""The scores of MPI-INF-3DHP: 3DPCK at 150 mm and the area under its curve.

The rule is that of the data set's own scripts (`mpii_compute_3d_pck.m`,
`mpii_get_pck_auc_joint_groups.m`): 14 joints (top of the head, neck, shoulders, elbows, wrists,
hips, knees, ankles; not pelvis, spine and head), both poses relative to the pelvis, true poses from
`univ_annot3` of valid frames, a joint right if its error is less than the threshold, every joint
of every frame with the same weight. Other programs score 16 or 17 joints, or scale predictions
first: their numbers are others (row 38).
Axes: V views, J joints, K = 14 scored joints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from synrep.errors import InputError
from synrep.keypoint_sets import MPI_INF_3DHP_OF_HUMAN36M
from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from collections.abc import Sequence

PCK_JOINTS = (
    "Head", "Thorax", "RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist",
    "RHip", "RKnee", "RFoot", "LHip", "LKnee", "LFoot",
)  # fmt: skip
"""The scored joints, by the names of Human3.6M's."""

THRESHOLD_MM = 150.0
"""A joint with less error than this is right."""

AUC_THRESHOLDS_MM = tuple(5.0 * step for step in range(31))
"""0, 5, ... 150: since nothing is less than 0, the area is at most 30/31 or 96.8 %."""


def joint_errors_mm(
    predicted: Tensor, true: Tensor, joints: Sequence[str] = HUMAN36M_17.joints
) -> Tensor:
    """Distances (V, K) of the scored joints, with both poses relative to the pelvis.

    Args:
        predicted: (V, J, 3) poses in mm.
        true: (V, J, 3) poses in mm.
        joints: names of the J joints: Human3.6M's, or those of MPI-INF-3DHP.

    Raises:
        InputError: the shapes differ, or a joint that is needed is not among the J.
    """
    if predicted.shape != true.shape or true.shape[1:] != (len(joints), 3):
        raise InputError(
            "poses",
            f"predicted are {tuple(predicted.shape)}, true are {tuple(true.shape)}",
            f"both must be (views, {len(joints)}, 3)",
        )
    root, *scored = [_number(name, joints) for name in ("Hip", *PCK_JOINTS)]
    made, wanted = (
        pose[:, scored].double() - pose[:, root : root + 1].double() for pose in (predicted, true)
    )
    return (made - wanted).norm(dim=-1)


def _number(name: str, joints: Sequence[str]) -> int:
    """Position of a joint by either of its names."""
    for known in (name, MPI_INF_3DHP_OF_HUMAN36M[name]):
        if known in joints:
            return list(joints).index(known)
    raise InputError(
        "joints",
        f"neither {name!r} nor {MPI_INF_3DHP_OF_HUMAN36M[name]!r} is among them",
        "there are " + ", ".join(joints),
    )


def pck(errors_mm: Tensor, threshold_mm: float = THRESHOLD_MM) -> Tensor:
    """3DPCK in percent of each view, (V,), of errors (V, K) by `joint_errors_mm`.

    The mean over views is the official score, since all have the same number of joints. An error
    that is not a number counts as wrong.
    """
    return 100 * (errors_mm < threshold_mm).double().mean(-1)


def auc(errors_mm: Tensor) -> Tensor:
    """Mean of the 3DPCK over the thresholds 0, 5, ... 150 mm, in percent of each view, (V,)."""
    return torch.stack([pck(errors_mm, limit) for limit in AUC_THRESHOLDS_MM]).mean(0)
