"""Figures 5 and 6 of the paper: predictions of the model for a few 2D poses."""

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
    """Draw four actions of the test subjects: 2D input, prediction and ground truth, two views.

    Args:
        trained: the trained generator.
        poses: folder of the pose store.
        out: folder to write `figure5.png` to.

    Returns:
        The path of the image.

    Raises:
        InputError: the poses can't be used.
    """
    views = load_views(trained.config.data.model_copy(update={"poses": poses}), "test")
    actions = sorted(set(views.action.tolist()))
    chosen = [actions[i] for i in torch.linspace(0, len(actions) - 1, ROWS).round().int().tolist()]
    rows_of = [torch.nonzero(views.action == action)[:, 0] for action in dict.fromkeys(chosen)]
    shown = views.select(torch.stack([rows[len(rows) // 2] for rows in rows_of]))
    scale = trained.config.evaluation.scale
    predicted = to_mm(predict(trained.network(), shown), shown, scale, trained.body)
    scene = Scene(
        skeleton=shown.skeleton,
        keypoints=shown.keypoints.numpy(),
        predicted=predicted.numpy(),
        true=(shown.poses * shown.scale_mm[:, None, None]).numpy(),
        frames=range(len(shown)),
        names=[views.actions[index] for index in shown.action.tolist()],
        keypoint_units="radii",
        note=f"test subjects; {SCALES[scale]}",
    )
    return _write(scene, out / "figure5.png")


def figure6(trained: Lifter, keypoints: Path, out: Path) -> Path:
    """Draw four 2D poses without 3D ground truth: the input, and the prediction in two views.

    Args:
        trained: the trained generator.
        keypoints: file of 2D poses, e.g. as `synrep data prepare mpii` writes it.
        out: folder to write `figure6.png` to.

    Returns:
        The path of the image.

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
