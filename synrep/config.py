"""The one configuration of a training: every open point of the paper, as a field.

Row numbers refer to the table of decisions in docs/model.md. Fields that change the result are
all here; where and how a training runs (device, folders) is not.
Frozen, and every key is checked: an unknown key is an error, never ignored.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from synrep.effects import without_effect
from synrep.errors import InputError, faults
from synrep.keypoint_sets import MpiiMap
from synrep.schema import Count, NonNegative, Positive, Section, Seed
from synrep.weighting import Tanh, Weighting


class KcsConfig(Section):
    """The weighted kinematic chain space that the critic sees (section 3.3 of the paper)."""

    weighting: Weighting = Tanh()
    """Weight of a pair of bones by their distance in the skeleton tree (row 30)."""
    floor: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Mixes any family with a constant: floor + (1 - floor) * w(d)."""
    diagonal: Positive = 1.0
    """Weight of the squared bone lengths on the diagonal."""
    entries: Literal["full", "upper"] = "full"
    """All b*b entries, or each pair once (row 31)."""
    cosine: bool = False
    """Cosines between bones off the diagonal instead of inner products; lengths stay on it."""
    rescale: bool = False
    """Divide by one number so that the entries have unit mean square on real poses: makes
    weighting families comparable at equal initial variance."""


class GeneratorConfig(Section):
    """The lifting network: 2D joints in, one depth a joint out (section 3.1; rows 12-17, 21)."""

    width: Count = 1024
    """Units of each hidden layer (row 12)."""
    blocks: Count = 2
    """Residual blocks of two layers each (row 12)."""
    batch_norm: bool = True
    """Batch normalisation after each hidden layer; also in the reprojection network (row 14)."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout rate after each hidden layer (row 17)."""
    slope: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """Negative slope of the leaky ReLU of all three networks (row 16)."""
    init: Literal["uniform", "kaiming", "normal"] = "uniform"
    """Initial weights of all three networks: uniform within 1 / sqrt(inputs), Kaiming-normal, or
    N(0, 0.02) (row 21). Under batch normalisation a step counts relative to the weights, so their
    initial size acts like a learning rate."""
    output_gain: Positive = 0.1
    """Factor on the initial weights of the last layer: depths start near 0 (row 21)."""
    lift: Literal["weak", "perspective"] = "weak"
    """How x and y follow from the 2D input: copied, or scaled by the predicted depth (row 39)."""
    distance: Positive = 10.0
    """Distance of the root from the camera in xy-radii, used by the perspective lift (row 39)."""


class ReprojectionNetworkConfig(Section):
    """The network that maps a 3D pose back to 2D (section 3.2; row 12)."""

    width: Count = 1024
    """Units of each hidden layer."""
    blocks: Count = 1
    """Residual blocks of two layers each."""


class CriticConfig(Section):
    """The discriminator, a Wasserstein critic (section 3.3; rows 9-13)."""

    branch_width: Count = 100
    """Width of each of the three branches: 3D pose, 2D pose, wKCS (row 12)."""
    head: Literal["mlp", "linear"] = "mlp"
    """After joining the branches: one hidden layer and an output, or the output alone (row 13)."""
    steps: Count = 1
    """Critic updates for each generator update (row 11)."""
    lipschitz: Literal["gradient_penalty", "spectral_norm", "weight_clipping", "none"] = (
        "gradient_penalty"
    )
    """How the critic is kept Lipschitz (row 9)."""
    gp_weight: NonNegative = 10.0
    """Weight of the gradient penalty (row 9)."""
    gp_inputs: Literal["pose", "pose+features"] = "pose"
    """Gradient with respect to (Y, X), or also to an interpolated wKCS (row 10)."""
    clip: Positive = 0.01
    """Bound on each weight under weight clipping (row 9)."""


class LossConfig(Section):
    """Weights of the generator's loss terms (section 3.4)."""

    lambda_angle: NonNegative = 1.0
    """Weight of L_angle, equation 13 (row 8)."""
    lambda_reprojection: NonNegative = 0.0
    """Weight of the distance between reprojected and input 2D pose; the paper has none (row 28)."""
    angle_norm: Literal["zx", "xyz"] = "zx"
    """Norms in equation 12: in the plane (a true sine), or of the full vectors (row 7)."""


