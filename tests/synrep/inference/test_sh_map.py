"""`data.sh_map` maps joints when keypoints are lifted; a store's own were mapped before."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from synrep.config import DataConfig, EvaluationConfig, GeneratorConfig, TrainConfig
from synrep.datasets.cameras import place_in_rig, virtual_rig
from synrep.datasets.store.header import Intrinsics
from synrep.datasets.store.store import write_store
from synrep.datasets.synthetic.generate import description, generate
from synrep.errors import InputError
from synrep.training.loop import Training

if TYPE_CHECKING:
    from pathlib import Path

SMALL: dict[str, Any] = {
    "iterations": 1,
    "reports": 1,
    "batch_size": 8,
    "generator": GeneratorConfig(width=16),
    "evaluation": EvaluationConfig(views=50),
}


@pytest.mark.parametrize("keypoints", [True, False])
def test_it_is_refused_where_it_does_nothing(tmp_path: Path, *, keypoints: bool) -> None:
    """On a store with 2D joints; one without is trained on, and the setting kept for lifting."""
    lens = virtual_rig(1, 0)[0]
    names = ("focal_px", "centre_px", "radial", "tangential")
    numbers = {name: tuple(getattr(lens, name).tolist()) for name in names}
    cameras = {"front": Intrinsics(**numbers)}
    about = description().model_copy(update={"frame": "camera", "up": "-y", "cameras": cameras})
    splits = generate(0, 1.0)
    for split, poses in splits.items():
        joints = poses.joints_mm.astype(np.float64)
        for clip in np.unique(poses.clip):
            rows = poses.clip == clip
            joints[rows] = place_in_rig(joints[rows], root=0)
        seen = lens.to_camera(joints)
        splits[split] = dataclasses.replace(
            poses,
            joints_mm=seen.astype(np.float32),
            camera=np.full(len(poses), "front"),
            keypoints_px=lens.project(seen).astype(np.float32) if keypoints else None,
        )
    write_store(tmp_path / "seen", about, splits)
    plain = DataConfig(poses=str(tmp_path / "seen"))
    assert Training(TrainConfig(data=plain, **SMALL), threads=1).training_data.held_out
    mapped = TrainConfig(data=plain.model_copy(update={"sh_map": "martinez"}), **SMALL)
    if keypoints:
        with pytest.raises(InputError, match=r"data.sh_map: has no effect here"):
            Training(mapped, threads=1)
    else:
        Training(mapped, threads=1)
