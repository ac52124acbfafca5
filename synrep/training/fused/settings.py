"""Members of a fused training, and their individual settings as tensors.

Axes: K members.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from synrep.training.fused.features import Features, GeneralFeatures, GramFeatures
from synrep.training.fused.networks import DropoutMasks, LeakyRelu
from synrep.training.fused.stack import zero_to_inf
from synrep.training.protocol import Best
from synrep.training.random_streams import RandomStreams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synrep.config import TrainConfig
    from synrep.datasets.origin import Origin
    from synrep.model.kcs import WeightedKcs
    from synrep.model.networks import Generator
    from synrep.skeleton import Skeleton
    from synrep.training.protocol import Goal


@dataclass(kw_only=True)
class Member:
    """One training of a fused training.

    Attributes:
        config: configuration of this training.
        kcs: module of its weighted kinematic chain space (wKCS).
        generator: module that receives its weights when it is scored.
        iteration: number of iterations done.
        best: best report so far.
        goal: what the best report is the best by.
        origin: the poses that it has trained on; None if they are unknown.
        last_report: iteration of the last report.
        streams: random streams of everything but dropout.
        masks: random streams of dropout.
    """

    config: TrainConfig
    kcs: WeightedKcs
    generator: Generator
    goal: Goal
    origin: Origin | None
    iteration: int = 0
    best: Best = field(default_factory=Best)
    last_report: int = 0
    streams: RandomStreams = field(init=False)
    masks: RandomStreams = field(init=False)

    def __post_init__(self) -> None:
        device = self.kcs.weights.device
        self.streams = RandomStreams(self.config.seed, device)
        self.masks = RandomStreams(self.config.seed, device)


class MemberSettings:
    """Settings that differ between members, as tensors that broadcast over the stacks.

    Args:
        members: the K members.
        skeleton: skeleton of the poses.
        template: tensor with the device and dtype of the stacks.

    Attributes:
        activation: leaky ReLU of all networks.
        masks: dropout masks; None if no member uses dropout.
        features: wKCS features of the critics.
        lambda_angle: weight of L_angle (K,).
        lambda_reprojection: weight of the reprojection loss (K,); None if 0 for all members.
        gp_weight: weight of the gradient penalty (K, 1).
        distance: distance of the root from the camera in radii (K, 1, 1, 1).
        clip: bound on the absolute critic weights (K, 1).
        max_norms: bounds on gradient norms (K, 1); None if no member has one.
        ema_update: weight of the current generator in the moving average, 1 - ema (K, 1); None
            if no member has a moving average.
    """

    def __init__(self, members: Sequence[Member], skeleton: Skeleton, template: Tensor) -> None:
        configs = [member.config for member in members]
        shared = configs[0]

        def column(*values: float) -> Tensor:
            return template.new_tensor(values)[:, None]

        self.activation = LeakyRelu([config.generator.slope for config in configs])
        rates = [config.generator.dropout for config in configs]
        self.masks = DropoutMasks(rates, template) if any(rates) else None
        weights = torch.stack([member.kcs.weights for member in members]).to(template)
        kcs = members[0].kcs
        self.features: Features
        if shared.kcs.cosine or shared.critic.gp_inputs == "pose+features":
            self.features = GeneralFeatures(kcs, weights)
        else:
            self.features = GramFeatures(skeleton, kcs.kept, weights)
        self.lambda_angle = column(*(config.loss.lambda_angle for config in configs))[:, 0]
        lambdas = [config.loss.lambda_reprojection for config in configs]
        self.lambda_reprojection = column(*lambdas)[:, 0] if any(lambdas) else None
        self.gp_weight = column(*(config.critic.gp_weight for config in configs))
        self.distance = column(*(config.generator.distance for config in configs))[..., None, None]
        self.clip = column(*(config.critic.clip for config in configs))
        max_norms = [config.optim.clip_grad_norm for config in configs]
        self.max_norms = column(*zero_to_inf(max_norms)) if any(max_norms) else None
        decays = [config.optim.ema for config in configs]
        self.ema_update = column(*(1 - decay for decay in decays)) if any(decays) else None
