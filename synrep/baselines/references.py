"""Reference predictors, whose errors put the model's errors on a data set into context.

Axes: V views, J joints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from synrep.baselines.config import UNUSED_DATA_FIELDS, SupervisedConfig
from synrep.baselines.predict import predict_poses
from synrep.baselines.supervised import SupervisedTraining
from synrep.config import DataConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from synrep.config import TrainConfig
    from synrep.datasets.views import Views


def mean_depth(train: Views, views: Views) -> Tensor:
    """Predict poses (V, J, 3) in radii with the mean training depth of each joint."""
    depths = train.poses[..., 2].mean(0).expand(len(views), -1)
    return torch.cat([views.keypoints, depths[..., None]], dim=-1)


def perfect_depth(views: Views) -> Tensor:
    """Return poses (V, J, 3) in radii with true depths: the lower bound of the weak lift."""
    return torch.cat([views.keypoints, views.poses[..., 2:]], dim=-1)


def supervised(
    config: TrainConfig, views: Views, on_iteration: Callable[[int], None] = lambda _done: None
) -> Tensor:
    """Train the same generator on paired depths, for as many updates, and predict (V, J, 3).

    Args:
        config: configuration of the model; its poses are trained on.
        views: views to lift.
        on_iteration: called before each iteration with the number of those done.
    """
    defaults = DataConfig()
    training = SupervisedTraining(
        SupervisedConfig(
            seed=config.seed,
            iterations=config.iterations,
            reports=1,
            batch_size=config.batch_size,
            generator=config.generator,
            data=config.data.model_copy(
                update={name: getattr(defaults, name) for name in UNUSED_DATA_FIELDS}
            ),
        )
    )

    def watch() -> bool:
        on_iteration(training.iteration)
        return False

    training.advance(watch)
    return predict_poses(training, views)
