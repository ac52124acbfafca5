"""From 2D keypoints to 3D poses of a stated size, without any truth.

Axes: F frames, J joints. Camera frame: x right, y down, z away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypedDict

import numpy as np
import torch

from synrep.errors import InputError
from synrep.inference.keypoints.keypoints import skip_missing, to_skeleton

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synrep.config import TrainConfig
    from synrep.evaluation.tables import BodyScale
    from synrep.inference.keypoints.keypoints import Keypoints
    from synrep.skeleton import Skeleton

Scale = Literal["bone_length", "constant", "radii"]

ANKLE_HEIGHT = 0.039
"""Height of the ankle above the ground as a fraction of a person's height (Winter, Biomechanics
and Motor Control of Human Movement, after Drillis and Contini)."""


@dataclass(frozen=True, kw_only=True)
class Lifted:
    """Lifted poses.

    Attributes:
        skeleton: joints of keypoints and poses.
        keypoints_px: (F, J, 2) what was lifted, in pixels.
        poses: (F, J, 3) relative to the first joint, in the camera frame.
        units: 'mm', or 'radii': the mean 2D distance of a pose's joints from its root.
        scale: how the units came about, in words.
        frames: (F) numbers of the frames in the source.
        left_out: for each frame that was left out, the joints that it lacks.
        estimated: joints that the detector does not see, so that others stand in for them (row 41).
    """

    skeleton: Skeleton
    keypoints_px: NDArray[np.float64]
    poses: NDArray[np.float32]
    units: Literal["mm", "radii"]
    scale: str
    frames: tuple[int, ...]
    left_out: Mapping[int, list[str]]
    estimated: tuple[str, ...] = ()


class How(TypedDict, total=False):
    """Options of `lift`."""

    scale: Scale
    height_mm: float | None
    skip_missing_joints: bool


class PoseGenerator(Protocol):
    """What lifting needs of a trained generator; `synrep.inference.lifter.Lifter` has it."""

    @property
    def config(self) -> TrainConfig:
        """The configuration of its training."""

    @property
    def body(self) -> BodyScale:
        """Sizes of the training poses."""

    @property
    def skeleton(self) -> Skeleton:
        """Joints of the poses that go in and come out."""

    def lift_radii(self, keypoints_px: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return poses (N, J, 3) in radii of 2D poses (N, J, 2) in pixels."""


def lift(
    generator: PoseGenerator,
    keypoints: Keypoints,
    *,
    scale: Scale = "bone_length",
    height_mm: float | None = None,
    skip_missing_joints: bool = False,
) -> Lifted:
    """Lift 2D keypoints of any resolution to 3D poses.

    Args:
        generator: such as a `Lifter`.
        keypoints: of one person.
        scale: 'bone_length' gives every pose the same sum of bone lengths, the training poses'
            mean; 'constant' multiplies every pose by the same number; 'radii' leaves it as it
            is (row 3).
        height_mm: the person's height; with 'bone_length', it takes the place of that sum.
        skip_missing_joints: leave out frames that lack a joint which the generator needs, instead
            of refusing them all.

    Raises:
        InputError: a joint is missing, no frame is left, or the options contradict each other.
    """
    if height_mm is not None and scale != "bone_length":
        raise InputError("height_mm", f"given with scale {scale!r}", "use it with 'bone_length'")
    if height_mm is not None and not (height_mm > 0 and np.isfinite(height_mm)):
        raise InputError("height_mm", f"{height_mm:g} is no height", "give millimetres")
    sh_map = generator.config.data.sh_map
    left_out: dict[int, list[str]] = {}
    if skip_missing_joints:
        keypoints, left_out = skip_missing(keypoints, generator.skeleton, sh_map)
    points = to_skeleton(keypoints, generator.skeleton, sh_map)
    radii = generator.lift_radii(points)
    factor, reason = _factor(generator, radii, scale, height_mm)
    return Lifted(
        skeleton=generator.skeleton,
        keypoints_px=points,
        poses=(radii * factor[:, None, None]).astype(np.float32),
        units="radii" if scale == "radii" else "mm",
        scale=reason,
        frames=keypoints.frames,
        left_out=left_out,
        estimated=tuple(
            joint for joint in generator.skeleton.joints if joint in keypoints.joints.estimated
        ),
    )


def _factor(
    generator: PoseGenerator, radii: NDArray[np.float32], scale: Scale, height_mm: float | None
) -> tuple[NDArray[np.float64], str]:
    """What each pose (F,) is multiplied by, and why."""
    body, skeleton = generator.body, generator.skeleton
    if scale == "radii":
        return np.ones(len(radii)), "none: in mean 2D radii of each pose"
    if scale == "constant":
        reason = f"every radius is {body.scale_mm:.0f} mm, the mean of the training poses"
        return np.full(len(radii), body.scale_mm), reason
    if height_mm is None:
        factor = body.bone_scale(torch.from_numpy(radii).double(), skeleton).numpy()
        total = f"{body.bone_length_sum_mm:.0f} mm"
        return factor, f"the bones add up to {total}, the mean of the training poses"
    standing = np.maximum(_stature(radii, skeleton), 1e-6)
    return height_mm * (1 - ANKLE_HEIGHT) / standing, f"for a person {height_mm:.0f} mm tall"


def _stature(poses: NDArray[np.float32], skeleton: Skeleton) -> NDArray[np.float64]:
    """Length (F,) from ankle to crown along leg, trunk and head, whatever the posture."""
    trunk = [("Hip", "Spine"), ("Spine", "Thorax"), ("Thorax", "Head")]
    legs = [(f"{side}{a}", f"{side}{b}") for side in "LR" for a, b in _LEG]
    length = np.zeros(len(poses))
    for share, bones in ((1.0, trunk), (0.5, legs)):
        for bone in bones:
            length += share * _distance(poses, skeleton, *bone)
    return length


_LEG = (("Hip", "Knee"), ("Knee", "Foot"))


def _distance(
    poses: NDArray[np.float32], skeleton: Skeleton, first: str, second: str
) -> NDArray[np.float64]:
    a, b = skeleton.indices(first, second)
    return np.asarray(np.linalg.norm(poses[:, a].astype(np.float64) - poses[:, b], axis=-1))
