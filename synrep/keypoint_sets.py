"""Sets of named 2D keypoints, and how each becomes the joints of Human3.6M.

To add a set, write an entry in `KEYPOINT_SETS`: options, files, messages and help then know it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from synrep.errors import InputError
from synrep.skeleton import HUMAN36M_16, HUMAN36M_17

if TYPE_CHECKING:
    from collections.abc import Mapping

MpiiMap = Literal["fitted", "geometric", "martinez", "kudo"]
"""How MPII's joints become Human3.6M's (row 35)."""

Shares = dict[str, float]
"""A joint as a weighted sum: the share of each keypoint. Shares add up to 1."""
Conversion = dict[str, Shares]
"""What each joint of Human3.6M is made of."""


@dataclass(frozen=True, kw_only=True)
class KeypointSet:
    """Named 2D keypoints of a detector; they need not form a tree.

    Args:
        name: identifier used in options and files.
        help: what they are, in a few words, for the help of commands.
        joints: J keypoint names in the detector's order; those of left and right start with L, R.
        to_human36m: what each of the 17 joints of Human3.6M is made of.
        estimated: those of Human3.6M's joints that the detector does not see, so that others stand
            in for them (row 41).
        short_names: other names that options take.
        variants: other conversions, by the value of `data.sh_map` that asks for them; they may
            lack joints.

    Raises:
        ValueError: a joint comes twice, or a conversion is not one of these joints to all of
            Human3.6M's.
    """

    name: str
    help: str
    joints: tuple[str, ...]
    to_human36m: Conversion = field(hash=False)
    estimated: tuple[str, ...] = ()
    short_names: tuple[str, ...] = ()
    variants: Mapping[MpiiMap, Conversion] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if len(set(self.joints)) != len(self.joints):
            raise ValueError(f"keypoint set {self.name}: a joint comes twice")
        if lacking := set(HUMAN36M_17.joints) - set(self.to_human36m):
            raise ValueError(
                f"keypoint set {self.name}: nothing says what {', '.join(sorted(lacking))} of "
                "Human3.6M is made of"
            )
        if strange := set(self.estimated) - set(HUMAN36M_17.joints):
            raise ValueError(
                f"keypoint set {self.name}: Human3.6M has no {', '.join(sorted(strange))}"
            )
        for conversion in (self.to_human36m, *self.variants.values()):
            for joint, shares in conversion.items():
                known = joint in HUMAN36M_17.joints and set(shares) <= set(self.joints)
                if not known or not math.isclose(sum(shares.values()), 1):
                    raise ValueError(
                        f"keypoint set {self.name}: {joint} of Human3.6M can't be {shares}"
                    )

    def index(self, joint: str) -> int:
        """Number of a keypoint."""
        return self.joints.index(joint)

    def conversion(self, mpii_map: MpiiMap = "geometric") -> Conversion:
        """What each joint of Human3.6M is made of; in a variant, some may be lacking.

        Args:
            mpii_map: the variant, for a set that has it (row 35).
        """
        return self.variants.get(mpii_map, self.to_human36m)


def _middle(*joints: str) -> Shares:
    return dict.fromkeys(joints, 1 / len(joints))


def _beyond(joint: str, base: Shares) -> Shares:
    """As far beyond a joint as that is from the base."""
    return {joint: 2.0} | {name: -share for name, share in base.items()}


_SAME: Conversion = {joint: {joint: 1.0} for joint in HUMAN36M_17.joints}
"""Every joint of Human3.6M under its own name: what a set names otherwise, it replaces."""

_MPII: Conversion = _SAME | {
    "Hip": {"Pelvis": 1.0},
    # MPII's chest lies on the shoulder line, where Human3.6M has no joint.
    "Spine": _middle("Pelvis", "UpperNeck"),
    "Thorax": {"UpperNeck": 1.0},
    "Nose": _middle("UpperNeck", "HeadTop"),
    "Head": {"HeadTop": 1.0},
}
# On the line from upper neck to head top, fitted on detections of Human3.6M's S11: Human3.6M's
# head joint lies in the head, not on top of it.
_MPII_FITTED: Conversion = _MPII | {
    "Nose": {"UpperNeck": 0.76, "HeadTop": 0.24},
    "Head": {"UpperNeck": 0.37, "HeadTop": 0.63},
}
_MPII_CHEST: Conversion = _MPII | {"Spine": {"Chest": 1.0}}

MPII_16 = KeypointSet(
    name="mpii-16",
    help="MPII, stacked hourglass",
    short_names=("mpii",),
    joints=(
        "RFoot", "RKnee", "RHip", "LHip", "LKnee", "LFoot", "Pelvis", "Chest", "UpperNeck",
        "HeadTop", "RWrist", "RElbow", "RShoulder", "LShoulder", "LElbow", "LWrist",
    ),
    to_human36m=_MPII,
    estimated=("Spine", "Nose"),
    variants={
        "fitted": _MPII_FITTED,
        "martinez": {joint: made for joint, made in _MPII_CHEST.items() if joint != "Nose"},
        "kudo": _MPII_CHEST,
    },
)  # fmt: skip
"""MPII and stacked-hourglass keypoints."""

COCO_17 = KeypointSet(
    name="coco-17",
    help="COCO, and most detectors trained on it",
    short_names=("coco",),
    joints=(
        "Nose", "LEye", "REye", "LEar", "REar", "LShoulder", "RShoulder", "LElbow", "RElbow",
        "LWrist", "RWrist", "LHip", "RHip", "LKnee", "RKnee", "LFoot", "RFoot",
    ),
    to_human36m=_SAME
    | {
        "Hip": _middle("LHip", "RHip"),
        "Spine": _middle("LShoulder", "RShoulder", "LHip", "RHip"),
        "Thorax": _middle("LShoulder", "RShoulder"),
        "Head": _beyond("Nose", _middle("LShoulder", "RShoulder")),
    },
    estimated=("Spine", "Nose", "Head"),
)  # fmt: skip
"""COCO keypoints."""

OPENPOSE_25 = KeypointSet(
    name="openpose-25",
    help="OpenPose BODY_25",
    short_names=("openpose",),
    joints=(
        "Nose", "Neck", "RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist",
        "MidHip", "RHip", "RKnee", "RFoot", "LHip", "LKnee", "LFoot", "REye", "LEye", "REar",
        "LEar", "LBigToe", "LSmallToe", "LHeel", "RBigToe", "RSmallToe", "RHeel",
    ),
    to_human36m=_SAME
    | {
        "Hip": {"MidHip": 1.0},
        "Spine": _middle("MidHip", "Neck"),
        "Thorax": {"Neck": 1.0},
        "Head": _beyond("Nose", {"Neck": 1.0}),
    },
    estimated=("Spine", "Nose", "Head"),
)  # fmt: skip
"""OpenPose BODY_25 keypoints."""

OPENPOSE_18 = KeypointSet(
    name="openpose-18",
    help="OpenPose's COCO model",
    short_names=("coco-18",),
    joints=(
        "Nose", "Neck", "RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist",
        "RHip", "RKnee", "RFoot", "LHip", "LKnee", "LFoot", "REye", "LEye", "REar", "LEar",
    ),
    to_human36m=_SAME
    | {
        "Hip": _middle("LHip", "RHip"),
        "Spine": {"Neck": 0.5, "LHip": 0.25, "RHip": 0.25},
        "Thorax": {"Neck": 1.0},
        "Head": _beyond("Nose", {"Neck": 1.0}),
    },
    estimated=("Spine", "Nose", "Head"),
)  # fmt: skip
"""Keypoints of OpenPose's COCO model: COCO's and the neck."""

HALPE_26 = KeypointSet(
    name="halpe-26",
    help="Halpe, AlphaPose and RTMPose with feet",
    short_names=("halpe",),
    joints=(
        *COCO_17.joints, "Head", "Neck", "MidHip", "LBigToe", "RBigToe", "LSmallToe", "RSmallToe",
        "LHeel", "RHeel",
    ),
    to_human36m=_SAME
    | {
        "Hip": {"MidHip": 1.0},
        "Spine": _middle("MidHip", "Neck"),
        "Thorax": {"Neck": 1.0},
    },
    estimated=("Spine", "Nose"),
)  # fmt: skip
"""Halpe's keypoints of the body: COCO's, top of the head, neck, middle of the hips, and feet."""

MEDIAPIPE_33 = KeypointSet(
    name="mediapipe-33",
    help="MediaPipe Pose (BlazePose)",
    short_names=("mediapipe",),
    joints=(
        "Nose", "LEyeInner", "LEye", "LEyeOuter", "REyeInner", "REye", "REyeOuter", "LEar", "REar",
        "LMouth", "RMouth", "LShoulder", "RShoulder", "LElbow", "RElbow", "LWrist", "RWrist",
        "LPinky", "RPinky", "LIndex", "RIndex", "LThumb", "RThumb", "LHip", "RHip",
        "LKnee", "RKnee", "LFoot", "RFoot", "LHeel", "RHeel", "LFootIndex", "RFootIndex",
    ),
    to_human36m=COCO_17.to_human36m,
    estimated=COCO_17.estimated,
)  # fmt: skip
"""MediaPipe's landmarks of a pose."""

