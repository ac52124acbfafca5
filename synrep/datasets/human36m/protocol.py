"""Facts of Human3.6M that its layouts share: people, actions, cameras, joints, splits, counts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from synrep.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synrep.datasets.store.header import Split

FPS = 50.0
"""Frames per second of the recordings."""
SPLIT_SUBJECTS: dict[Split, tuple[str, ...]] = {
    "train": ("S1", "S5", "S6", "S7"),
    "validation": ("S8",),
    "test": ("S9", "S11"),
}
"""Who is in which split: S8 chooses the generator, never S9 or S11 (row 33)."""
SUBJECTS = tuple(subject for subjects in SPLIT_SUBJECTS.values() for subject in subjects)
"""The seven people whose poses are published."""
ACTIONS = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases",
    "Sitting", "SittingDown", "Smoking", "Waiting", "WalkDog", "Walking", "WalkTogether",
)  # fmt: skip
"""What is done; each person does each twice."""
RENAMED = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}
"""Names in S1's official files, and those in all others."""
CAMERAS = ("54138969", "55011271", "58860488", "60457274")
"""Names of the four cameras, in the order of every file that only counts them."""
IMAGE_PX = {
    "54138969": (1000, 1002),
    "55011271": (1000, 1000),
    "58860488": (1000, 1000),
    "60457274": (1000, 1002),
}
"""Width and height of the images of each camera."""
JOINTS_OF_32 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""The 17 joints among the 32 of the recordings, in the order of `HUMAN36M_17`."""
DAMAGED = {("S9", "Greeting"), ("S9", "SittingDown 1"), ("S9", "Waiting 1")}
"""Recordings whose poses are shifted against the images; they count in published results."""
PUBLISHED_COUNTS = {
    "train": {1_559_752: "S1, S5, S6, S7 and S8"},
    "test": {
        550_644: "all of S9 and S11",
        548_819: "without S11 Directions before camera 54138969, whose video is damaged",
        543_344: "without S11 Directions, as in VideoPose3D",
    },
}
"""Poses at 50 frames per second, over all cameras."""
LICENCE = (
    "Human3.6M: academic use by the person who accepted its licence; neither the data nor what is "
    "derived from them may be passed on"
)
ACKNOWLEDGEMENT = (
    "Ionescu, Papava, Olaru, Sminchisescu: Human3.6M, IEEE TPAMI 36(7), 2014; "
    "Ionescu, Li, Sminchisescu: Latent structured models for human pose estimation, ICCV 2011"
)


def recording_name(text: str, place: str) -> str:
    """The name of a recording as most files have it: `SittingDown 1`, `Photo`.

    Args:
        text: as in a file, perhaps with underscores or S1's own names.
        place: the file, for messages.

    Raises:
        InputError: it names none of the 15 actions.
    """
    found = re.fullmatch(r"([A-Za-z]+)(?: (\d+))?", text.replace("_", " "))
    # The whole word decides: `Sitting` also begins `SittingDown`, `Walking` also `WalkingDog`.
    action = RENAMED.get(found[1], found[1]) if found else ""
    if found is None or action not in ACTIONS:
        raise InputError(
            place, f"{text!r} is no recording of Human3.6M", "actions are " + ", ".join(ACTIONS)
        )
    return action + (f" {found[2]}" if found[2] else "")


def action_of(recording: str) -> str:
    """The action of a recording."""
    return recording.split(" ", 1)[0]


def split_of(subject: str, *, train_on_s8: bool) -> Split:
    """The split of a subject."""
    split = next(name for name, subjects in SPLIT_SUBJECTS.items() if subject in subjects)
    return "train" if train_on_s8 and split == "validation" else split


def order_of(subject: str, recording: str) -> tuple[int, str]:
    """Sorts recordings by subject, then by name."""
    return SUBJECTS.index(subject), recording


def count_notes(counts: Mapping[Split, int], fps: float) -> list[str]:
    """How the numbers of poses compare with those that papers state."""
    if fps != FPS:
        return [f"{fps:g} frames per second: published counts are of {FPS:g}"]
    groups = {
        "train": counts.get("train", 0) + counts.get("validation", 0),
        "test": counts.get("test", 0),
    }
    return [_count_note(name, count) for name, count in groups.items()]


def _count_note(group: str, count: int) -> str:
    known = PUBLISHED_COUNTS[group]
    people = "train and validation" if group == "train" else group
    nearest = min(known, key=lambda number: abs(number - count))
    if nearest == count:
        return f"{people}: {count} poses, the published count ({known[nearest]})"
    return (
        f"{people}: {count} poses, {abs(count - nearest)} {'more' if count > nearest else 'fewer'} "
        f"than the nearest published count, {nearest} ({known[nearest]})"
    )
