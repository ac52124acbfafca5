"""T-poses for calibration, which some converters put before the motion.

Axes: J joints of Human3.6M.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from numpy.typing import NDArray

FirstFrame = Literal["auto", "keep", "drop"]
"""Whether the first frame of every file is left out; `auto` leaves out T-poses of files in whose
joint map they are known (`t_pose_first`)."""

STRAIGHT, OPPOSITE, LEVEL = 0.99, -0.97, 0.2
"""Limits of a T-pose: smallest cosine between upper arm and forearm, largest between the two arms,
largest between arm and trunk."""


def is_t_pose(joints: NDArray[np.float64]) -> bool:
    """Whether both arms are straight and point to opposite sides, at right angles to the trunk.

    Args:
        joints: (J, 3) joints of one pose, in any unit and axes.
    """
    hip, thorax = joints[HUMAN36M_17.indices("Hip", "Thorax")]
    trunk, arms = _unit(thorax - hip), []
    for side in "LR":
        points = joints[HUMAN36M_17.indices(f"{side}Shoulder", f"{side}Elbow", f"{side}Wrist")]
        upper, forearm = _unit(points[1] - points[0]), _unit(points[2] - points[1])
        arm = _unit(points[2] - points[0])
        if upper @ forearm < STRAIGHT or abs(arm @ trunk) > LEVEL:
            return False
        arms.append(arm)
    return bool(arms[0] @ arms[1] < OPPOSITE)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = vector / max(float(np.linalg.norm(vector)), 1e-9)
    return unit
