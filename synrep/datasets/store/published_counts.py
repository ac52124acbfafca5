"""Whether a store of a published data set has as many poses as the data set is said to have.

A difference is no fault: recordings can be left out on purpose. It is told, since results on other
frames are other results.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from synrep.datasets.mpi_inf_3dhp.published import FPS, FRAMES, VALID_FRAMES
from synrep.datasets.store.checks import Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from synrep.datasets.store.header import Description, Split
    from synrep.datasets.store.poses import Poses

SHOWN = 3
"""Differences that are named one by one."""


def is_mpi_inf_3dhp(about: Description) -> bool:
    """Whether poses are of MPI-INF-3DHP, by what its reader writes for any name and licence."""
    return about.acknowledgement.startswith("Mehta et al., Monocular 3D Human Pose Estimation")


def compare(splits: Mapping[Split, Poses], about: Description, place: str) -> Iterator[Check]:
    """One check for a store of Human3.6M or MPI-INF-3DHP, none for others."""
    if not splits:
        return
    if about.name == "human36m":
        from synrep.datasets.human36m import protocol  # noqa: PLC0415 - its package imports stores

        yield _check(place, protocol.count_notes(_counts(splits), about.fps), _human36m(splits))
    elif is_mpi_inf_3dhp(about):
        yield _check(place, [f"{sum(_counts(splits).values())} poses"], _mpi_inf_3dhp(splits))


def _check(place: str, notes: list[str], missing: list[str]) -> Check:
    different = missing or [note for note in notes if "than the nearest" in note]
    shown = missing[:SHOWN]
    more = [f"and {len(missing) - SHOWN} more"] if len(missing) > SHOWN else []
    return Check(
        place=place,
        name="published counts",
        status="warning" if different else "passed",
        detail="; ".join([*notes, *shown, *more]),
        remedy="state it beside your results, or add the missing files" if different else "",
    )


def _counts(splits: Mapping[Split, Poses]) -> dict[Split, int]:
    return {split: len(poses) for split, poses in splits.items()}


def _clips(splits: Mapping[Split, Poses]) -> dict[str, int]:
    """Poses of each clip."""
    counts: Counter[str] = Counter()
    for poses in splits.values():
        names, numbers = np.unique(poses.clip, return_counts=True)
        counts.update(dict(zip(names.tolist(), numbers.tolist(), strict=True)))
    return dict(counts)


def _human36m(splits: Mapping[Split, Poses]) -> list[str]:
    """People without all recordings, and recordings whose cameras have different frames.

    S11 has no video of Directions from the first camera, and some have none of all four.
    """
    from synrep.datasets.human36m import protocol  # noqa: PLC0415 - its package imports stores

    views: dict[str, dict[str, int]] = {}
    for clip, count in _clips(splits).items():
        recording, _, camera = clip.rpartition(".")
        views.setdefault(recording, {})[camera] = count
    people = Counter(recording.partition("/")[0] for recording in views)
    recordings = 2 * len(protocol.ACTIONS)
    found = [
        f"subject {subject} has {people[subject]} recordings of {recordings}"
        for subject in protocol.SUBJECTS
        if people[subject] < recordings - (subject == "S11")
    ]
    for recording, counts in views.items():
        lacking = sorted(set(protocol.CAMERAS) - set(counts))
        if lacking and recording != "S11/Directions":
            found.append(f"recording {recording} lacks camera {lacking[0]}")
        if len(set(counts.values())) > 1:
            camera = min(counts, key=lambda name: counts[name])
            found.append(f"clip {recording}.{camera} has fewer poses than its other cameras")
    return found


def _mpi_inf_3dhp(splits: Mapping[Split, Poses]) -> list[str]:
    """Sequences that are missing, and clips with other numbers of frames than published."""
    expected = {
        name: -(-frames // (fps // FPS)) for name, (frames, fps) in FRAMES.items()
    } | VALID_FRAMES
    clips = _clips(splits)
    sequences = {clip: clip.partition("/cam")[0] for clip in clips}
    there = set(sequences.values())
    wanted = [name for name in expected if name in VALID_FRAMES or set(splits) - {"test"}]
    found = [f"sequence {name} is missing" for name in wanted if name not in there]
    return found + [
        f"clip {clip} has {count} poses, published are {expected[sequences[clip]]}"
        for clip, count in clips.items()
        if count != expected.get(sequences[clip], count)
    ]
