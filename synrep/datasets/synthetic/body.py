"""Forward kinematics of an articulated body: from joint angles to the 17 joints of Human3.6M.

The body frame is x forward, y left, z up, in millimetres; at zero angles the body stands upright
with hanging arms. Angles are in degrees and have anatomical names, so that their signs mean the
same on both sides: flexion moves a limb forward, abduction moves it away from the body, and twist
rotates it outward about its long axis (which swings a bent forearm outward).
Axes: T frames, A angles, J joints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from numpy.typing import NDArray

LIMITS_DEG: dict[str, tuple[float, float]] = {
    "pelvis_pitch": (-20, 60),
    "pelvis_roll": (-20, 20),
    "spine_bend": (-20, 60),
    "spine_side": (-25, 25),
    "spine_twist": (-35, 35),
    "head_nod": (-40, 45),
    "head_side": (-25, 25),
    "head_turn": (-60, 60),
    **{
        f"{side}_{angle}": limits
        for side in ("left", "right")
        for angle, limits in {
            "hip_flexion": (-25.0, 115.0),
            "hip_abduction": (-15.0, 45.0),
            "hip_twist": (-30.0, 40.0),
            "knee_flexion": (2.0, 130.0),
            "shoulder_flexion": (-45.0, 165.0),
            "shoulder_abduction": (4.0, 150.0),
            "shoulder_twist": (-70.0, 90.0),
            "elbow_flexion": (4.0, 140.0),
        }.items()
    },
}
"""Limits of every joint angle in degrees, within the range of healthy adults."""

ANGLES = tuple(LIMITS_DEG)
"""Names of the A joint angles, in the order of the arrays."""


@dataclass(frozen=True)
class Body:
    """Bone lengths in millimetres; both sides are equal."""

    hip: float = 112.0
    """Hip (root) to the hip joints."""
    thigh: float = 432.0
    shin: float = 438.0
    spine: float = 250.0
    """Hip to Spine."""
    thorax: float = 262.0
    """Spine to Thorax."""
    neck: float = 118.0
    """Thorax to Nose."""
    head: float = 128.0
    """Nose to Head."""
    shoulder: float = 168.0
    """Thorax to the shoulder joints."""
    upper_arm: float = 288.0
    forearm: float = 246.0
    ankle: float = 75.0
    """Height of the ankle joint above the floor when the foot is flat."""


def rotation(axis: str, angle_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return right-handed rotations (T, 3, 3) about the x, y or z axis by angles (T,)."""
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    angle = np.deg2rad(angle_deg)
    matrix = np.zeros((len(angle), 3, 3))
    matrix[:, range(3), range(3)] = 1.0
    matrix[:, first, first] = matrix[:, second, second] = np.cos(angle)
    matrix[:, second, first] = np.sin(angle)
    matrix[:, first, second] = -matrix[:, second, first]
    return matrix


def angles_within_limits(angles_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Clip angles (T, A) to their limits."""
    low, high = np.array([LIMITS_DEG[name] for name in ANGLES]).T
    clipped: NDArray[np.float64] = np.clip(angles_deg, low, high)
    return clipped


def joints_mm(
    body: Body, angles_deg: NDArray[np.float64], heading_deg: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute joint positions by forward kinematics, with the root at the origin.

    Args:
        body: bone lengths.
        angles_deg: (T, A) joint angles, with columns in the order of `ANGLES`.
        heading_deg: (T,) direction in which the body faces, counter-clockwise from +x.

    Returns:
        (T, J, 3) positions relative to the root along the world axes, z up.
    """
    angle = dict(zip(ANGLES, angles_deg.T, strict=True))
    pelvis = (
        rotation("z", heading_deg)
        @ rotation("y", angle["pelvis_pitch"])
        @ rotation("x", angle["pelvis_roll"])
    )
    half_spine = (
        rotation("y", angle["spine_bend"] / 2)
        @ rotation("x", angle["spine_side"] / 2)
        @ rotation("z", angle["spine_twist"] / 2)
    )
    lower, trunk = pelvis @ half_spine, pelvis @ half_spine @ half_spine
    half_head = (
        rotation("z", angle["head_turn"] / 2)
        @ rotation("y", angle["head_nod"] / 2)
        @ rotation("x", angle["head_side"] / 2)
    )
    joints = {"Hip": np.zeros((len(angles_deg), 3))}
    joints["Spine"] = lower @ _direction(-0.05, 0, 1) * body.spine
    joints["Thorax"] = joints["Spine"] + trunk @ _direction(0.04, 0, 1) * body.thorax
    joints["Nose"] = joints["Thorax"] + trunk @ half_head @ _direction(0.6, 0, 0.8) * body.neck
    joints["Head"] = (
        joints["Nose"] + trunk @ half_head @ half_head @ _direction(-0.5, 0, 0.87) * body.head
    )
    for side, prefix, sign in (("left", "L", 1.0), ("right", "R", -1.0)):
        limb = {name.removeprefix(f"{side}_"): value for name, value in angle.items()}
        joints[f"{prefix}Hip"] = pelvis @ _direction(0, sign, 0) * body.hip
        thigh = pelvis @ _ball(limb, "hip", sign)
        joints[f"{prefix}Knee"] = joints[f"{prefix}Hip"] - thigh[..., 2] * body.thigh
        shin = thigh @ rotation("y", limb["knee_flexion"])
        joints[f"{prefix}Foot"] = joints[f"{prefix}Knee"] - shin[..., 2] * body.shin
        shoulder = _direction(-0.05, sign, -0.12)
        joints[f"{prefix}Shoulder"] = joints["Thorax"] + trunk @ shoulder * body.shoulder
        upper = trunk @ _ball(limb, "shoulder", sign)
        joints[f"{prefix}Elbow"] = joints[f"{prefix}Shoulder"] - upper[..., 2] * body.upper_arm
        forearm = upper @ rotation("y", -limb["elbow_flexion"])
        joints[f"{prefix}Wrist"] = joints[f"{prefix}Elbow"] - forearm[..., 2] * body.forearm
    return np.stack([joints[joint] for joint in HUMAN36M_17.joints], axis=1)


def _direction(x: float, y: float, z: float) -> NDArray[np.float64]:
    """Return a unit vector (3,)."""
    vector = np.array([x, y, z])
    unit: NDArray[np.float64] = vector / np.linalg.norm(vector)
    return unit


def _ball(limb: dict[str, NDArray[np.float64]], joint: str, sign: float) -> NDArray[np.float64]:
    """Return the rotations (T, 3, 3) of a ball joint; `sign` is +1 on the left, -1 on the right."""
    return (
        rotation("x", sign * limb[f"{joint}_abduction"])
        @ rotation("y", -limb[f"{joint}_flexion"])
        @ rotation("z", sign * limb[f"{joint}_twist"])
    )
