"""Figures 5 and 6 of the paper: what the model makes of a few 2D poses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from synrep.config import SCALES
from synrep.datasets.views import load_views
from synrep.errors import InputError
from synrep.evaluation.tables import predict, to_mm
from synrep.inference.keypoints.keypoints import read_keypoints
from synrep.inference.lift import lift
from synrep.storage import Storage
from synrep.viz.plots import ROWS, Scene, draw

if TYPE_CHECKING:
    from pathlib import Path

    from synrep.inference.lifter import Lifter


@torch.no_grad()
def figure5(trained: Lifter, poses: str, out: Path) -> Path:
    """Four actions of the test subjects: 2D input, prediction and truth from two sides.

    Args:
        trained: the generator.
        poses: folder of the pose store.
        out: folder of the picture.

    Raises:
        InputError: the poses can't be used.
    """
    views = load_views(trained.config.data.model_copy(update={"poses": poses}), "test")
    there = sorted(set(views.action.tolist()))
    chosen = [there[at] for at in torch.linspace(0, len(there) - 1, ROWS).round().int().tolist()]
    found = [torch.nonzero(views.action == action)[:, 0] for action in dict.fromkeys(chosen)]
    some = views.select(torch.stack([rows[len(rows) // 2] for rows in found]))
    scale = trained.config.evaluation.scale
    made = to_mm(predict(trained.network(), some), some, scale, trained.body)
    scene = Scene(
        skeleton=some.skeleton,
        keypoints=some.keypoints.numpy(),
        predicted=made.numpy(),
        true=(some.poses * some.scale_mm[:, None, None]).numpy(),
        frames=range(len(some)),
        names=[views.actions[index] for index in some.action.tolist()],
        keypoint_units="radii",
        note=f"test subjects; {SCALES[scale]}",
    )
    return _write(scene, out / "figure5.png")


def figure6(trained: Lifter, keypoints: Path, out: Path) -> Path:
    """Four people of whom only 2D poses are known: the input, and the prediction from two sides.

    Args:
        trained: the generator.
        keypoints: file of 2D poses, such as `synrep data prepare mpii` writes.
        out: folder of the picture.

    Raises:
        InputError: the keypoints can't be used, or no pose is complete.
    """
    lifted = lift(trained, read_keypoints(keypoints, None), skip_missing_joints=True)
    count = len(lifted.poses)
    if not count:
        raise InputError(str(keypoints), "no pose has all joints")
    rows = sorted(set(torch.linspace(0, count - 1, ROWS).round().int().tolist()))
    scene = Scene(
        skeleton=lifted.skeleton,
        keypoints=lifted.keypoints_px[rows],
        predicted=lifted.poses[rows],
        frames=[lifted.frames[row] for row in rows],
        units=lifted.units,
        note=f"scale: {lifted.scale}",
    )
    return _write(scene, out / "figure6.png")


def _write(scene: Scene, path: Path) -> Path:
    Storage.at(path.parent).write(path.name, draw(scene))
    return path