class OptimConfig(Section):
    """Adam for each network (section 3.6; rows 19, 20, 22)."""

    lr_generator: Positive = 8e-5
    """Learning rate of the generator."""
    lr_reprojection: Positive = 8e-5
    """Learning rate of the reprojection network."""
    lr_discriminator: Positive = 8e-5
    """Learning rate of the critic."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Adam's decay rate of the first moment."""
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Adam's decay rate of the second moment."""
    decay: Literal["none", "linear", "exponential"] = "none"
    """Learning-rate schedule over the whole training (row 20)."""
    decay_to: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Learning rate at the end, as a fraction of that at the start; unused without decay."""
    clip_grad_norm: NonNegative = 0.0
    """Bound on the gradient norm of generator and reprojection network; 0 is off (row 22)."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of the moving average of generator weights used for scoring; 0 is off (row 20)."""


class DataConfig(Section):
    """Training poses, the cameras that view them, and the kind of 2D input."""

    poses: str = "synthetic"
    """Folder of a pose store, or `synthetic` for the built-in seeded motion."""
    joints: Literal[17, 16] = 17
    """Human3.6M joints with or without the nose (row 4)."""
    input_2d: Literal["perspective", "orthographic"] = "perspective"
    """Camera projection with distortion, or x and y themselves, for debugging (row 1)."""
    noise_px: NonNegative = 0.0
    """Standard deviation of Gaussian noise on each 2D joint, in pixels (row 37); in millimetres
    with orthographic input."""
    scale_ref: Literal["xy_radius", "radius_3d", "xy_fro"] = "xy_radius"
    """Size that a 3D pose is divided by: the mean distance of its joints from the root in the image
    plane, the same in 3D, or the root mean square in the image plane (row 2)."""
    pair_real: bool = True
    """The critic's real 2D pose belongs to the same frame as its real 3D pose (row 24)."""
    real_2d: Literal["gt", "detected"] = "gt"
    """The critic's real 2D pose when the store also has detections (row 25)."""
    unpaired_split: bool = False
    """Generator input from one half of the subjects, real 3D poses from the other (row 26)."""
    train_stride: Count = 1
    """Use every n-th training frame; 5 brings Human3.6M from 50 to 10 Hz (row 32)."""
    test_stride: Count = 1
    """Use every n-th validation and test frame (row 32)."""
    cameras: Count = 4
    """Virtual cameras around each pose, for stores in world coordinates."""
    camera_seed: Seed = 0
    """Seed of the rig of virtual cameras."""
    noise_seed: Seed = 0
    """Seed of the 2D noise, which is drawn once for each view and stays the same in all epochs."""
    sh_map: MpiiMap = "fitted"
    """How 16 MPII joints become 17 Human3.6M joints (row 35)."""


class EvaluationConfig(Section):
    """How predictions become millimetres (docs/model.md: Errors, rows 3 and 34)."""

    scale: Literal["gt_xy", "nmpjpe", "bone_length", "constant"] = "gt_xy"
    """Scale of all errors: what each frame's true pose was divided by, its xy-radius unless
    `data.scale_ref` says otherwise (GT-scaled); the best scale for each frame; a constant
    bone-length sum; or one constant (row 3)."""
    alignment: Literal["similarity", "rigid"] = "similarity"
    """Procrustes alignment of P-MPJPE, with or without scale (row 34)."""
    views: Count = 4096
    """Validation views scored at each report: a fixed, evenly spaced subset."""


class GuardConfig(Section):
    """Limits beyond which a training counts as diverged."""

    critic_limit: Positive = 1e5
    """Largest absolute critic loss."""
    collapse_ratio: NonNegative = 0.02
    """Smallest spread of predicted depths, as a fraction of the spread of real ones."""
    collapse_after: Count = 1000
    """Iterations before the spread is checked, because depths start near 0 by design."""


class TrainConfig(Section):
    """Everything that decides the result of one training; the defaults are the paper's."""

    seed: Seed = 0
    """Seed of initial weights, data order, dropout and interpolation."""
    iterations: Count = 100_000
    """Generator updates (row 20)."""
    batch_size: Annotated[int, Field(ge=2)] = 256
    """Poses in each batch (row 18)."""
    reports: Count = 25
    """Number of evenly spaced reports; each validates the generator and can save a checkpoint."""
    reprojection: Literal["sync", "separate", "none"] = "sync"
    """Whether the reprojection network trains with the GAN (`sync`), by itself on real pairs
    (`separate`), or is left out (`none`) (row 27)."""
    generator: GeneratorConfig = GeneratorConfig()
    reprojection_network: ReprojectionNetworkConfig = ReprojectionNetworkConfig()
    critic: CriticConfig = CriticConfig()
    kcs: KcsConfig = KcsConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    data: DataConfig = DataConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    guard: GuardConfig = GuardConfig()


