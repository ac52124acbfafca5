"""Views of a pose store: their content, and that trials share one copy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from synrep.config import DataConfig
from synrep.datasets import open_poses
from synrep.datasets.cameras import place_in_rig, virtual_rig
from synrep.datasets.store.store import PoseStore
from synrep.datasets.views import load_views
from synrep.errors import InputError


def test_views_are_every_pose_before_every_camera() -> None:
    """The first view is the first pose before the first camera, recomputed by hand."""
    poses = open_poses("synthetic").read("validation")
    views = load_views(DataConfig(), "validation")
    assert len(views) == 4 * len(poses)
    clip = poses.clip == poses.clip[0]
    placed = place_in_rig(poses.joints_mm[clip].astype(np.float64), 0)[0]
    camera = virtual_rig(4, 0)[0]
    mm = camera.to_camera(placed)
    pixels = camera.project(mm)
    spread = np.linalg.norm((pixels - pixels[0])[1:], axis=1).mean()
    np.testing.assert_allclose(views.keypoints[0], (pixels - pixels[0]) / spread, atol=1e-5)
    made = views.poses[0] * views.scale_mm[0]
    np.testing.assert_allclose(made, mm - mm[0], atol=0.05)


def test_two_openings_share_one_copy() -> None:
    """Two processes map the tensors from the same file."""
    views = load_views(DataConfig(), "train")
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("needs /proc to see memory maps")
    assert ".arrow" in maps.read_text()
    address = views.poses.data_ptr()
    line = next(
        line
        for line in maps.read_text().splitlines()
        if int(line.split("-")[0], 16) <= address < int(line.split("-")[1].split()[0], 16)
    )
    assert line.endswith(".arrow")
    script = (
        "from synrep.config import DataConfig; from synrep.datasets.views import load_views;"
        "v = load_views(DataConfig(), 'train'); v.poses.sum();"
        "print([l.split()[-1] for l in open('/proc/self/maps') if '.arrow' in l][0])"
    )
    other = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert other.stdout.strip() == line.split()[-1]


def test_noise_is_in_pixels_seeded_and_kept_from_the_critic() -> None:
    """The same seed gives the same noise; the critic's real 2D poses stay clean (row 25)."""
    clean = load_views(DataConfig(), "validation")
    noisy = load_views(DataConfig(noise_px=10.0), "validation")
    again = load_views(DataConfig(noise_px=10.0), "validation")
    other = load_views(DataConfig(noise_px=10.0, noise_seed=1), "validation")
    assert torch.equal(noisy.keypoints, again.keypoints)
    assert not torch.equal(noisy.keypoints, other.keypoints)
    assert torch.equal(noisy.real_keypoints, clean.keypoints)
    detected = load_views(DataConfig(noise_px=10.0, real_2d="detected"), "validation")
    assert torch.equal(detected.real_keypoints, detected.keypoints)


def test_orthographic_input_is_x_and_y() -> None:
    """For debugging: the 2D input equals the normalised pose, so perfect depth has no error."""
    views = load_views(DataConfig(input_2d="orthographic"), "validation")
    torch.testing.assert_close(views.keypoints, views.poses[..., :2])


def test_stride_and_subset_choose_evenly() -> None:
    """A stride of 5 keeps about a fifth; a subset is the same every time."""
    full = load_views(DataConfig(), "validation")
    fifth = load_views(DataConfig(test_stride=5), "validation")
    assert len(fifth) == pytest.approx(len(full) / 5, rel=0.02)
    some = full.evenly_spaced(100)
    assert len(some) == 100
    assert torch.equal(some.poses, full.evenly_spaced(100).poses)


def test_sixteen_joints_leave_out_the_nose() -> None:
    """The sizes of poses are those of the joints that are there."""
    views = load_views(DataConfig(joints=16), "validation")
    assert views.poses.shape[1:] == (16, 3)
    assert views.keypoints.norm(dim=-1)[:, 1:].mean(-1).allclose(torch.ones(len(views)), atol=1e-4)


def test_subject_in_two_splits_is_refused(tmp_path: Path) -> None:
    """Nobody who is scored may be trained on, also in a store that was made elsewhere."""
    source = open_poses("synthetic")
    folder = tmp_path / "store"
    shutil.copytree(source.folder, folder)
    shutil.copy(folder / "train.parquet", folder / "test.parquet")
    header = json.loads((folder / "store.json").read_text())
    for part in ("splits", "sha256"):
        header[part]["test"] = header[part]["train"]
    (folder / "store.json").write_text(json.dumps(header))
    config = DataConfig(poses=str(folder))
    assert len(load_views(config, "validation")) > 0
    with pytest.raises(InputError, match="subject 'actor01' is in train and test"):
        load_views(config, "test")


def test_the_cache_holds_everything_and_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store's name can't lead out of the cache, and damaged views are computed again."""
    folder = tmp_path / "store"
    shutil.copytree(open_poses("synthetic").folder, folder)
    header = json.loads((folder / "store.json").read_text()) | {"name": "../../outside"}
    (folder / "store.json").write_text(json.dumps(header))
    monkeypatch.setenv("SYNREP_CACHE", str(tmp_path / "cache"))
    config = DataConfig(poses=str(folder))
    made = load_views(config, "validation").poses.clone()
    (path,) = tmp_path.rglob("*.arrow")
    assert path.parent == tmp_path / "cache" / "views"
    for content in (b"", path.read_bytes()[:5000]):
        path.unlink()
        path.write_bytes(content)
        assert torch.equal(load_views(config, "validation").poses, made)


def test_stride_without_frames_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that start at 1 have no multiple of a long stride."""
    monkeypatch.setenv("SYNREP_CACHE", str(tmp_path))
    read = PoseStore.read
    monkeypatch.setattr(
        PoseStore, "read", lambda store, split: read(store, split).take(slice(1, 9))
    )
    with pytest.raises(InputError, match="no frame of 'test' is a multiple of 100"):
        load_views(DataConfig(test_stride=100), "test")


def test_missing_store_is_one_clear_error(tmp_path: Path) -> None:
    """The message names the folder."""
    with pytest.raises(InputError, match=str(tmp_path / "nowhere")):
        load_views(DataConfig(poses=str(tmp_path / "nowhere")), "train")


@pytest.mark.skipif("SYNREP_DATA" not in os.environ, reason="SYNREP_DATA names no real poses")
def test_real_poses_have_the_known_floor() -> None:
    """Perfect depths leave the error of weak perspective: 10 to 25 mm on real motion."""
    views = load_views(DataConfig(poses=os.environ["SYNREP_DATA"]), "validation")
    error = (views.keypoints - views.poses[..., :2]).norm(dim=-1).mean(-1) * views.scale_mm
    assert 10 < float(error.mean()) < 25
