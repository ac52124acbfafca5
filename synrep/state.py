"""The state of a training as named arrays, listed in full: what a checkpoint holds.

Streams of random numbers and the order of the data are functions of seed and iteration
(`synrep.streams`), so the iteration stands for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from synrep.checkpoint import State
from synrep.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from synrep.training import Training


def collect(training: Training) -> State:
    """Networks, optimisers, moving average, best generator; the rest as JSON."""
    tensors: dict[str, Tensor] = {}
    for name, network in training.gan.networks.items():
        tensors |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
    for name, optimiser in training.gan.optimisers.items():
        for index, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"optim.{name}.{index}.{key}": value for key, value in moments.items()}
    for key, value in (training.best.weights or {}).items():
        tensors[f"best.generator.{key}"] = value
    return State(
        arrays={name: _array(tensor) for name, tensor in tensors.items()},
        meta={
            "iteration": training.iteration,
            "config": training.config.model_dump(mode="json"),
            "best": {"value": training.best.value, "iteration": training.best.iteration}
            if training.best.weights
            else None,
            "bone_length_sum_mm": training.body.bone_length_sum_mm,
            "scale_mm": training.body.scale_mm,
        },
    )


def apply(training: Training, saved: State) -> None:
    """Put a state back.

    A longer training may go on from the state of a shorter one; anything else in the
    configuration must be the same.

    Raises:
        InputError: the state belongs to a different configuration.
    """
    _same_configuration(training, saved.meta["config"])
    parts: dict[str, dict[str, Tensor]] = {}
    for name, array in saved.arrays.items():
        part, _, key = name.partition(".")
        parts.setdefault(part, {})[key] = torch.from_numpy(np.array(array))
    for name, network in training.gan.networks.items():
        network.load_state_dict(parts[name])
    for name, optimiser in training.gan.optimisers.items():
        _load_moments(optimiser, name, parts.get("optim", {}))
    training.iteration = saved.meta["iteration"]
    if best := saved.meta["best"]:
        training.best.value, training.best.iteration = best["value"], best["iteration"]
        weights = {key.partition(".")[2]: value for key, value in parts["best"].items()}
        training.best.weights = {
            key: v.to(training.gan.inputs.poses.device) for key, v in weights.items()
        }


def _load_moments(optimiser: torch.optim.Optimizer, name: str, arrays: dict[str, Tensor]) -> None:
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in arrays.items():
        owner, _, rest = key.partition(".")
        if owner == name:
            index, _, moment = rest.partition(".")
            moments.setdefault(int(index), {})[moment] = value
    optimiser.load_state_dict(optimiser.state_dict() | {"state": moments})


def _same_configuration(training: Training, saved: dict[str, Any]) -> None:
    mine = training.config.model_dump(mode="json")
    different = [
        key for key in mine if key not in {"iterations", "reports"} and mine[key] != saved.get(key)
    ]
    if different:
        raise InputError(
            "checkpoint", "belongs to another configuration", "differs in " + ", ".join(different)
        )


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
