"""The joints of MPI-INF-3DHP: all 28, the 17 of its test set, and which of them make Human3.6M's.

Order and names are those of the data set's `mpii_get_joints.m`. `neck` lies where Human3.6M has its
thorax, `head` between neck and top of the head, where the nose is in Human3.6M.
"""

from __future__ import annotations

from synrep.skeleton import HUMAN36M_17

JOINTS_28 = (
    "spine3", "spine4", "spine2", "spine", "pelvis", "neck", "head", "head_top",
    "left_clavicle", "left_shoulder", "left_elbow", "left_wrist", "left_hand",
    "right_clavicle", "right_shoulder", "right_elbow", "right_wrist", "right_hand",
    "left_hip", "left_knee", "left_ankle", "left_foot", "left_toe",
    "right_hip", "right_knee", "right_ankle", "right_foot", "right_toe",
)  # fmt: skip
"""The joints of the training sequences, in their order."""

RELEVANT_17 = (
    "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist",
    "left_shoulder", "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle",
    "left_hip", "left_knee", "left_ankle", "pelvis", "spine", "head",
)  # fmt: skip
"""The joints of the test sequences ("relevant" in the data set's scripts), in their order."""

OFFICIAL = {
    "Hip": "pelvis", "RHip": "right_hip", "RKnee": "right_knee", "RFoot": "right_ankle",
    "LHip": "left_hip", "LKnee": "left_knee", "LFoot": "left_ankle", "Spine": "spine",
    "Thorax": "neck", "Nose": "head", "Head": "head_top",
    "LShoulder": "left_shoulder", "LElbow": "left_elbow", "LWrist": "left_wrist",
    "RShoulder": "right_shoulder", "RElbow": "right_elbow", "RWrist": "right_wrist",
}  # fmt: skip
"""The joint of MPI-INF-3DHP that stands for each of Human3.6M's."""

FROM_28 = [JOINTS_28.index(OFFICIAL[joint]) for joint in HUMAN36M_17.joints]
"""Positions of Human3.6M's joints among the 28."""

FROM_17 = [RELEVANT_17.index(OFFICIAL[joint]) for joint in HUMAN36M_17.joints]
"""Positions of Human3.6M's joints among the 17."""
