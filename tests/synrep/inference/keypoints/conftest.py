"""A person on the move in pixels, and a small generator to lift them with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from synrep.config import GeneratorConfig, TrainConfig
from synrep.evaluation.tables import BodyScale
from synrep.inference.lifter import Lifter
from synrep.model.networks import Generator

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

PLACES = {
    "Nose": (800, 210), "LEye": (811, 201), "REye": (790, 202), "LEar": (826, 207),
    "REar": (776, 208), "LShoulder": (866, 281), "RShoulder": (735, 284), "LElbow": (892, 362),
    "RElbow": (716, 369), "LWrist": (884, 441), "RWrist": (741, 437), "LHip": (839, 452),
    "RHip": (762, 455), "LKnee": (850, 571), "RKnee": (748, 580), "LFoot": (846, 697),
    "RFoot": (757, 702), "Head": (801, 139), "Neck": (800, 279), "MidHip": (800, 453),
    "LBigToe": (862, 722), "RBigToe": (744, 727), "LSmallToe": (872, 719), "RSmallToe": (735, 724),
    "LHeel": (842, 711), "RHeel": (760, 716), "LEyeInner": (806, 202), "LEyeOuter": (815, 202),
    "REyeInner": (795, 202), "REyeOuter": (786, 203), "LMouth": (808, 224), "RMouth": (792, 224),
    "LPinky": (881, 460), "RPinky": (744, 456), "LIndex": (876, 462), "RIndex": (749, 458),
    "LThumb": (874, 450), "RThumb": (750, 446), "LFootIndex": (866, 724), "RFootIndex": (740, 729),
}  # fmt: skip
"""Joints of a person who faces the camera."""


@pytest.fixture
def body() -> Callable[..., NDArray[np.float64]]:
    """Makes (F, J, 2) pixels of a person, by the names of joints; every frame differs a little."""

    def make(joints: tuple[str, ...], frames: int = 3, shift: float = 0) -> NDArray[np.float64]:
        still = np.array([PLACES[joint] for joint in joints], float)
        moves = np.random.default_rng(11).normal(0, 4, (frames, 40, 2))
        return np.stack(
            [still + moves[n, : len(joints)] + [4 * n + shift, n] for n in range(frames)]
        )

    return make


@pytest.fixture(scope="session")
def lifter() -> Lifter:
    """With random weights, for bodies of known size."""
    config = TrainConfig(generator=GeneratorConfig(width=16, blocks=1))
    torch.manual_seed(1)
    network = Generator(config.generator, config.data.joints)
    return Lifter(
        config=config,
        weights={name: value.numpy() for name, value in network.state_dict().items()},
        body=BodyScale(bone_length_sum_mm=4000.0, scale_mm=500.0),
        best={},
    )
