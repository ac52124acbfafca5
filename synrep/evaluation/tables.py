"""From predictions to the numbers of a table: errors for each action and their averages.

Axes: V views, J joints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from synrep.evaluation import metrics, pck
from synrep.model.kcs import bone_lengths
from synrep.model.losses import facing_sine

if TYPE_CHECKING:
    from synrep.config import EvaluationConfig
    from synrep.datasets.views import Views
    from synrep.model.networks import Generator
    from synrep.skeleton import Skeleton

CHUNK = 8192
"""Views scored at once: bounds memory, not the result."""


@dataclass(frozen=True, kw_only=True)
class BodyScale:
    """Sizes of the training poses, for scales that use no truth of the test frame (row 3).

    Attributes:
        bone_length_sum_mm: mean over the training poses of the sum of their bone lengths.
        scale_mm: mean of what their 3D poses were divided by.
    """

    bone_length_sum_mm: float
    scale_mm: float

    @classmethod
    def of(cls, views: Views) -> BodyScale:
        """Measured on an evenly spaced subset of the training views."""
        some = views.evenly_spaced(20_000)
        lengths = bone_lengths(some.poses.double(), some.skeleton).sum(-1) * some.scale_mm
        return cls(
            bone_length_sum_mm=float(lengths.mean()), scale_mm=float(some.scale_mm.double().mean())
        )

    def bone_scale(self, poses: Tensor, skeleton: Skeleton) -> Tensor:
        """Factors (V,) by which the bones of poses (V, J, 3) add up to those of training poses."""
        return self.bone_length_sum_mm / bone_lengths(poses, skeleton).sum(-1).clamp_min(1e-6)


@torch.no_grad()
def predict(generator: Generator, views: Views) -> Tensor:
    """Poses (V, J, 3) in radii that the generator makes of the views' 2D poses."""
    was_training = generator.training
    generator.eval()
    parts = [
        generator.lift(views.keypoints[start : start + CHUNK], views.ray[start : start + CHUNK])
        for start in range(0, len(views), CHUNK)
    ]
    generator.train(was_training)
    return torch.cat(parts)


def to_mm(predicted: Tensor, views: Views, scale: str, body: BodyScale) -> Tensor:
    """Millimetres (V, J, 3) from radii by a scale mode of `EvaluationConfig.scale`."""
    if scale == "constant":
        return predicted * body.scale_mm
    if scale == "bone_length":
        return predicted * body.bone_scale(predicted, views.skeleton)[:, None, None]
    true_scale = predicted * views.scale_mm[:, None, None]
    if scale == "nmpjpe":
        return metrics.best_scaled(true_scale, views.poses * views.scale_mm[:, None, None])
    return true_scale


def errors(
    predicted: Tensor, views: Views, config: EvaluationConfig, body: BodyScale
) -> dict[str, Tensor]:
    """All errors, (V,) each, of predictions (V, J, 3) in radii."""
    true = views.poses * views.scale_mm[:, None, None]
    made = to_mm(predicted, views, config.scale, body)
    return {
        "mpjpe_mm": metrics.mpjpe(made, true),
        "p_mpjpe_mm": metrics.p_mpjpe(made, true, scale=config.alignment == "similarity"),
        "n_mpjpe_mm": metrics.n_mpjpe(made, true),
        "z_mm": metrics.z_error(made, true),
        "only_z_mm": metrics.only_z(made, true),
        "flipped": metrics.flipped(made, true),
        "backwards": (facing_sine(predicted, views.skeleton) < 0).to(predicted),
    }


def table(values: dict[str, Tensor], views: Views) -> dict[str, dict[str, float]]:
    """Mean of each error for each action, their plain mean, and the mean over all frames."""
    rows = {}
    for index, action in enumerate(views.actions):
        chosen = views.action == index
        if bool(chosen.any()):
            rows[action] = {name: float(value[chosen].mean()) for name, value in values.items()}
    per_action = list(rows.values())
    rows["mean of actions"] = {
        name: sum(row[name] for row in per_action) / len(per_action) for name in values
    }
    rows["mean of frames"] = {name: float(value.mean()) for name, value in values.items()}
    return rows


def score(
    predicted: Tensor, views: Views, config: EvaluationConfig, body: BodyScale
) -> dict[str, Any]:
    """The table of predictions (V, J, 3) in radii, with everything that qualifies its numbers.

    It adds `rigid_mpjpe_mm`, P2 by an alignment without scale, whatever the configuration's (row
    34); and `pck` and `auc` in percent by the official rule of MPI-INF-3DHP
    (`synrep.evaluation.pck`).
    """
    true = views.poses * views.scale_mm[:, None, None]
    made = to_mm(predicted, views, config.scale, body)
    values = errors(predicted, views, config, body)
    values["rigid_mpjpe_mm"] = metrics.p_mpjpe(made, true, scale=False)
    distances = pck.joint_errors_mm(made, true, views.skeleton.joints)
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
    """How many views have all joints in one point, in 2D or in 3D: they have no size, but count."""
    sizes = (views.keypoints.abs().amax((1, 2)), views.poses.abs().amax((1, 2)))
    return int(((sizes[0] == 0) | (sizes[1] == 0)).sum())
