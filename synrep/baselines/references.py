"""What the numbers of a data set mean: errors of predictors that know too little or too much.

Axes: V views, J joints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from synrep.baselines.config import UNUSED, SupervisedConfig
from synrep.baselines.predict import predict_poses
from synrep.baselines.supervised import SupervisedTraining
from synrep.config import DataConfig

if TYPE_CHECKING:
    from synrep.config import TrainConfig
    from synrep.datasets.views import Views


def mean_depth(train: Views, views: Views) -> Tensor:
    """Poses (V, J, 3) in radii with the mean training depth of each joint: nothing learnt."""
    depths = train.poses[..., 2].mean(0).expand(len(views), -1)
    return torch.cat([views.keypoints, depths[..., None]], dim=-1)


def perfect_depth(views: Views) -> Tensor:
    """Poses (V, J, 3) in radii with true depths: the floor of the weak lift, which copies x, y."""
    return torch.cat([views.keypoints, views.poses[..., 2:]], dim=-1)


def supervised(config: TrainConfig, views: Views) -> Tensor:
    """Poses (V, J, 3) in radii of the same generator trained on paired depths, equally long."""
    plain = DataConfig()
    training = SupervisedTraining(
        SupervisedConfig(
            seed=config.seed,
            iterations=config.iterations,
            reports=1,
            batch_size=config.batch_size,
            generator=config.generator,
            data=config.data.model_copy(update={name: getattr(plain, name) for name in UNUSED}),
        )
    )
    training.advance()
    return predict_poses(training, views)
