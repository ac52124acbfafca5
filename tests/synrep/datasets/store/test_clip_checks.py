"""`synrep data verify` on one damaged subject or clip: each fault is one sentence that names it."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner, Result

from synrep.cli.data import data
from synrep.datasets.cameras import place_in_rig, virtual_rig
from synrep.datasets.store import clip_checks
from synrep.datasets.store.header import Description, Intrinsics
from synrep.datasets.store.store import PoseStore, write_store
from synrep.datasets.store.table import to_table
from synrep.datasets.synthetic.generate import description, generate
from synrep.model.losses import angle_loss
from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.datasets.store.poses import Poses

    Change = Callable[[NDArray[np.float32]], NDArray[np.float32]]

OTHER_SIDE = [0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13]


def swap(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Left and right exchanged."""
    return points[:, OTHER_SIDE]


@pytest.fixture(scope="module")
def world() -> Poses:
    """Training people of the built-in motion: 8 subjects, 10 clips each, 24 poses a clip."""
    return generate(0, 1.0)["train"]


@pytest.fixture(scope="module")
def seen(world: Poses) -> tuple[Description, Poses]:
    """The same before one camera that has its projections as 2D joints."""
    lens = virtual_rig(1, 0)[0]
    joints = world.joints_mm.astype(np.float64)
    for clip in np.unique(world.clip):
        rows = world.clip == clip
        joints[rows] = place_in_rig(joints[rows], root=0)
    camera_mm = lens.to_camera(joints)
    numbers = {
        name: tuple(getattr(lens, name).tolist())
        for name in ("focal_px", "centre_px", "radial", "tangential")
    }
    about = description().model_copy(
        update={"frame": "camera", "up": "-y", "cameras": {"front": Intrinsics(**numbers)}}
    )
    return about, dataclasses.replace(
        world,
        joints_mm=camera_mm.astype(np.float32),
        camera=np.full(len(world), "front"),
        keypoints_px=lens.project(camera_mm).astype(np.float32),
    )


def damaged(poses: Poses, rows: NDArray[np.bool_], **changes: Change) -> Poses:
    """Poses of which some columns are changed in some rows."""
    columns = {name: getattr(poses, name).copy() for name in changes}
    for name, change in changes.items():
        columns[name][rows] = change(columns[name][rows])
    return dataclasses.replace(poses, **columns)


def verify(folder: Path, about: Description, good: Poses, bad: Poses) -> Result:
    """Run `synrep data verify` on a store that was altered after it was written."""
    store = write_store(folder, about, {"train": good})
    sink = io.BytesIO()
    pq.write_table(to_table(bad, about), sink)
    store.path("train").write_bytes(sink.getvalue())
    header = json.loads((folder / "store.json").read_text())
    header["sha256"]["train"] = hashlib.sha256(sink.getvalue()).hexdigest()
    (folder / "store.json").write_text(json.dumps(header))
    return CliRunner().invoke(data, ["verify", str(folder)])


def faults(result: Result) -> list[str]:
    """Lines of checks that did not pass."""
    return [line for line in result.output.splitlines() if line.startswith(("failed", "warning"))]


