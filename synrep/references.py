"""What the numbers of a data set mean: errors of predictors that know too little or too much.

Axes: V views, J joints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from synrep.evaluation import predict
from synrep.networks import Dropout, Generator
from synrep.streams import Streams

if TYPE_CHECKING:
    from synrep.config import TrainConfig
    from synrep.views import Views

SUPERVISED_LR = 1e-3
"""Learning rate of the supervised reference: that of Martinez et al."""


def mean_depth(train: Views, views: Views) -> Tensor:
    """Poses (V, J, 3) in radii with the mean training depth of each joint: nothing learnt."""
    depths = train.poses[..., 2].mean(0).expand(len(views), -1)
    return torch.cat([views.keypoints, depths[..., None]], dim=-1)


def perfect_depth(views: Views) -> Tensor:
    """Poses (V, J, 3) in radii with true depths: the floor of the weak lift, which copies x, y."""
    return torch.cat([views.keypoints, views.poses[..., 2:]], dim=-1)


def supervised(config: TrainConfig, train: Views, views: Views) -> Tensor:
    """Poses (V, J, 3) in radii of the same generator trained on paired depths, equally long.

    The learning rate falls linearly to zero: what the architecture can do, not a tuned baseline.
    """
    device = train.poses.device
    streams, masks = Streams(config.seed, device), Streams(config.seed, device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = Generator(config.generator, len(train.skeleton)).to(device)
    dropouts = [module for module in network.modules() if isinstance(module, Dropout)]
    optimiser = torch.optim.Adam(network.parameters(), lr=SUPERVISED_LR, fused=True)
    for step in range(config.iterations):
        optimiser.param_groups[0]["lr"] = SUPERVISED_LR * (1 - step / config.iterations)
        chosen = streams.batch("input", step, config.batch_size, len(train))
        for dropout in dropouts:
            dropout.generator = masks.at("dropout", step)
        loss = functional.mse_loss(network(train.keypoints[chosen]), train.poses[chosen][..., 2])
        weights = list(network.parameters())
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = gradient
        optimiser.step()
    return predict(network, views)
