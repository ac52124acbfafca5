"""Predictions of trained baselines, as input for `synrep.evaluation.tables.score`.

Axes: V views, J joints.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from synrep.baselines.config import AnyBaseline, KudoConfig, RepNetConfig, SupervisedConfig
from synrep.baselines.kudo import KudoGenerator
from synrep.baselines.repnet import RepNetGenerator
from synrep.errors import InputError
from synrep.evaluation.tables import predict
from synrep.model.networks import Generator
from synrep.training.checkpoint import TrainingState

if TYPE_CHECKING:
    from synrep.datasets.views import Views
    from synrep.training.loop import Training

CONFIGS: dict[str, type[AnyBaseline]] = {
    "repnet": RepNetConfig,
    "kudo": KudoConfig,
    "supervised": SupervisedConfig,
}


def predict_poses(source: Training | TrainingState, views: Views) -> Tensor:
    """Predict poses (V, J, 3) in radii in the camera frame with the best generator.

    Args:
        source: training of a baseline, or its state. If the state has no best generator, the
            current one is used.
        views: views to lift, with the skeleton of the training.

    Raises:
        InputError: the state does not belong to a baseline, or has another number of joints.
    """
    saved = source if isinstance(source, TrainingState) else source.state()
    generator = _generator(saved.meta["config"], len(views.skeleton))
    prefix = "best.generator." if saved.meta["best"] else "generator."
    weights = {
        name.removeprefix(prefix): torch.tensor(array, device=views.poses.device)
        for name, array in saved.arrays.items()
        if name.startswith(prefix)
    }
    # Converted as a whole, so that the weights keep the precision they were trained in.
    dtype = next(value.dtype for value in weights.values() if value.is_floating_point())
    generator.to(views.poses.device, dtype)
    generator.load_state_dict(weights)
    return predict(cast("Generator", generator), views)


def _generator(content: dict[str, object], joints: int) -> nn.Module:
    """Build an untrained generator from the configuration in a state."""
    name = content.get("baseline")
    if name not in CONFIGS:
        names = ", ".join(CONFIGS)
        raise InputError("checkpoint", "does not belong to a baseline", f"baselines are {names}")
    config = CONFIGS[str(name)].model_validate_json(json.dumps(content))
    if config.data.joints != joints:
        raise InputError("checkpoint", f"has {config.data.joints} joints, the views have {joints}")
    if isinstance(config, RepNetConfig):
        return RepNetGenerator(config, joints)
    if isinstance(config, KudoConfig):
        return KudoGenerator(config, joints)
    return Generator(config.generator, joints)
