"""Configurations of the baselines; defaults are those of the authors' published code.

The sections data, evaluation and guard are those of the model, so that splits, normalisation and
errors are the same.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from synrep.config import DataConfig, EvaluationConfig, GeneratorConfig, GuardConfig
from synrep.schema import Count, NonNegative, Positive, Section, Seed

Decay = Annotated[float, Field(ge=0, lt=1)]
Batch = Annotated[int, Field(ge=2)]
UNUSED_DATA_FIELDS = ("pair_real", "real_2d")
"""Fields of `DataConfig` about the critic's real 2D poses, which no baseline uses."""


class BaselineConfig(Section):
    """Fields common to the configurations of all baselines."""

    seed: Seed = 0
    """Seed of initial weights, data order and all other random numbers of the training."""
    iterations: Count = 100_000
    """Number of updates; by default that of the model (row 20)."""
    reports: Count = 25
    """Number of reports over the whole training."""
    data: DataConfig = DataConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    guard: GuardConfig = GuardConfig()

    @field_validator("data")
    @classmethod
    def _no_field_is_ignored(cls, data: DataConfig) -> DataConfig:
        for name in UNUSED_DATA_FIELDS:
            if getattr(data, name) != DataConfig.model_fields[name].default:
                raise ValueError(f"{name} has no effect here, leave it out")
        return data


class RepNetConfig(BaselineConfig):
    """Configuration of RepNet (Wandt and Rosenhahn, CVPR 2019)."""

    baseline: Literal["repnet"] = "repnet"
    """Name of the baseline; identifies its checkpoints."""
    batch_size: Batch = 32
    """Poses in each batch."""
    frame: Literal["body", "camera"] = "body"
    """Frame of the critic's real poses: 'body' rotates them so that hips and shoulders are aligned,
    as published; 'camera' leaves them in the camera frame."""
    width: Count = 1000
    """Units of each hidden layer of the pose and camera networks."""
    pose_blocks: Count = 2
    """Residual blocks of the pose network, after the block shared with the camera network."""
    camera_blocks: Count = 2
    """Residual blocks of the camera network, after the shared block."""
    pose_width: Count = 100
    """Units of the critic's pose branch and head."""
    kcs_width: Count = 1000
    """Units of the critic's KCS branch."""
    slope: Decay = 0.3
    """Negative slope of the leaky ReLU of all networks (row 16)."""
    learning_rate: Positive = 1e-4
    """Learning rate of Adam for the generator and the critic (row 19)."""
    beta1: Decay = 0.5
    """beta1 of Adam."""
    beta2: Decay = 0.9
    """beta2 of Adam."""
    drops: Annotated[int, Field(ge=0)] = 3
    """Number of times the learning rate is divided by 10, at equal intervals; as published, every
    five of twenty epochs (row 20)."""
    gp_weight: NonNegative = 10.0
    """Weight of the gradient penalty (row 9)."""
    lambda_reprojection: NonNegative = 1.0
    """Weight of the distance between reprojected and input 2D poses."""
    lambda_camera: NonNegative = 1.0
    """Weight of the loss that constrains the camera to be weak-perspective."""


class KudoConfig(BaselineConfig):
    """Configuration of Kudo et al. (arXiv 1803.08244); source of depth-only lifting and L_angle."""

    baseline: Literal["kudo"] = "kudo"
    """Name of the baseline; identifies its checkpoints."""
    batch_size: Batch = 16
    """Poses in each batch (row 18)."""
    width: Count = 1024
    """Units of each hidden layer of the generator and the critic."""
    slope: Decay = 0.2
    """Negative slope of the leaky ReLU of both networks (row 16)."""
    learning_rate: Positive = 2e-4
    """Learning rate of Adam for the generator and the critic (row 19)."""
    beta1: Decay = 0.5
    """beta1 of Adam."""
    beta2: Decay = 0.999
    """beta2 of Adam."""
    weight_decay: NonNegative = 1e-5
    """Weight decay of Adam (L2 penalty)."""
    lambda_angle: NonNegative = 1.0
    """Weight of L_angle (rows 6, 8)."""
    accuracy_cap: Annotated[float, Field(gt=0.5, le=1)] = 0.9
    """Accuracy above which the critic is not updated; below 1 minus this accuracy, the generator is
    not updated."""


class SupervisedConfig(BaselineConfig):
    """Configuration of the supervised baseline (after Martinez et al., ICCV 2017)."""

    baseline: Literal["supervised"] = "supervised"
    """Name of the baseline; identifies its checkpoints."""
    batch_size: Batch = 256
    """Poses in each batch; by default that of the model (row 18)."""
    generator: GeneratorConfig = GeneratorConfig()
    """Shape of the network; by default that of the model."""
    learning_rate: Positive = 1e-3
    """Initial learning rate of Adam, which decays linearly to zero. Not tuned."""
    beta1: Decay = 0.9
    """beta1 of Adam."""
    beta2: Decay = 0.999
    """beta2 of Adam."""


AnyBaseline = RepNetConfig | KudoConfig | SupervisedConfig