def upside_down(joints: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turned half around the x axis."""
    return joints * np.array([1, -1, -1], np.float32)


def mirrored(joints: NDArray[np.float32]) -> NDArray[np.float32]:
    """One axis with the wrong sign."""
    return joints * np.array([-1, 1, 1], np.float32)


CLIP, SUBJECT = "actor03_walk", "actor03"
WORLD_FAULTS: dict[str, tuple[str, Change, str]] = {
    "sides of a clip": ("clip", swap, f"failed  train.parquet: sides: clip {CLIP}: bent knees"),
    "sign of an axis": ("subject", mirrored, f"L_angle: L_angle of subject {SUBJECT} is"),
    "up and down": ("subject", upside_down, f"upright: subject {SUBJECT} is upside down"),
    "metres": ("subject", lambda mm: 0.001 * mm, f"sizes: subject {SUBJECT}: 0."),
    "another person": ("clip", lambda mm: 1.3 * mm, f"sizes: clip {CLIP} of subject {SUBJECT}"),
}


@pytest.mark.parametrize("fault", WORLD_FAULTS)
def test_one_damaged_subject_or_clip_is_named(fault: str, world: Poses, tmp_path: Path) -> None:
    """A fault in a small part of the split, which no mean of the split shows, is found."""
    field, change, message = WORLD_FAULTS[fault]
    rows = getattr(world, field) == {"clip": CLIP, "subject": SUBJECT}[field]
    bad = damaged(world, rows, joints_mm=change)
    result = verify(tmp_path / "store", description(), world, bad)
    assert result.exit_code == 1, result.output
    assert [line for line in faults(result) if line.startswith("failed") and message in line]


def test_a_clip_of_somewhat_other_size_is_a_warning(world: Poses, tmp_path: Path) -> None:
    """A tenth more can be how the source estimates joints."""
    bad = damaged(world, world.clip == CLIP, joints_mm=lambda mm: 1.1 * mm)
    result = verify(tmp_path / "store", description(), world, bad)
    assert result.exit_code == 0, result.output
    assert [
        line for line in faults(result) if f"clip {CLIP} of subject {SUBJECT}: its bones" in line
    ]


KEYPOINT_FAULTS: dict[str, tuple[Change, int, str]] = {
    "sides of the 2D joints": (
        swap,
        1,
        f"clip {CLIP}: left and right of its 2D joints are swapped",
    ),
    "other frames": (lambda px: px + 3, 0, f"clip {CLIP}: its poses project 4.2 px off"),
    "another image": (lambda px: 0.5 * px, 1, f"clip {CLIP}: its poses project"),
}


@pytest.mark.parametrize("fault", KEYPOINT_FAULTS)
def test_2d_joints_that_are_not_the_projected_poses(
    fault: str, seen: tuple[Description, Poses], tmp_path: Path
) -> None:
    """Where the others are, to within a pixel."""
    about, poses = seen
    change, code, message = KEYPOINT_FAULTS[fault]
    bad = damaged(poses, poses.clip == CLIP, keypoints_px=change)
    result = verify(tmp_path / "store", about, poses, bad)
    assert result.exit_code == code, result.output
    assert len(faults(result)) == 1
    assert f"reprojection: {message}" in faults(result)[0]


def test_depths_with_the_wrong_sign_are_told(
    seen: tuple[Description, Poses], tmp_path: Path
) -> None:
    """Depths toward the camera in one clip; in all of the store every check of sides fails."""
    about, poses = seen

    def toward(joints: NDArray[np.float32]) -> NDArray[np.float32]:
        flat = joints.copy()
        flat[..., 2] = 2 * joints[:, :1, 2] - joints[..., 2]
        return flat

    bad = damaged(poses, poses.clip == CLIP, joints_mm=toward)
    result = verify(tmp_path / "clip", about, poses, bad)
    assert result.exit_code == 1
    assert f"sides: clip {CLIP}" in result.output
    every = damaged(poses, np.full(len(poses), fill_value=True), joints_mm=toward)
    result = verify(tmp_path / "all", about, poses, every)
    told = [line.split(": ")[1] for line in faults(result) if line.startswith("failed")]
    assert set(told) >= {"knees", "nose", "L_angle", "sides"}


def test_a_detectors_joints_are_no_fault(seen: tuple[Description, Poses], tmp_path: Path) -> None:
    """Keypoints of a detector deviate everywhere, which is reported without a warning."""
    about, poses = seen
    noise = np.random.default_rng(0).normal(0, 6, (len(poses), 17, 2)).astype(np.float32)
    assert poses.keypoints_px is not None
    noisy = dataclasses.replace(poses, keypoints_px=poses.keypoints_px + noise)
    outcomes = write_store(tmp_path / "store", about, {"train": noisy}).verify()
    assert {check.status for check in outcomes} == {"passed"}
    assert "2D joints of a detector" in next(c.detail for c in outcomes if c.name == "reprojection")


def test_angle_is_that_of_the_loss(seen: tuple[Description, Poses]) -> None:
    """On upright poses before a level camera it is the loss's value."""
    about, poses = seen
    turned = damaged(poses, poses.subject == SUBJECT, joints_mm=swap)
    finding = clip_checks.facing(turned, about)
    assert finding is not None
    joints = turned.joints_mm[turned.subject == SUBJECT].astype(np.float64)
    body = joints[:, 10] - joints[:, 0]
    upright = -body[:, 1] / np.linalg.norm(body, axis=1) > clip_checks.UPRIGHT
    loss = float(angle_loss(torch.tensor(joints[upright]), HUMAN36M_17))
    assert f"L_angle of subject {SUBJECT} is {loss:.2f}" in finding.detail


@pytest.fixture(scope="module")
def real_poses() -> PoseStore:
    """The real poses that SYNREP_DATA names."""
    folder = os.environ.get("SYNREP_DATA")
    if not folder:
        pytest.skip("SYNREP_DATA names no pose store of real motion")
    return PoseStore.open(folder)


def test_real_clips_are_told_from_swapped_ones(real_poses: PoseStore) -> None:
    """No clip of real motion fails; with left and right swapped, each one does."""
    poses = real_poses.read("test")
    swapped = dataclasses.replace(poses, joints_mm=swap(poses.joints_mm))
    for clip in np.unique(poses.clip):
        rows = poses.clip == clip
        assert clip_checks.sides(poses.take(rows), real_poses.header).status == "passed"
        assert clip_checks.sides(swapped.take(rows), real_poses.header).status == "failed"


def test_checks_pass_on_poses_without_a_nose(seen: tuple[Description, Poses]) -> None:
    """L_angle has no meaning there and is left out; the rest is looked at."""
    about, poses = seen
    keep = [joint for joint in range(17) if HUMAN36M_17.joints[joint] != "Nose"]
    assert poses.keypoints_px is not None
    without: Any = dataclasses.replace(
        poses, joints_mm=poses.joints_mm[:, keep], keypoints_px=poses.keypoints_px[:, keep]
    )
    about = about.model_copy(update={"skeleton": "human36m-16"})
    found = {name: check(without, about) for name, check in clip_checks.CHECKS.items()}
    assert found.pop("L_angle") is None
    assert {finding.status for finding in found.values() if finding} == {"passed"}