def configure(base: TrainConfig | Mapping[str, Any] | None = None, /, **fields: Any) -> TrainConfig:
    """A configuration from some of its fields; the others are as in `base`, or the paper's.

        configure(iterations=2000, **{"generator.width": 256})
        configure({"iterations": 2000, "generator": {"width": 256}})
        configure(config, seed=1)

    Args:
        base: another configuration, or fields by dotted or nested names.
        fields: by dotted names; they take the place of those of `base`. A mapping takes the place
            of a whole section, as `**{"kcs.weighting": {"family": "band", "reach": 3}}`.

    Raises:
        InputError: a field breaks a rule, or has no effect (`synrep.effects`); names every one
            that does.
    """
    given = base.model_dump(mode="json") if isinstance(base, TrainConfig) else dict(base or {})
    content: dict[str, Any] = {}
    for part in (given, fields):
        for key, value in json.loads(json.dumps(part, default=json_value)).items():
            set_dotted(content, key, value)
    known = frozenset(ineffective(base)) if isinstance(base, TrainConfig) else frozenset()
    config = checked(content, "configuration")
    check_effects(config, known)
    return config


def ineffective(config: TrainConfig, store: Mapping[str, Any] | None = None) -> dict[str, str]:
    """The fields that are set but have no effect, each with the reason.

    Args:
        config: the configuration.
        store: what `synrep.effects` must know of the pose store; omitted where it is not known.
    """
    content = config.model_dump(mode="json") | ({} if store is None else {"store": dict(store)})
    return dict(without_effect(content, type(config)().model_dump(mode="json")))


def check_effects(
    config: TrainConfig,
    known: frozenset[str] = frozenset(),
    store: Mapping[str, Any] | None = None,
) -> None:
    """Raise if a new configuration sets a field that has no effect.

    Configurations that were saved earlier are read without this check.

    Args:
        config: the configuration.
        known: fields that may have none, because an earlier configuration set them.
        store: see `ineffective`.

    Raises:
        InputError: there are such fields; names all of them.
    """
    found = {name: rule for name, rule in ineffective(config, store).items() if name not in known}
    if found:
        rules = "; ".join(f"{name} {rule}" for name, rule in found.items())
        raise InputError("configuration", rules, "leave it out")


def checked(content: Mapping[str, Any], place: str) -> TrainConfig:
    """The configuration in nested mappings of JSON values.

    Args:
        content: fields by name; defaults elsewhere.
        place: where it is from, for messages.

    Raises:
        InputError: a field breaks a rule; names every one that does.
    """
    try:
        return TrainConfig.model_validate_json(json.dumps(content))
    except ValidationError as error:
        remedy = "docs/reference/configuration.md lists the fields"
        raise InputError(place, faults(error, TrainConfig), remedy) from None


def json_value(value: Any) -> Any:
    """A path, a section, a number or an array of NumPy's as JSON has it: `default` of `json.dumps`.

    Raises:
        InputError: it is something else that JSON has no word for.
    """
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Section):
        return value.model_dump(mode="json")
    if hasattr(value, "tolist"):
        return value.tolist()
    raise InputError(f"{value!r:.80}", "is nothing that a configuration can hold")


def set_dotted(content: dict[str, Any], key: str, value: Any) -> None:
    """Set `a.b.c` in nested mappings, in place; missing ones are made.

    Raises:
        InputError: `a` or `a.b` holds a value already.
    """
    *parents, last = key.split(".")
    for parent in parents:
        content = content.setdefault(parent, {})
        if not isinstance(content, dict):
            raise InputError(key, f"{parent} is set to {content!r} and holds no fields")
    content[last] = value


SCALES = {
    "gt_xy": "scaled by each frame's true xy-radius (GT-scaled)",
    "nmpjpe": "each prediction scaled by its best factor",
    "bone_length": "scaled to the training poses' bone lengths",
    "constant": "scaled by one constant",
}
