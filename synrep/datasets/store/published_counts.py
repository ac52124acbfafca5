"""Compare the number of poses in a store with the published counts of its data set.

A difference yields a warning, not a failure: recordings can be left out on purpose, but results on
other frames can't be compared with published ones.
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
"""Number of differences that are listed; the others are counted."""


def is_mpi_inf_3dhp(about: Description) -> bool:
    """Return whether a store is of MPI-INF-3DHP, by the acknowledgement that its reader writes."""
    return about.acknowledgement.startswith("Mehta et al., Monocular 3D Human Pose Estimation")


def compare(splits: Mapping[Split, Poses], about: Description, place: str) -> Iterator[Check]:
    """Yield one check for a store of Human3.6M or MPI-INF-3DHP, none for others."""
    if not splits:
        return
    if about.name == "human36m":
        from synrep.datasets.human36m import protocol  # noqa: PLC0415 - its package imports stores

        yield _check(place, protocol.count_notes(_counts(splits), about.fps), _human36m(splits))
    elif is_mpi_inf_3dhp(about):
        yield _check(place, [f"{sum(_counts(splits).values())} poses"], _mpi_inf_3dhp(splits))


def _check(place: str, notes: list[str], missing: list[str]) -> Check:
    differences = missing or [note for note in notes if "than the nearest" in note]
    shown = missing[:SHOWN]
    more = [f"and {len(missing) - SHOWN} more"] if len(missing) > SHOWN else []
    return Check(
        place=place,
        name="published counts",
        status="warning" if differences else "passed",
        detail="; ".join([*notes, *shown, *more]),
        remedy="report it with your results, or add the missing files" if differences else "",
    )


def _counts(splits: Mapping[Split, Poses]) -> dict[Split, int]:
    return {split: len(poses) for split, poses in splits.items()}


def _clips(splits: Mapping[Split, Poses]) -> dict[str, int]:
    """Return the number of poses of each clip."""
    counts: Counter[str] = Counter()
    for poses in splits.values():
        names, numbers = np.unique(poses.clip, return_counts=True)
        counts.update(dict(zip(names.tolist(), numbers.tolist(), strict=True)))
    return dict(counts)


def _human36m(splits: Mapping[Split, Poses]) -> list[str]:
    """List subjects with missing recordings, and recordings whose cameras differ in frames.

    S11's Directions has no video from the first camera, and some copies of the data set lack that
    recording entirely.
    """
    from synrep.datasets.human36m import protocol  # noqa: PLC0415 - its package imports stores

    views: dict[str, dict[str, int]] = {}
    for clip, count in _clips(splits).items():
        recording, _, camera = clip.rpartition(".")
        views.setdefault(recording, {})[camera] = count
    counts_by_subject = Counter(recording.partition("/")[0] for recording in views)
    recordings = 2 * len(protocol.ACTIONS)
    differences = [
        f"subject {subject} has {counts_by_subject[subject]} recordings of {recordings}"
        for subject in protocol.SUBJECTS
        if counts_by_subject[subject] < recordings - (subject == "S11")
    ]
    for recording, counts in views.items():
        missing = sorted(set(protocol.CAMERAS) - set(counts))
        if missing and recording != "S11/Directions":
            differences.append(f"recording {recording} lacks camera {missing[0]}")
        if len(set(counts.values())) > 1:
            camera = min(counts, key=lambda name: counts[name])
            differences.append(f"clip {recording}.{camera} has fewer poses than its other cameras")
    return differences


def _mpi_inf_3dhp(splits: Mapping[Split, Poses]) -> list[str]:
    """List missing sequences, and clips whose number of frames differs from the published one."""
    expected = {
        name: -(-frames // (fps // FPS)) for name, (frames, fps) in FRAMES.items()
    } | VALID_FRAMES
    clips = _clips(splits)
    sequences = {clip: clip.partition("/cam")[0] for clip in clips}
    present = set(sequences.values())
    required = [name for name in expected if name in VALID_FRAMES or set(splits) - {"test"}]
    missing = [f"sequence {name} is missing" for name in required if name not in present]
    return missing + [
        f"clip {clip} has {count} poses, published are {expected[sequences[clip]]}"
        for clip, count in clips.items()
        if count != expected.get(sequences[clip], count)
    ]
