"""The members of a fused training, and what differs between them as tensors.

Axes: K members.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from synrep.training.fused.features import Features, GeneralFeatures, GramFeatures
from synrep.training.fused.networks import DropoutMasks, LeakyRelu
from synrep.training.fused.stack import unbounded
from synrep.training.protocol import Best
from synrep.training.random_streams import RandomStreams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synrep.config import TrainConfig
    from synrep.model.kcs import WeightedKcs
    from synrep.model.networks import Generator
    from synrep.skeleton import Skeleton


@dataclass(kw_only=True)
class Member:
    """One slice: a training among others.

    Attributes:
        config: of this training.
        kcs: its weighted kinematic chain space.
        generator: holds its weights when it is scored.
        iteration: updates done.
        best: the best report so far.
        since: iteration of the last report.
        streams: of its random numbers.
        masks: of its dropout.
    """

    config: TrainConfig
    kcs: WeightedKcs
    generator: Generator
    iteration: int = 0
    best: Best = field(default_factory=Best)
    since: int = 0
    streams: RandomStreams = field(init=False)
    masks: RandomStreams = field(init=False)

    def __post_init__(self) -> None:
        device = self.kcs.weights.device
        self.streams = RandomStreams(self.config.seed, device)
        self.masks = RandomStreams(self.config.seed, device)


class MemberSettings:
    """What differs between members, as tensors that broadcast over a stack.

    Args:
        members: K of them.
        skeleton: of the poses.
        like: gives device and type.

    Attributes:
        activation: the activation.
        masks: of dropout; None if no member has any.
        features: what critics see of the bones.
        angle: lambda_angle (K,).
        reprojection: lambda_reprojection (K,); None if it is 0 everywhere.
        penalty: weight of the gradient penalty (K, 1).
        distance: of the root from the camera (K, 1, 1, 1).
        clip: bound on critic weights (K, 1).
        bounds: on gradient norms (K, 1); None if no member has one.
        replace: part of the moving average that a step replaces (K, 1); None without averages.
    """

    def __init__(self, members: Sequence[Member], skeleton: Skeleton, like: Tensor) -> None:
        configs = [member.config for member in members]
        shared = configs[0]

        def column(*values: float) -> Tensor:
            return like.new_tensor(values)[:, None]

        self.activation = LeakyRelu([config.generator.slope for config in configs])
        rates = [config.generator.dropout for config in configs]
        self.masks = DropoutMasks(rates, like) if any(rates) else None
        weights = torch.stack([member.kcs.weights for member in members]).to(like)
        kcs = members[0].kcs
        self.features: Features
        if shared.kcs.cosine or shared.critic.gp_inputs == "pose+features":
            self.features = GeneralFeatures(kcs, weights)
        else:
            self.features = GramFeatures(skeleton, kcs.kept, weights)
        self.angle = column(*(config.loss.lambda_angle for config in configs))[:, 0]
        distances = [config.loss.lambda_reprojection for config in configs]
        self.reprojection = column(*distances)[:, 0] if any(distances) else None
        self.penalty = column(*(config.critic.gp_weight for config in configs))
        self.distance = column(*(config.generator.distance for config in configs))[..., None, None]
        self.clip = column(*(config.critic.clip for config in configs))
        bounds = [config.optim.clip_grad_norm for config in configs]
        self.bounds = column(*unbounded(bounds)) if any(bounds) else None
        averages = [config.optim.ema for config in configs]
        self.replace = column(*(1 - keep for keep in averages)) if any(averages) else None
