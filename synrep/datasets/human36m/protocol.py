"""Constants of Human3.6M: subjects, actions, cameras, joints, splits and published counts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from synrep.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synrep.datasets.store.header import Split

FPS = 50.0
"""Frame rate of the recordings in frames per second."""
SPLIT_SUBJECTS: dict[Split, tuple[str, ...]] = {
    "train": ("S1", "S5", "S6", "S7"),
    "validation": ("S8",),
    "test": ("S9", "S11"),
}
"""Subjects of each split: the generator is chosen on S8, never on S9 or S11 (row 33)."""
SUBJECTS = tuple(subject for subjects in SPLIT_SUBJECTS.values() for subject in subjects)
"""The seven subjects whose poses are published."""
ACTIONS = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases",
    "Sitting", "SittingDown", "Smoking", "Waiting", "WalkDog", "Walking", "WalkTogether",
)  # fmt: skip
"""The 15 actions; each subject performs each of them twice."""
RENAMED = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}
"""Names of actions in S1's official files, with those in all other files."""
CAMERAS = ("54138969", "55011271", "58860488", "60457274")
"""Names of the four cameras, in the order used by files that only number them."""
IMAGE_PX = {
    "54138969": (1000, 1002),
    "55011271": (1000, 1000),
    "58860488": (1000, 1000),
    "60457274": (1000, 1002),
}
"""Width and height of each camera's images."""
JOINTS_OF_32 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""Indices of the 17 joints of `HUMAN36M_17` among the 32 joints of the recordings."""
DAMAGED = {("S9", "Greeting"), ("S9", "SittingDown 1"), ("S9", "Waiting 1")}
"""Recordings whose poses are shifted against the images; published results include them."""
PUBLISHED_COUNTS = {
    "train": {1_559_752: "S1, S5, S6, S7 and S8"},
    "test": {
        550_644: "all of S9 and S11",
        548_819: "without S11 Directions of camera 54138969, whose video is damaged",
        543_344: "without S11 Directions, as in VideoPose3D",
    },
}
"""Published numbers of poses at 50 frames per second, over all cameras."""
LICENCE = (
    "Human3.6M: academic use by the person who accepted its licence; neither the data nor what is "
    "derived from them may be passed on"
)
ACKNOWLEDGEMENT = (
    "Ionescu, Papava, Olaru, Sminchisescu: Human3.6M, IEEE TPAMI 36(7), 2014; "
    "Ionescu, Li, Sminchisescu: Latent structured models for human pose estimation, ICCV 2011"
)


def recording_name(text: str, place: str) -> str:
    """Return the name of a recording in the form used by most files: `SittingDown 1`, `Photo`.

    Args:
        text: name in a file, possibly with underscores or an alternative name used for S1.
        place: name of the file, for messages.

    Raises:
        InputError: the name is not one of the 15 actions.
    """
    match = re.fullmatch(r"([A-Za-z]+)(?: (\d+))?", text.replace("_", " "))
    # Match whole words: `Sitting` is a prefix of `SittingDown`, `Walking` of `WalkingDog`.
    action = RENAMED.get(match[1], match[1]) if match else ""
    if match is None or action not in ACTIONS:
        raise InputError(
            place,
            f"{text!r} is not a recording of Human3.6M",
            "actions are " + ", ".join(ACTIONS),
        )
    return action + (f" {match[2]}" if match[2] else "")


def action_of(recording: str) -> str:
    """Return the action of a recording."""
    return recording.split(" ", 1)[0]


def split_of(subject: str, *, train_on_s8: bool) -> Split:
    """Return the split of a subject."""
    split = next(name for name, subjects in SPLIT_SUBJECTS.items() if subject in subjects)
    return "train" if train_on_s8 and split == "validation" else split


def order_of(subject: str, recording: str) -> tuple[int, str]:
    """Return the key that sorts recordings by subject, then by name."""
    return SUBJECTS.index(subject), recording


def count_notes(counts: Mapping[Split, int], fps: float) -> list[str]:
    """Return notes that compare the numbers of poses with the published ones."""
    if fps != FPS:
        return [f"{fps:g} frames per second: published counts are for {FPS:g}"]
    groups = {
        "train": counts.get("train", 0) + counts.get("validation", 0),
        "test": counts.get("test", 0),
    }
    return [_count_note(name, count) for name, count in groups.items()]


def _count_note(group: str, count: int) -> str:
    published = PUBLISHED_COUNTS[group]
    splits = "train and validation" if group == "train" else group
    nearest = min(published, key=lambda number: abs(number - count))
    if nearest == count:
        return f"{splits}: {count} poses, the published count ({published[nearest]})"
    return (
        f"{splits}: {count} poses, {abs(count - nearest)} {'more' if count > nearest else 'fewer'} "
        f"than the nearest published count, {nearest} ({published[nearest]})"
    )
