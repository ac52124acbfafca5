"""Names of joints in the spelling by which they are compared."""

from __future__ import annotations

from synrep.keypoint_sets import KEYPOINT_SETS

LONG = (("left", "l"), ("right", "r"))
SAME = {
    "lankle": "lfoot",
    "rankle": "rfoot",
    "mouthl": "lmouth",
    "mouthr": "rmouth",
    "mouthleft": "lmouth",
    "mouthright": "rmouth",
}


def plain(joint: str) -> str:
    """A joint's name in the spelling by which they are compared: `left_ankle` is 'lfoot'."""
    short = "".join(letter for letter in joint.lower() if letter.isalnum())
    for long, side in LONG:
        if short.startswith(long):
            short = side + short.removeprefix(long)
    return SAME.get(short, short)


def numbers_of(name: str) -> dict[str, int]:
    """Number of each joint of a set, by its plain spelling."""
    return {plain(joint): index for index, joint in enumerate(KEYPOINT_SETS[name].joints)}


def set_of(joints: set[str]) -> str | None:
    """The set that has exactly these joints, in plain spelling."""
    return next((name for name in KEYPOINT_SETS if set(numbers_of(name)) == joints), None)
