"""Split poses by subject, so that no subject is in two splits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synrep.datasets.store.header import SPLITS
from synrep.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synrep.datasets.store.header import Split
    from synrep.datasets.store.poses import Poses


def split_by_subject(poses: Poses, chosen: Mapping[Split, Sequence[str]]) -> dict[Split, Poses]:
    """Return the poses of the subjects chosen for each split; other subjects are left out.

    Raises:
        InputError: a subject is unknown or in two splits, or a split is empty.
    """
    subjects = sorted(set(poses.subject.tolist()))
    split_of: dict[str, Split] = {}
    for split in SPLITS:
        if not chosen.get(split):
            raise InputError(
                f"--{split}",
                "no subjects",
                f"name some of {', '.join(subjects)}, or leave all three options out",
            )
        for subject in chosen[split]:
            if subject not in subjects:
                raise InputError(
                    f"--{split}", f"no subject {subject!r}", "there are " + ", ".join(subjects)
                )
            if split_of.setdefault(subject, split) != split:
                raise InputError(
                    f"--{split}",
                    f"subject {subject!r} is also in {split_of[subject]}",
                    "choose one split",
                )
    return {
        split: poses.take(np.isin(poses.subject, np.array(chosen[split], np.str_)))
        for split in SPLITS
    }


def draw_subjects(poses: Poses, seed: int) -> dict[Split, list[str]]:
    """Assign subjects to splits at random: a sixth each to validation and test, at least one.

    Raises:
        InputError: there are fewer than three subjects.
    """
    subjects = sorted(set(poses.subject.tolist()))
    if len(subjects) < 3:
        raise InputError(
            "subjects",
            f"{len(subjects)} subjects can't be split into train, validation and test",
            "check the pattern of --path, or add people",
        )
    order = np.random.default_rng(seed).permutation(len(subjects))
    shuffled = [subjects[index] for index in order]
    held_out = max(1, round(len(subjects) / 6))
    return {
        "train": sorted(shuffled[2 * held_out :]),
        "validation": sorted(shuffled[:held_out]),
        "test": sorted(shuffled[held_out : 2 * held_out]),
    }
