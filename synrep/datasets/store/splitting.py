"""Splits by subject: no person is seen both in training and in a test."""

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
    """The poses of the subjects chosen for each split; other subjects are left out.

    Raises:
        InputError: a subject is unknown or in two splits, or a split is empty.
    """
    have = sorted(set(poses.subject.tolist()))
    seen: dict[str, Split] = {}
    for split in SPLITS:
        if not chosen.get(split):
            raise InputError(
                f"--{split}", "no subjects", f"name some of {', '.join(have)}, or no split at all"
            )
        for subject in chosen[split]:
            if subject not in have:
                raise InputError(
                    f"--{split}", f"no subject {subject!r}", "there are " + ", ".join(have)
                )
            if seen.setdefault(subject, split) != split:
                raise InputError(
                    f"--{split}", f"subject {subject!r} is also in {seen[subject]}", "choose one"
                )
    return {
        split: poses.take(np.isin(poses.subject, np.array(chosen[split], np.str_)))
        for split in SPLITS
    }


def draw_subjects(poses: Poses, seed: int) -> dict[Split, list[str]]:
    """Subjects for each split at random: a sixth each for validation and test, at least one.

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
    held = max(1, round(len(subjects) / 6))
    return {
        "train": sorted(shuffled[2 * held :]),
        "validation": sorted(shuffled[:held]),
        "test": sorted(shuffled[held : 2 * held]),
    }
