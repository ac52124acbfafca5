"""Whether 2D keypoints can be the joints that they are said to be.

A wrong order of joints often fits by count. Each rule compares distances in the image; limbs that
point at the camera break some rules, so most frames must break one before it is told.
Axes: F frames, J joints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synrep.errors import tell
from synrep.keypoint_sets import KEYPOINT_SETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from synrep.keypoint_sets import KeypointSet

    At = Callable[[str], NDArray[np.float64]]

UPSIDE_DOWN = "the head is below the hips"
MANY = 10_000
"""Frames that are looked at; of more, evenly spread ones."""


def check_geometry(points: NDArray[np.float64], joints: KeypointSet, place: str) -> None:
    """Warn if most frames break a rule of human bodies, and say which set would keep them all.

    Args:
        points: (F, J, 2) pixels, y down; NaN where a joint is missing.
        joints: the set that they are said to be.
        place: where they are from, for messages.
    """
    points = points[:: 1 + len(points) // MANY]
    broken = broken_rules(points, joints)
    if not broken:
        return
    if broken == [UPSIDE_DOWN]:
        tell(place, f"{UPSIDE_DOWN} in most frames", "y must point down; is it upwards here?")
        return
    others = [
        entry.name
        for entry in KEYPOINT_SETS.values()
        if len(entry.joints) == len(joints.joints)
        and entry is not joints
        and not broken_rules(points, entry)
    ]
    fits = " or ".join(others)
    tell(
        place,
        f"these are hardly {joints.name} keypoints: in most frames, " + "; ".join(broken),
        f"they would fit {fits}" if fits else "check the order of the joints, and --skeleton",
    )


def broken_rules(points: NDArray[np.float64], joints: KeypointSet) -> list[str]:
    """The rules that more than half of the frames break in which they can be judged, in words."""
    rule = joints.conversion()

    def at(joint: str) -> NDArray[np.float64]:
        """Where a keypoint, or a joint of Human3.6M, is in each frame (F, 2)."""
        shares = {joint: 1.0} if joint in joints.joints else rule[joint]
        parts = [share * points[:, joints.index(name)] for name, share in shares.items()]
        return np.asarray(np.sum(parts, axis=0))

    found = []
    with np.errstate(invalid="ignore"):
        for words, margin in _margins(at, joints).items():
            judged = margin[np.isfinite(margin) & (margin != 0)]
            if len(judged) and (judged < 0).mean() > 0.5:
                found.append(words)
    return found


def _margins(at: At, joints: KeypointSet) -> dict[str, NDArray[np.float64]]:
    """By how much (F) each rule is kept: below 0, it is broken; 0 or NaN, it can't be judged."""

    def apart(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.linalg.norm(a - b, axis=-1))

    neck, hip = at("Thorax"), at("Hip")
    trunk = apart(neck, hip)
    knees, feet = (at("LKnee") + at("RKnee")) / 2, (at("LFoot") + at("RFoot")) / 2
    size = np.maximum(trunk, (apart(at("LHip"), at("LKnee")) + apart(at("RHip"), at("RKnee"))) / 2)
    bones = [("Hip", "Knee"), ("Knee", "Foot"), ("Shoulder", "Elbow"), ("Elbow", "Wrist")]
    longest = np.max([apart(at(s + a), at(s + b)) for s in "LR" for a, b in bones], axis=0)
    across = ((at("LShoulder") - at("RShoulder")) * (at("LHip") - at("RHip"))).sum(-1)
    narrow = (
        np.minimum(apart(at("LShoulder"), at("RShoulder")), apart(at("LHip"), at("RHip")))
        < 0.1 * trunk
    )
    found = {
        "the hips do not lie between knees and shoulders": apart(knees, neck) - 0.8 * trunk,
        "the knees do not lie between hips and ankles": apart(feet, hip) - 0.7 * apart(knees, hip),
        "left and right of hips and shoulders differ": np.where(narrow, 0, across),
        "the nose is nearer to the hips than to the shoulders": apart(at("Nose"), hip)
        - apart(at("Nose"), neck),
        "a limb is longer than twice the trunk": 2 * size - longest,
        UPSIDE_DOWN: (hip - at("Nose"))[:, 1],
    }
    for part, root in (("Knee", "Hip"), ("Elbow", "Shoulder")):
        own = apart(at("L" + part), at("L" + root)) + apart(at("R" + part), at("R" + root))
        other = apart(at("L" + part), at("R" + root)) + apart(at("R" + part), at("L" + root))
        found[f"left and right of {part.lower()}s and {root.lower()}s differ"] = np.where(
            np.abs(other - own) < 0.2 * trunk, 0, other - own
        )
    for part in ("Eye", "Ear"):
        if {"L" + part, "R" + part} <= set(joints.joints):
            middle = (at("L" + part) + at("R" + part)) / 2
            words = f"the {part.lower()}s are far from the nose"
            found[words] = 0.5 * size - apart(middle, at("Nose"))
    return found
