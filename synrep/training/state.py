"""The state of a training as named arrays, listed in full: what a checkpoint holds.

RandomStreams of random numbers and the order of the data are functions of seed and iteration
(`synrep.training.random_streams`), so the iteration stands for them. A training by itself and a
slice of a fused training have states of the same form: either goes on from the other's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from synrep.errors import InputError
from synrep.training.checkpoint import TrainingState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from synrep.config import TrainConfig
    from synrep.evaluation.tables import BodyScale
    from synrep.training.protocol import Progress
    from synrep.training.step import Gan


def collect(progress: Progress, gan: Gan, body: BodyScale) -> TrainingState:
    """Networks, optimisers, moving average, best generator; the rest as JSON."""
    tensors: dict[str, Tensor] = {}
    for name, network in gan.networks.items():
        tensors |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
    for name, optimiser in gan.optimisers.items():
        for index, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"optim.{name}.{index}.{key}": value for key, value in moments.items()}
    tensors |= {f"sums.{name}": total for name, total in gan.sums.items()}
    return assemble(progress, tensors, body)


def assemble(progress: Progress, tensors: Mapping[str, Tensor], body: BodyScale) -> TrainingState:
    """A state from the tensors of networks and optimisers, by dotted name."""
    best = progress.best
    kept = {f"best.generator.{key}": value for key, value in (best.weights or {}).items()}
    return TrainingState(
        arrays={name: _array(tensor) for name, tensor in {**tensors, **kept}.items()},
        meta={
            "iteration": progress.iteration,
            "since": progress.since,
            "config": progress.config.model_dump(mode="json"),
            "best": {"value": best.value, "iteration": best.iteration} if best.weights else None,
            "bone_length_sum_mm": body.bone_length_sum_mm,
            "scale_mm": body.scale_mm,
        },
    )


def apply(progress: Progress, gan: Gan, saved: TrainingState) -> None:
    """Put a state back.

    A longer training may go on from the state of a shorter one; anything else in the
    configuration must be the same.

    Raises:
        InputError: the state belongs to a different configuration.
    """
    parts = restore(progress, saved, gan.inputs.poses.device)
    for name, network in gan.networks.items():
        network.load_state_dict(parts[name])
    for name, optimiser in gan.optimisers.items():
        moments = optimiser_moments(name, parts)
        optimiser.load_state_dict(optimiser.state_dict() | {"state": moments})
    gan.sums = parts.get("sums", {})


def restore(
    progress: Progress, saved: TrainingState, device: torch.device
) -> dict[str, dict[str, Tensor]]:
    """Put back how far a training is and its best generator.

    Returns:
        The tensors by part: each network, 'optim', and 'sums' of the losses since the last report.

    Raises:
        InputError: the state belongs to a different configuration.
    """
    _same_configuration(progress.config, saved.meta["config"])
    parts: dict[str, dict[str, Tensor]] = {}
    for name, array in saved.arrays.items():
        part, _, key = name.partition(".")
        parts.setdefault(part, {})[key] = torch.from_numpy(np.array(array))
    progress.iteration = saved.meta["iteration"]
    progress.since = saved.meta.get("since", progress.iteration)
    if best := saved.meta["best"]:
        progress.best.value, progress.best.iteration = best["value"], best["iteration"]
        weights = {key.partition(".")[2]: value for key, value in parts["best"].items()}
        progress.best.weights = {key: value.to(device) for key, value in weights.items()}
    return parts


def optimiser_moments(
    name: str, parts: Mapping[str, Mapping[str, Tensor]]
) -> dict[int, dict[str, Tensor]]:
    """Moments of one network's optimiser by the number of the weight; empty before any step."""
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in parts.get("optim", {}).items():
        owner, _, rest = key.partition(".")
        if owner == name:
            index, _, moment = rest.partition(".")
            moments.setdefault(int(index), {})[moment] = value
    return moments


def _same_configuration(config: TrainConfig, saved: dict[str, Any]) -> None:
    mine = config.model_dump(mode="json")
    different = [
        key for key in mine if key not in {"iterations", "reports"} and mine[key] != saved.get(key)
    ]
    if different:
        raise InputError(
            "checkpoint", "belongs to another configuration", "differs in " + ", ".join(different)
        )


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