KEYPOINT_SETS = {
    entry.name: entry
    for entry in (
        KeypointSet(
            name=HUMAN36M_17.name,
            help="the joints of Human3.6M",
            short_names=("h36m", "human36m"),
            joints=HUMAN36M_17.joints,
            to_human36m=_SAME,
        ),
        KeypointSet(
            name=HUMAN36M_16.name,
            help="the same without the nose",
            joints=HUMAN36M_16.joints,
            to_human36m=_SAME | {"Nose": _middle("Thorax", "Head")},
            estimated=("Nose",),
        ),
        MPII_16,
        COCO_17,
        OPENPOSE_25,
        OPENPOSE_18,
        HALPE_26,
        MEDIAPIPE_33,
    )
}
"""The sets known by name."""


def keypoint_set_by_name(name: str) -> KeypointSet:
    """The keypoint set of that name or short name.

    Raises:
        InputError: no such set.
    """
    for entry in KEYPOINT_SETS.values():
        if name in (entry.name, *entry.short_names):
            return entry
    raise InputError("skeleton", f"unknown name {name!r}", "known: " + ", ".join(KEYPOINT_SETS))


MPI_INF_3DHP_28 = (
    "spine3", "spine4", "spine2", "spine", "pelvis", "neck", "head", "head_top",
    "left_clavicle", "left_shoulder", "left_elbow", "left_wrist", "left_hand",
    "right_clavicle", "right_shoulder", "right_elbow", "right_wrist", "right_hand",
    "left_hip", "left_knee", "left_ankle", "left_foot", "left_toe",
    "right_hip", "right_knee", "right_ankle", "right_foot", "right_toe",
)  # fmt: skip
"""The joints of MPI-INF-3DHP's training sequences, in their order (its `mpii_get_joints.m`)."""

