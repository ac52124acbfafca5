"""The configurations of the baselines; defaults are those of their authors' published code.

Data, evaluation and guard are the model's own sections: the same splits, normalisation and errors.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from synrep.config import DataConfig, EvaluationConfig, GeneratorConfig, GuardConfig
from synrep.schema import Count, NonNegative, Positive, Section, Seed

Decay = Annotated[float, Field(ge=0, lt=1)]
Batch = Annotated[int, Field(ge=2)]
UNUSED = ("pair_real", "real_2d")
"""Fields of `DataConfig` on the critic's real 2D pose, which no baseline pairs with a 3D pose."""


class BaselineConfig(Section):
    """What the configurations of all baselines have in common."""

    seed: Seed = 0
    """Seed of initial weights, data order and everything drawn in training."""
    iterations: Count = 100_000
    """Updates; as long as the model's by default (row 20)."""
    reports: Count = 25
    """Reports over the whole training."""
    data: DataConfig = DataConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    guard: GuardConfig = GuardConfig()

    @field_validator("data")
    @classmethod
    def _no_field_is_ignored(cls, data: DataConfig) -> DataConfig:
        for name in UNUSED:
            if getattr(data, name) != DataConfig.model_fields[name].default:
                raise ValueError(f"{name} has no effect here, leave it out")
        return data


class RepNetConfig(BaselineConfig):
    """After RepNet (Wandt and Rosenhahn, CVPR 2019)."""

    baseline: Literal["repnet"] = "repnet"
    """Tells a state of this baseline from one of another."""
    batch_size: Batch = 32
    """Poses in each batch."""
    frame: Literal["body", "camera"] = "body"
    """Frame of the real poses that the critic sees: turned so that hips and shoulders lie the same
    way, as published, or as the camera sees them."""
    width: Count = 1000
    """Units of each hidden layer of the lifting and the camera network."""
    pose_blocks: Count = 2
    """Residual blocks of the pose branch, after one shared with the camera branch."""
    camera_blocks: Count = 2
    """Residual blocks of the camera branch, after the shared one."""
    pose_width: Count = 100
    """Units of the critic's pose branch and of its head."""
    kcs_width: Count = 1000
    """Units of the critic's KCS branch."""
    slope: Decay = 0.3
    """Negative slope of the leaky ReLU of all networks (row 16)."""
    learning_rate: Positive = 1e-4
    """Adam's learning rate for generator and critic (row 19)."""
    beta1: Decay = 0.5
    """Adam's decay rate of the first moment."""
    beta2: Decay = 0.9
    """Adam's decay rate of the second moment."""
    drops: Annotated[int, Field(ge=0)] = 3
    """Number of evenly spaced steps at which the learning rate is divided by 10; the published
    schedule does so after each five of twenty epochs (row 20)."""
    gp_weight: NonNegative = 10.0
    """Weight of the gradient penalty (row 9)."""
    lambda_reprojection: NonNegative = 1.0
    """Weight of the distance between reprojected and input 2D pose."""
    lambda_camera: NonNegative = 1.0
    """Weight of the loss that keeps the predicted camera weak-perspective."""


class KudoConfig(BaselineConfig):
    """After Kudo et al. (arXiv 1803.08244), the source of depth-only lifting and of L_angle."""

    baseline: Literal["kudo"] = "kudo"
    """Tells a state of this baseline from one of another."""
    batch_size: Batch = 16
    """Poses in each batch (row 18)."""
    width: Count = 1024
    """Units of each hidden layer of generator and critic."""
    slope: Decay = 0.2
    """Negative slope of the leaky ReLU of both networks (row 16)."""
    learning_rate: Positive = 2e-4
    """Adam's learning rate for generator and critic (row 19)."""
    beta1: Decay = 0.5
    """Adam's decay rate of the first moment."""
    beta2: Decay = 0.999
    """Adam's decay rate of the second moment."""
    weight_decay: NonNegative = 1e-5
    """L2 weight decay, added to each gradient."""
    lambda_angle: NonNegative = 1.0
    """Weight of L_angle (rows 6, 8)."""
    accuracy_cap: Annotated[float, Field(gt=0.5, le=1)] = 0.9
    """The critic is not updated while its accuracy exceeds this value, nor the generator while the
    accuracy is below one minus this value."""


class SupervisedConfig(BaselineConfig):
    """After Martinez et al. (ICCV 2017): the model's generator, trained on paired depths."""

    baseline: Literal["supervised"] = "supervised"
    """Tells a state of this baseline from one of another."""
    batch_size: Batch = 256
    """Poses in each batch; as the model's (row 18)."""
    generator: GeneratorConfig = GeneratorConfig()
    """Shape of the network; as the model's."""
    learning_rate: Positive = 1e-3
    """Adam's initial learning rate, which decays linearly to zero. Not tuned."""
    beta1: Decay = 0.9
    """Adam's decay rate of the first moment."""
    beta2: Decay = 0.999
    """Adam's decay rate of the second moment."""


AnyBaseline = RepNetConfig | KudoConfig | SupervisedConfig
