"""One synchronous iteration of all K members, with the formulas of `synrep.training.step`.

Autograd differentiates only the operations between networks and losses, whose code is shared with
single trainings.
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
    """Generators, reprojection networks and critics of K members, trained together.

    Args:
        config: configuration of any member; all have the same `synrep.training.fused.fusion_key`.
        training_data: views that the members share.
    """

    def __init__(self, config: TrainConfig, training_data: TrainingData) -> None:
        super().__init__(config, training_data)
        batch_norm = config.generator.batch_norm
        self._generator = StackedNetwork(
            self.stacks["generator"], blocks=config.generator.blocks, batch_norm=batch_norm
        )
        self._reprojection = StackedNetwork(
            self.stacks["reprojection"],
            blocks=config.reprojection_network.blocks,
            batch_norm=batch_norm,
        )
        self._critic = StackedCritic(self.stacks["critic"], config.critic)

    @torch.no_grad()
    def iterate(self) -> None:
        """Run one iteration of every member; see `synrep.training.step.Gan.iterate`."""
        config, steps = self.config, self.config.critic.steps
        self._rates = [learning_rates(m.config, m.iteration) for m in self.members]
        for index in range(steps):
            self._fake(index)
            self._real(index)
            self._update_critic(index)
        self._update_generator()
        if config.reprojection == "separate":
            self._update_reprojection()
        if self.settings.ema_update is not None:
            self.average.lerp(self.stacks["generator"], self.settings.ema_update)
        for member in self.members:
            member.iteration += 1

    def _step(self, member: Member, index: int) -> int:
        """Return the step of the random streams for one critic update."""
        return member.iteration * self.config.critic.steps + index

    def _batch(self, stream: str, index: int, views: Views) -> Tensor:
        """Return the indices (K * B,) of the members' batches, one after another."""
        size, total = self.config.batch_size, len(views)
        return torch.cat(
            [m.streams.batch(stream, self._step(m, index), size, total) for m in self.members]
        )

    def _gather(self, column: Tensor, indices: Tensor) -> Tensor:
        """Gather a tensor of the views at indices (K * B,), as (K, B, ...)."""
        gathered = column.index_select(0, indices)
        return gathered.view(len(self.members), -1, *column.shape[1:])

    def _fake(self, index: int) -> None:
        """Lift a batch and store the fake samples in `_poses` and `_points`."""
        inputs, settings = self.training_data.inputs, self.settings
        if settings.masks is not None:
            settings.masks.generators = [
                m.masks.at("dropout", self._step(m, index)) for m in self.members
            ]
        indices = self._batch("input", index, inputs)
        self._keypoints = self._gather(inputs.keypoints, indices)
        raw = self._generator.forward(
            self._keypoints.flatten(2), settings.activation, settings.masks
        )
        distance, ray = None, None
        if self.config.generator.lift == "perspective":
            distance, ray = settings.distance, self._gather(inputs.ray, indices)
        with torch.enable_grad():
            self._raw_depths = raw.requires_grad_()
            depths = raw - raw[..., :1]
            self._poses = lift_depths(depths, self._keypoints, ray, distance)
        self._points = self._keypoints
        if self.config.reprojection != "none":
            self._raw_points, self._points = self._reproject(self._poses.detach())

    def _reproject(self, poses: Tensor) -> tuple[Tensor, Tensor]:
        """Return the raw reprojection outputs (K, B, 2J) and the 2D poses (K, B, J, 2)."""
        raw = self._reprojection.forward(
            poses.flatten(2), self.settings.activation, self.settings.masks
        )
        with torch.enable_grad():
            raw.requires_grad_()
            points = raw.view(*raw.shape[:2], -1, 2)
            return raw, points - points[..., :1, :]

    def _real(self, index: int) -> None:
        """Store a batch of real samples in `_real_poses` and `_real_points`."""
        reals = self.training_data.reals
        indices = self._batch("real", index, reals)
        paired = self.config.data.pair_real
        indices_2d = indices if paired else self._batch("real_2d", index, reals)
        self._real_poses = self._gather(reals.poses, indices)
        self._real_points = self._gather(reals.real_keypoints, indices_2d)

    def _update_critic(self, index: int) -> None:
        config, batch = self.config.critic, self.config.batch_size
        penalised = config.lipschitz == "gradient_penalty"
        inputs = self._samples(index, mixed=penalised)
        scores = self._critic.forward(inputs, self.settings.features, self.settings.activation)
        gap = scores[:, :batch].mean(1) - scores[:, batch : 2 * batch].mean(1)
        score_grad = torch.ones_like(scores)
        score_grad[:, :batch], score_grad[:, batch : 2 * batch] = 1 / batch, -1 / batch
        self._critic.backward(score_grad)
        if penalised:
            self._add("gradient_penalty", self._penalise(inputs) / config.steps)
        self._add("critic_loss", gap / config.steps)
        self._critic.weight_gradients(slice(2 * batch))
        self._critic.release()
        self._descend("critic")
        if config.lipschitz == "weight_clipping":
            bound = self.settings.clip
            self.stacks["critic"].weight_rows.clamp_(-bound, bound)

    def _samples(self, index: int, *, mixed: bool) -> CriticInputs:
        """Concatenate fake, real and, if `mixed`, interpolated samples along N."""
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
        """Draw interpolation weights (K, B, 1); 1 selects the real sample, 0 the fake one."""
        shape, dtype = (self.config.batch_size, 1), self.template.dtype
        return torch.stack(
            [m.streams.uniform("mix", self._step(m, index), shape, dtype) for m in self.members]
        )

    def _penalise(self, inputs: CriticInputs) -> Tensor:
        """Return the gradient penalty (K,) and propagate its gradient to the critic's layers."""
        samples = slice(2 * self.config.batch_size, None)
        features, poses = self.settings.features, inputs.poses[:, samples]
        grads = self._critic.input_gradients(samples)
        separate = self.config.critic.gp_inputs == "pose+features"
        if not separate:
            grads.poses += features.vjp(poses, grads.features)
        parts = [grads.poses, grads.keypoints] + ([grads.features] if separate else [])
        squared = torch.cat(parts, 2).square().sum(2)
        with torch.enable_grad():
            penalty = norm_penalty(squared.requires_grad_())
            (squared_grad,) = torch.autograd.grad(penalty.sum(), squared)
        factor = (2 * self.settings.gp_weight * squared_grad)[..., None]
        tangent = CriticInputs(
            grads.poses * factor, grads.keypoints * factor, grads.features * factor
        )
        if not separate:
            tangent.features = features.jvp(poses, tangent.poses)
        self._critic.jvp(tangent, samples)
        return penalty.detach()

    def _update_generator(self) -> None:
        config, settings = self.config, self.settings
        poses = self._poses.detach().flatten(2)
        inputs = CriticInputs(
            poses, self._points.detach().flatten(2), settings.features.values(poses)
        )
        scores = self._critic.forward(inputs, settings.features, settings.activation)
        self._critic.backward(torch.full_like(scores, -1 / config.batch_size))
        grads = self._critic.input_gradients(slice(None))
        self._critic.release()
        pose_grad = settings.features.vjp(poses, grads.features).add_(grads.poses)
        with torch.enable_grad():
            angle = angle_loss(self._poses, self.skeleton, config.loss.angle_norm)
        with torch.set_grad_enabled(settings.lambda_reprojection is not None):
            distance = reprojection_distance(self._points, self._keypoints)
        if config.reprojection != "none":
            pose_grad += self._reprojection_backward(grads.keypoints, distance)
        (depth_grad,) = torch.autograd.grad(
            [self._poses, angle],
            self._raw_depths,
            [pose_grad.view_as(self._poses), settings.lambda_angle],
        )
        self._generator.backward(depth_grad, inputs=False)
        self._descend("generator")
        if config.reprojection == "sync":
            self._descend("reprojection")
        self._add("generator_loss", -scores.mean(1))
        self._add("angle_loss", angle.detach())
        self._add("reprojection_radii", distance.detach())

    def _reprojection_backward(self, point_grad: Tensor, distance: Tensor) -> Tensor:
        """Backpropagate a gradient of the reprojected 2D poses to the 3D poses (K, B, 3J)."""
        outputs, output_grads = [self._points], [point_grad.view_as(self._points)]
        if self.settings.lambda_reprojection is not None:
            outputs.append(distance)
            output_grads.append(self.settings.lambda_reprojection)
        (raw_grad,) = torch.autograd.grad(outputs, self._raw_points, output_grads)
        return self._reprojection.backward(raw_grad, weights=self.config.reprojection == "sync")

    def _update_reprojection(self) -> None:
        raw, points = self._reproject(self._real_poses)
        with torch.enable_grad():
            loss = (points - self._real_points).square().mean((1, 2, 3))
            (raw_grad,) = torch.autograd.grad(loss.sum(), raw)
        self._reprojection.backward(raw_grad, inputs=False)
        self._descend("reprojection")

    def _descend(self, name: str) -> None:
        max_norms = self.settings.max_norms if name != "critic" else None
        self.stacks[name].adam_step([rates[name] for rates in self._rates], max_norms)

    def _add(self, name: str, value: Tensor) -> None:
        self.sums[name] = self.sums[name] + value if name in self.sums else value