MPI_INF_3DHP_17 = (
    "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist",
    "left_shoulder", "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle",
    "left_hip", "left_knee", "left_ankle", "pelvis", "spine", "head",
)  # fmt: skip
"""Those of its test sequences ("relevant" in the data set's scripts), in their order."""

MPI_INF_3DHP_OF_HUMAN36M = {
    "Hip": "pelvis", "RHip": "right_hip", "RKnee": "right_knee", "RFoot": "right_ankle",
    "LHip": "left_hip", "LKnee": "left_knee", "LFoot": "left_ankle", "Spine": "spine",
    "Thorax": "neck", "Nose": "head", "Head": "head_top",
    "LShoulder": "left_shoulder", "LElbow": "left_elbow", "LWrist": "left_wrist",
    "RShoulder": "right_shoulder", "RElbow": "right_elbow", "RWrist": "right_wrist",
}  # fmt: skip
"""The joint of MPI-INF-3DHP that stands for each of Human3.6M's: its `neck` lies where Human3.6M
has its thorax, its `head` between neck and top of the head, where the nose is in Human3.6M."""

HUMAN36M_IN_28 = [
    MPI_INF_3DHP_28.index(MPI_INF_3DHP_OF_HUMAN36M[joint]) for joint in HUMAN36M_17.joints
]
"""Positions of Human3.6M's joints among the 28."""

HUMAN36M_IN_17 = [
    MPI_INF_3DHP_17.index(MPI_INF_3DHP_OF_HUMAN36M[joint]) for joint in HUMAN36M_17.joints
]
"""Positions of Human3.6M's joints among the 17."""
