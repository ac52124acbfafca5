"""One synchronous iteration of K trainings at once, with the formulas of `synrep.training.step`.

What is left to autograd are the few operations between networks and losses, which both share.
Axes: K members, B batch, J joints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from synrep.model.losses import angle_loss, norm_penalty, reprojection_distance
from synrep.model.networks import lift_depths
from synrep.training.fused.critic import CriticInputs, StackedCritic
from synrep.training.fused.members import Members
from synrep.training.fused.networks import StackedNetwork
from synrep.training.step import learning_rates

if TYPE_CHECKING:
    from synrep.config import TrainConfig
    from synrep.datasets.views import Views
    from synrep.training.fused.settings import Member
    from synrep.training.loop import TrainingData


class FusedGan(Members):
    """Generators, reprojection networks and critics of K trainings.

    Args:
        config: of any of them; they agree in all that `synrep.training.fused.fusion_key` names.
        training_data: the views they share.
    """

    def __init__(self, config: TrainConfig, training_data: TrainingData) -> None:
        super().__init__(config, training_data)
        normed = config.generator.batch_norm
        self._generator = StackedNetwork(
            self.stacks["generator"], blocks=config.generator.blocks, normed=normed
        )
        self._reprojection = StackedNetwork(
            self.stacks["reprojection"], blocks=config.reprojection_network.blocks, normed=normed
        )
        self._critic = StackedCritic(self.stacks["critic"], config.critic)

    @torch.no_grad()
    def iterate(self) -> None:
        """One iteration of every member; see `synrep.training.step.Gan.iterate`."""
        config, steps = self.config, self.config.critic.steps
        self._rates = [learning_rates(m.config, m.iteration) for m in self.members]
        for index in range(steps):
            self._fake(index)
            self._real(index)
            self._update_critic(index)
        self._update_generator()
        if config.reprojection == "separate":
            self._update_reprojection()
        if self.settings.replace is not None:
            self._update_average(self.settings.replace)
        for member in self.members:
            member.iteration += 1

    def _step(self, member: Member, index: int) -> int:
        return member.iteration * self.config.critic.steps + index

    def _batch(self, stream: str, index: int, views: Views) -> Tensor:
        """Positions (K * B,) of each member's batch."""
        size, total = self.config.batch_size, len(views)
        return torch.cat(
            [m.streams.batch(stream, self._step(m, index), size, total) for m in self.members]
        )

    def _pick(self, column: Tensor, chosen: Tensor) -> Tensor:
        """Rows of a column of the views as (K, B, ...)."""
        picked = column.index_select(0, chosen)
        return picked.view(len(self.members), -1, *column.shape[1:])

    def _fake(self, index: int) -> None:
        """Lift a batch; what the critic sees of it is left in `_poses` and `_points`."""
        inputs, settings = self.training_data.inputs, self.settings
        if settings.masks is not None:
            settings.masks.generators = [
                m.masks.at("dropout", self._step(m, index)) for m in self.members
            ]
        chosen = self._batch("input", index, inputs)
        self._keypoints = self._pick(inputs.keypoints, chosen)
        raw = self._generator.forward(
            self._keypoints.flatten(2), settings.activation, settings.masks
        )
        distance, ray = None, None
        if self.config.generator.lift == "perspective":
            distance, ray = settings.distance, self._pick(inputs.ray, chosen)
        with torch.enable_grad():
            self._raw_depths = raw.requires_grad_()
            depths = raw - raw[..., :1]
            self._poses = lift_depths(depths, self._keypoints, ray, distance)
        self._points = self._keypoints
        if self.config.reprojection != "none":
            self._raw_points, self._points = self._reproject(self._poses.detach())

    def _reproject(self, poses: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (K, B, 2J) of the reprojection networks, and 2D poses (K, B, J, 2) of them."""
        raw = self._reprojection.forward(
            poses.flatten(2), self.settings.activation, self.settings.masks
        )
        with torch.enable_grad():
            raw.requires_grad_()
            points = raw.view(*raw.shape[:2], -1, 2)
            return raw, points - points[..., :1, :]

    def _real(self, index: int) -> None:
        reals = self.training_data.reals
        chosen = self._batch("real", index, reals)
        paired = self.config.data.pair_real
        seen = chosen if paired else self._batch("real_2d", index, reals)
        self._real_poses = self._pick(reals.poses, chosen)
        self._real_points = self._pick(reals.real_keypoints, seen)

    def _update_critic(self, index: int) -> None:
        config, batch = self.config.critic, self.config.batch_size
        penalised = config.lipschitz == "gradient_penalty"
        seen = self._samples(index, mixed=penalised)
        scores = self._critic.forward(seen, self.settings.features, self.settings.activation)
        gap = scores[:, :batch].mean(1) - scores[:, batch : 2 * batch].mean(1)
        slope = torch.ones_like(scores)
        slope[:, :batch], slope[:, batch : 2 * batch] = 1 / batch, -1 / batch
        self._critic.backward(slope)
        if penalised:
            self._add("gradient_penalty", self._penalise(seen) / config.steps)
        self._add("critic_loss", gap / config.steps)
        self._critic.gradients(slice(2 * batch))
        self._critic.release()
        self._descend("critic")
        if config.lipschitz == "weight_clipping":
            bound = self.settings.clip
            self.stacks["critic"].rows.clamp_(-bound, bound)

    def _samples(self, index: int, *, mixed: bool) -> CriticInputs:
        """Fake, real and, if asked for, interpolated samples, in this order along N."""
        fake = (self._poses.detach().flatten(2), self._points.detach().flatten(2))
        real = (self._real_poses.flatten(2), self._real_points.flatten(2))
        both = [torch.cat(pair, 1) for pair in zip(fake, real, strict=True)]
        if not mixed:
            return CriticInputs(both[0], both[1], self.settings.features.values(both[0]))
        mix = self._mix(index)
        poses, keypoints = (
            torch.cat([pair, f.lerp(r, mix)], 1)
            for pair, f, r in zip(both, fake, real, strict=True)
        )
        if self.config.critic.gp_inputs == "pose":
            return CriticInputs(poses, keypoints, self.settings.features.values(poses))
        features = self.settings.features.values(both[0])
        f, r = features.chunk(2, 1)
        return CriticInputs(poses, keypoints, torch.cat([features, f.lerp(r, mix)], 1))

    def _mix(self, index: int) -> Tensor:
        """Interpolation (K, B, 1) of each slice: 1 takes the real sample, 0 the fake one."""
        shape, dtype = (self.config.batch_size, 1), self.like.dtype
        return torch.stack(
            [m.streams.uniform("mix", self._step(m, index), shape, dtype) for m in self.members]
        )

    def _penalise(self, seen: CriticInputs) -> Tensor:
        """Prepare the gradients of the penalty (K,) on the interpolated samples; return it."""
        rows = slice(2 * self.config.batch_size, None)
        features, poses = self.settings.features, seen.poses[:, rows]
        found = self._critic.inputs(rows)
        separate = self.config.critic.gp_inputs == "pose+features"
        if not separate:
            found.poses += features.vjp(poses, found.features)
        parts = [found.poses, found.keypoints] + ([found.features] if separate else [])
        squared = torch.cat(parts, 2).square().sum(2)
        with torch.enable_grad():
            penalty = norm_penalty(squared.requires_grad_())
            (slope,) = torch.autograd.grad(penalty.sum(), squared)
        factor = (2 * self.settings.penalty * slope)[..., None]
        direction = CriticInputs(
            found.poses * factor, found.keypoints * factor, found.features * factor
        )
        if not separate:
            direction.features = features.jvp(poses, direction.poses)
        self._critic.jvp(direction, rows)
        return penalty.detach()

    def _update_generator(self) -> None:
        config, settings = self.config, self.settings
        poses = self._poses.detach().flatten(2)
        seen = CriticInputs(
            poses, self._points.detach().flatten(2), settings.features.values(poses)
        )
        scores = self._critic.forward(seen, settings.features, settings.activation)
        self._critic.backward(torch.full_like(scores, -1 / config.batch_size))
        wanted = self._critic.inputs(slice(None))
        self._critic.release()
        of_poses = settings.features.vjp(poses, wanted.features).add_(wanted.poses)
        with torch.enable_grad():
            angle = angle_loss(self._poses, self.skeleton, config.loss.angle_norm)
        with torch.set_grad_enabled(settings.reprojection is not None):
            distance = reprojection_distance(self._points, self._keypoints)
        if config.reprojection != "none":
            of_poses += self._through_reprojection(wanted.keypoints, distance)
        (of_depths,) = torch.autograd.grad(
            [self._poses, angle], self._raw_depths, [of_poses.view_as(self._poses), settings.angle]
        )
        self._generator.backward(of_depths, inputs=False)
        self._descend("generator")
        if config.reprojection == "sync":
            self._descend("reprojection")
        self._add("generator_loss", -scores.mean(1))
        self._add("angle_loss", angle.detach())
        self._add("reprojection_radii", distance.detach())

    def _through_reprojection(self, of_points: Tensor, distance: Tensor) -> Tensor:
        """The gradient (K, B, 3J) of poses from that of the 2D poses made of them."""
        outputs, slopes = [self._points], [of_points.view_as(self._points)]
        if self.settings.reprojection is not None:
            outputs.append(distance)
            slopes.append(self.settings.reprojection)
        (slope,) = torch.autograd.grad(outputs, self._raw_points, slopes)
        return self._reprojection.backward(slope, weights=self.config.reprojection == "sync")

    def _update_reprojection(self) -> None:
        raw, points = self._reproject(self._real_poses)
        with torch.enable_grad():
            loss = (points - self._real_points).square().mean((1, 2, 3))
            (slope,) = torch.autograd.grad(loss.sum(), raw)
        self._reprojection.backward(slope, inputs=False)
        self._descend("reprojection")

    def _descend(self, name: str) -> None:
        bounds = self.settings.bounds if name != "critic" else None
        self.stacks[name].descend([rates[name] for rates in self._rates], bounds)

    def _update_average(self, replace: Tensor) -> None:
        self.average.follow(self.stacks["generator"], replace)

    def _add(self, name: str, value: Tensor) -> None:
        self.sums[name] = self.sums[name] + value if name in self.sums else value
