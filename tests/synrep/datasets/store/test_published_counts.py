"""Comparison of stores of published data sets with the published counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from synrep.datasets.human36m import protocol
from synrep.datasets.mpi_inf_3dhp.published import CAMERAS, FRAMES, VALID_FRAMES
from synrep.datasets.mpi_inf_3dhp.reading import ACKNOWLEDGEMENT
from synrep.datasets.store.header import Description
from synrep.datasets.store.poses import Poses
from synrep.datasets.store.published_counts import compare

if TYPE_CHECKING:
    from synrep.datasets.store.checks import Check
    from synrep.datasets.store.header import Split


def poses_of(clips: dict[str, int], fps: float) -> Poses:
    """Return clips of the given numbers of zero poses; the subject is the part before the slash."""
    names = np.repeat(np.array(list(clips)), list(clips.values()))
    subjects = np.array([name.partition("/")[0] for name in clips])
    return Poses(
        joints_mm=np.zeros((len(names), 17, 3), np.float32),
        subject=np.repeat(subjects, list(clips.values())),
        action=names,
        clip=names,
        frame=np.zeros(len(names), np.int32),
        fps=fps,
    )


def checked(name: str, acknowledgement: str, splits: dict[Split, Poses]) -> list[Check]:
    """Outcome of the comparison."""
    fps = next(iter(splits.values())).fps
    about = Description(
        name=name,
        skeleton="human36m-17",
        frame="camera",
        up="-y",
        fps=fps,
        licence="",
        acknowledgement=acknowledgement,
    )
    return list(compare(splits, about, "store"))


def human36m(fps: float = 10.0) -> dict[str, int]:
    """Return two poses per recording, subject and camera; S11 as published."""
    clips = {
        f"{subject}/{action}{take}.{camera}": 2
        for subject in protocol.SUBJECTS
        for action in protocol.ACTIONS
        for take in ("", " 1")
        for camera in protocol.CAMERAS
    }
    del clips["S11/Directions.54138969"]
    return clips


def test_all_recordings_of_human36m() -> None:
    """At another frame rate the totals are not comparable, but all recordings are there."""
    (check,) = checked("human36m", "", {"train": poses_of(human36m(), 10.0)})
    assert check.status == "passed", check
    assert "published counts are for 50" in check.detail


@pytest.mark.parametrize(
    ("clip", "count", "message"),
    [
        ("S5/Photo 1", None, "subject S5 has 29 recordings of 30"),
        ("S9/Eating.55011271", None, "recording S9/Eating lacks camera 55011271"),
        ("S1/Waiting.60457274", 1, "clip S1/Waiting.60457274 has fewer poses"),
    ],
)
def test_missing_parts_of_human36m_are_named(clip: str, count: int | None, message: str) -> None:
    """A recording, a camera of one, or a part of a clip."""
    clips = human36m()
    for name in [name for name in clips if name.startswith(clip)]:
        if count is None:
            del clips[name]
        else:
            clips[name] = count
    (check,) = checked("human36m", "", {"train": poses_of(clips, 10.0)})
    assert check.status == "warning"
    assert message in check.detail


def test_totals_of_human36m_at_50_frames() -> None:
    """How far they are from the published numbers."""
    (check,) = checked("human36m", "", {"test": poses_of(human36m(), 50.0)})
    assert check.status == "warning"
    assert "fewer than the nearest published count" in check.detail


def mpi() -> dict[Split, dict[str, int]]:
    """All sequences before two cameras at 25 frames per second, and the valid test frames."""
    train = {
        f"{name}/cam{camera}": len(range(0, frames, fps // 25))
        for name, (frames, fps) in FRAMES.items()
        for camera in CAMERAS["chest-5"][:2]
    }
    return {"train": train, "test": dict(VALID_FRAMES)}


def test_counts_of_mpi_inf_3dhp() -> None:
    """Complete stores pass; a missing sequence or a truncated clip is named."""
    clips = mpi()
    (check,) = checked(
        "mine", ACKNOWLEDGEMENT, {name: poses_of(part, 25.0) for name, part in clips.items()}
    )
    assert check.status == "passed", check
    del clips["test"]["TS5"]
    clips["train"]["S3/Seq1/cam0"] -= 7
    (check,) = checked(
        "mine", ACKNOWLEDGEMENT, {name: poses_of(part, 25.0) for name, part in clips.items()}
    )
    assert check.status == "warning"
    assert "sequence TS5 is missing" in check.detail
    assert "clip S3/Seq1/cam0 has 6237 poses, published are 6244" in check.detail


def test_other_poses_have_no_published_counts() -> None:
    """Nothing is compared."""
    assert checked("cmu", "", {"train": poses_of({"a/1": 3}, 25.0)}) == []
