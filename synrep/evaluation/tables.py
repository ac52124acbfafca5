"""Evaluation tables: errors of predictions for each action, and their averages.

Axes: V views, J joints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from synrep.datasets.store.published_counts import is_mpi_inf_3dhp
from synrep.evaluation import metrics, pck
from synrep.model.kcs import bone_lengths
from synrep.model.losses import facing_sine

if TYPE_CHECKING:
    from synrep.config import EvaluationConfig
    from synrep.datasets.store.header import Description
    from synrep.datasets.views import Views
    from synrep.model.networks import Generator
    from synrep.skeleton import Skeleton

MEAN_OF_ACTIONS, MEAN_OF_FRAMES = "mean of actions", "mean of frames"
"""Names of the averages in a table."""

CHUNK = 8192
"""Views per forward pass; limits memory and does not change the result."""


@dataclass(frozen=True, kw_only=True)
class BodyScale:
    """Sizes of the training poses, for scale modes that use no ground truth (row 3).

    Attributes:
        bone_length_sum_mm: sum of bone lengths, averaged over the training poses.
        scale_mm: mean normalisation scale of the training poses.
    """

    bone_length_sum_mm: float
    scale_mm: float

    @classmethod
    def of(cls, views: Views) -> BodyScale:
        """Measure the sizes on an evenly spaced subset of the training views."""
        subset = views.evenly_spaced(20_000)
        lengths = bone_lengths(subset.poses.double(), subset.skeleton).sum(-1) * subset.scale_mm
        return cls(
            bone_length_sum_mm=float(lengths.mean()),
            scale_mm=float(subset.scale_mm.double().mean()),
        )

    def bone_scale(self, poses: Tensor, skeleton: Skeleton) -> Tensor:
        """Return factors (V,) that scale poses (V, J, 3) to the training bone length sum."""
        return self.bone_length_sum_mm / bone_lengths(poses, skeleton).sum(-1).clamp_min(1e-6)


@torch.no_grad()
def predict(generator: Generator, views: Views) -> Tensor:
    """Lift the 2D poses of the views with the generator in eval mode; (V, J, 3) in radii."""
    was_training = generator.training
    generator.eval()
    parts = [
        generator.lift(views.keypoints[start : start + CHUNK], views.ray[start : start + CHUNK])
        for start in range(0, len(views), CHUNK)
    ]
    generator.train(was_training)
    return torch.cat(parts)


def to_mm(predicted: Tensor, views: Views, scale: str, body: BodyScale) -> Tensor:
    """Convert predictions (V, J, 3) from radii to millimetres.

    Args:
        predicted: poses in radii.
        views: views that were lifted.
        scale: scale mode, as in `EvaluationConfig.scale`.
        body: sizes of the training poses.
    """
    if scale == "constant":
        return predicted * body.scale_mm
    if scale == "bone_length":
        return predicted * body.bone_scale(predicted, views.skeleton)[:, None, None]
    predicted_mm = predicted * views.scale_mm[:, None, None]
    if scale == "nmpjpe":
        return metrics.align_scale(predicted_mm, views.poses * views.scale_mm[:, None, None])
    return predicted_mm


def errors(
    predicted: Tensor, views: Views, config: EvaluationConfig, body: BodyScale
) -> dict[str, Tensor]:
    """Return all errors of predictions (V, J, 3) in radii, by name; (V,) each."""
    true_mm = views.poses * views.scale_mm[:, None, None]
    predicted_mm = to_mm(predicted, views, config.scale, body)
    return {
        "mpjpe_mm": metrics.mpjpe(predicted_mm, true_mm),
        "p_mpjpe_mm": metrics.p_mpjpe(
            predicted_mm, true_mm, scale=config.alignment == "similarity"
        ),
        "n_mpjpe_mm": metrics.n_mpjpe(predicted_mm, true_mm),
        "z_mm": metrics.z_error(predicted_mm, true_mm),
        "only_z_mm": metrics.only_z(predicted_mm, true_mm),
        "flipped": metrics.flipped(predicted_mm, true_mm),
        "backwards": (facing_sine(predicted, views.skeleton) < 0).to(predicted),
    }


def official_average(about: Description) -> str:
    """Return the row of `table` that counts on a data set.

    MPI-INF-3DHP's official score pools all frames, whatever their activity; elsewhere the mean is
    over actions, as in the literature on Human3.6M.
    """
    return MEAN_OF_FRAMES if is_mpi_inf_3dhp(about) else MEAN_OF_ACTIONS


def table(values: dict[str, Tensor], views: Views) -> dict[str, dict[str, float]]:
    """Average the errors per action, over actions (unweighted) and over all frames.

    Args:
        values: errors by name, (V,) each.
        views: views that the errors belong to.

    Returns:
        Errors by row: one row for each action, 'mean of actions' and 'mean of frames'.
    """
    rows = {}
    for index, action in enumerate(views.actions):
        mask = views.action == index
        if bool(mask.any()):
            rows[action] = {name: float(value[mask].mean()) for name, value in values.items()}
    per_action = list(rows.values())
    rows[MEAN_OF_ACTIONS] = {
        name: sum(row[name] for row in per_action) / len(per_action) for name in values
    }
    rows[MEAN_OF_FRAMES] = {name: float(value.mean()) for name, value in values.items()}
    return rows


def score(
    predicted: Tensor, views: Views, config: EvaluationConfig, body: BodyScale
) -> dict[str, Any]:
    """Return the table of predictions (V, J, 3) in radii and the settings it was computed with.

    Besides the values of `errors`, the table contains `rigid_mpjpe_mm`, P2 with rigid alignment
    whatever the configuration says (row 34), `reflected_mpjpe_mm`, P2 after a similarity that may
    also be a mirror image, as some published code computes it, and `pck` and `auc` in percent by
    the official rule of MPI-INF-3DHP (`synrep.evaluation.pck`).
    """
    true_mm = views.poses * views.scale_mm[:, None, None]
    predicted_mm = to_mm(predicted, views, config.scale, body)
    values = errors(predicted, views, config, body)
    values["rigid_mpjpe_mm"] = metrics.p_mpjpe(predicted_mm, true_mm, scale=False)
    values["reflected_mpjpe_mm"] = metrics.p_mpjpe(predicted_mm, true_mm, reflection=True)
    distances = pck.joint_errors_mm(predicted_mm, true_mm, views.skeleton.joints)
    values |= {"pck": pck.pck(distances), "auc": pck.auc(distances)}
    return {
        "scale": config.scale,
        "alignment": config.alignment,
        "skeleton": views.skeleton.name,
        "views": len(views),
        "damaged_views": damaged(views),
        "errors": table(values, views),
    }


def damaged(views: Views) -> int:
    """Count views whose joints all coincide, in 2D or in 3D; they have no size but are scored."""
    sizes = (views.keypoints.abs().amax((1, 2)), views.poses.abs().amax((1, 2)))
    return int(((sizes[0] == 0) | (sizes[1] == 0)).sum())
