"""The three networks, their optimisers, and one synchronous iteration of all (section 3.6).

Axes: B batch, J joints.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from synrep.model.kcs import WeightedKcs
from synrep.model.losses import angle_loss, critic_gap, gradient_penalty, reprojection_distance
from synrep.model.networks import (
    Critic,
    Dropout,
    Generator,
    ReprojectionNetwork,
    cancelled_biases,
)
from synrep.training.random_streams import RandomStreams, seed_of

if TYPE_CHECKING:
    from synrep.config import TrainConfig
    from synrep.datasets.views import Views
    from synrep.skeleton import Skeleton

REFERENCE = 2000
"""Real poses that fix the scale of the wKCS where `kcs.rescale` asks for one."""

Pair = tuple[Tensor, Tensor]
"""Poses (B, J, 3) and their 2D poses (B, J, 2), in radii: what the critic scores."""


def learning_rates(config: TrainConfig, iteration: int) -> dict[str, float]:
    """Learning rate of each network at an iteration (rows 19, 20)."""
    optim = config.optim
    done = iteration / config.iterations
    factor = {
        "none": 1.0,
        "linear": 1 + (optim.decay_to - 1) * done,
        "exponential": optim.decay_to**done,
    }[optim.decay]
    return {
        "generator": optim.lr_generator * factor,
        "reprojection": optim.lr_reprojection * factor,
        "critic": optim.lr_discriminator * factor,
    }


def build_networks(
    config: TrainConfig, skeleton: Skeleton, reference: Tensor
) -> dict[str, nn.Module]:
    """All networks of a training, by name, with the initial weights of its seed.

    Args:
        config: of the training. 'average' is there only if it has a moving average.
        skeleton: joints of the poses.
        reference: real poses (N, J, 3), on the CPU, for `kcs.rescale`.
    """
    joints, shared = len(skeleton), config.generator
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(config.seed, "weights", 0))
        networks: dict[str, nn.Module] = {
            "generator": Generator(shared, joints),
            "reprojection": ReprojectionNetwork(shared, joints, config.reprojection_network),
        }
        kcs = WeightedKcs(config.kcs, skeleton, reference)
        networks["critic"] = Critic(config.critic, kcs, skeleton, shared)
    if config.optim.ema:
        networks["average"] = copy.deepcopy(networks["generator"])
    return networks


class Gan:
    """Generator, reprojection network and critic, trained together.

    Args:
        config: of the training.
        inputs: views whose 2D poses the generator lifts.
        reals: views whose poses the critic sees as real; the same ones unless data are split.

    Attributes:
        networks: by name; 'average' only with a moving average of the generator.
        optimisers: by name of the network they update.
        sums: losses summed since they were last cleared, left on the device: reading one would
            stop the pipeline.
    """

    def __init__(self, config: TrainConfig, inputs: Views, reals: Views) -> None:
        self.config = config
        self.inputs = inputs
        self.reals = reals
        self.skeleton = inputs.skeleton
        self.sums: dict[str, Tensor] = {}
        device = inputs.poses.device
        self._streams = RandomStreams(config.seed, device)
        self._dropout_stream = RandomStreams(config.seed, device)
        self.networks = build_networks(
            config, self.skeleton, reals.evenly_spaced(REFERENCE).poses.cpu()
        )
        for network in self.networks.values():
            network.to(device, inputs.poses.dtype)
        self.generator = cast("Generator", self.networks["generator"])
        self.reprojection = cast("ReprojectionNetwork", self.networks["reprojection"])
        self.critic = cast("Critic", self.networks["critic"])
        optim = config.optim
        self.optimisers = {
            name: torch.optim.Adam(
                self.networks[name].parameters(),
                lr=rate,
                betas=(optim.beta1, optim.beta2),
                fused=True,
            )
            for name, rate in learning_rates(config, 0).items()
        }
        self._trained = {
            name: [
                weight for weight in network.parameters() if weight not in cancelled_biases(network)
            ]
            for name, network in self.networks.items()
        }
        self._dropouts = [
            module
            for network in (self.generator, self.reprojection)
            for module in network.modules()
            if isinstance(module, Dropout)
        ]

    @property
    def scored(self) -> Generator:
        """The generator that is scored and exported: the moving average if there is one."""
        return cast("Generator", self.networks.get("average", self.generator))

    def iterate(self, iteration: int) -> None:
        """One iteration: the critic's updates, then generator and reprojection network.

        Args:
            iteration: updates done before; it decides batches, noise and learning rates.
        """
        self._schedule(iteration)
        steps = self.config.critic.steps
        for index in range(steps):
            step = iteration * steps + index
            with torch.set_grad_enabled(index == steps - 1):
                keypoints, fake = self._fake(step)
            real = self._real(step)
            self._update_critic(step, real, (fake[0].detach(), fake[1].detach()))
        # The last fake batch serves both sides: the critic saw it without its gradient.
        self._update_generator(keypoints, fake)
        if self.config.reprojection == "separate":
            self._update_reprojection(real)
        if "average" in self.networks:
            self._update_average()

    def _fake(self, step: int) -> tuple[Tensor, Pair]:
        """2D input (B, J, 2), and what the critic sees of it: lifted poses and their 2D poses."""
        chosen = self._batch("input", step, self.inputs)
        keypoints = self.inputs.keypoints[chosen]
        if self._dropouts:
            masks = self._dropout_stream.at("dropout", step)
            for dropout in self._dropouts:
                dropout.generator = masks
        poses = self.generator.lift(keypoints, self.inputs.ray[chosen])
        if self.config.reprojection == "none":
            return keypoints, (poses, keypoints)
        return keypoints, (poses, self.reprojection(poses))

    def _real(self, step: int) -> Pair:
        chosen = self._batch("real", step, self.reals)
        paired = self.config.data.pair_real
        seen = chosen if paired else self._batch("real_2d", step, self.reals)
        return self.reals.poses[chosen], self.reals.real_keypoints[seen]

    def _batch(self, stream: str, step: int, views: Views) -> Tensor:
        return self._streams.batch(stream, step, self.config.batch_size, len(views))

    def _update_critic(self, step: int, real: Pair, fake: Pair) -> None:
        config = self.config.critic
        gap = critic_gap(self.critic, real, fake)
        loss = gap
        if config.lipschitz == "gradient_penalty":
            shape = (len(real[0]), 1, 1)
            mix = self._streams.uniform("mix", step, shape, real[0].dtype)
            penalty = gradient_penalty(self.critic, real, fake, mix, config.gp_inputs)
            loss = gap + config.gp_weight * penalty
            self._add("gradient_penalty", penalty / config.steps)
        self._add("critic_loss", gap / config.steps)
        self._descend(loss, "critic")
        if config.lipschitz == "weight_clipping":
            with torch.no_grad():
                for weight in self.critic.parameters():
                    weight.clamp_(-config.clip, config.clip)

    def _update_generator(self, keypoints: Tensor, fake: Pair) -> None:
        """Equations 10 and 13: both networks climb the critic's score of the same batch."""
        config = self.config
        poses, reprojected = fake
        adversarial = -self.critic(poses, reprojected).mean()
        angle = angle_loss(poses, self.skeleton, config.loss.angle_norm)
        distance = reprojection_distance(reprojected, keypoints)
        loss = adversarial + config.loss.lambda_angle * angle
        if config.loss.lambda_reprojection and config.reprojection != "none":
            loss = loss + config.loss.lambda_reprojection * distance
        together = ["generator", "reprojection"] if config.reprojection == "sync" else ["generator"]
        self._descend(loss, *together)
        self._add("generator_loss", adversarial)
        self._add("angle_loss", angle)
        self._add("reprojection_radii", distance)

    def _update_reprojection(self, real: Pair) -> None:
        """The separate strategy: regression from real 3D to real 2D poses (row 27)."""
        self._descend((self.reprojection(real[0]) - real[1]).square().mean(), "reprojection")

    def _descend(self, loss: Tensor, *names: str) -> None:
        """One step of the named networks; no gradient is computed for any other weight."""
        weights = [weight for name in names for weight in self._trained[name]]
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = gradient
        bound = self.config.optim.clip_grad_norm
        for name in names:
            if bound and name != "critic":
                torch.nn.utils.clip_grad_norm_(self.networks[name].parameters(), bound)
            self.optimisers[name].step()

    def _schedule(self, iteration: int) -> None:
        """Set the learning rates of this iteration (row 20)."""
        if self.config.optim.decay == "none":
            return
        for name, rate in learning_rates(self.config, iteration).items():
            self.optimisers[name].param_groups[0]["lr"] = rate

    @torch.no_grad()
    def _update_average(self) -> None:
        keep = self.config.optim.ema
        current: dict[str, Any] = self.generator.state_dict()
        for name, value in self.networks["average"].state_dict().items():
            if value.is_floating_point():
                value.lerp_(current[name], 1 - keep)
            else:
                value.copy_(current[name])

    def _add(self, name: str, value: Tensor) -> None:
        total = self.sums.get(name)
        self.sums[name] = value.detach() if total is None else total + value.detach()
