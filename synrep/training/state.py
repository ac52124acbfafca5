"""Conversion between a training and its `TrainingState`, the content of a checkpoint.

Random numbers and data order are functions of seed and iteration
(`synrep.training.random_streams`), so the state contains only the iteration. A single training and
a member of a fused training have states of the same form, and each can resume from the other's.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from synrep.datasets.origin import Origin
from synrep.errors import InputError
from synrep.training.checkpoint import TrainingState
from synrep.training.protocol import Goal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from synrep.config import TrainConfig
    from synrep.evaluation.tables import BodyScale
    from synrep.training.protocol import Progress
    from synrep.training.step import Gan


def collect(progress: Progress, gan: Gan, body: BodyScale) -> TrainingState:
    """Collect the state of networks, optimisers, moving average, loss sums and best generator."""
    tensors: dict[str, Tensor] = {}
    for name, network in gan.networks.items():
        tensors |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
    for name, optimiser in gan.optimisers.items():
        for index, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"optim.{name}.{index}.{key}": value for key, value in moments.items()}
    tensors |= {f"sums.{name}": total for name, total in gan.sums.items()}
    return assemble(progress, tensors, body)


def assemble(progress: Progress, tensors: Mapping[str, Tensor], body: BodyScale) -> TrainingState:
    """Build a state from the tensors of networks and optimisers, by dotted name."""
    best, origin = progress.best, progress.origin
    best_weights = {f"best.generator.{key}": value for key, value in (best.weights or {}).items()}
    return TrainingState(
        arrays={name: _array(tensor) for name, tensor in {**tensors, **best_weights}.items()},
        meta={
            "iteration": progress.iteration,
            "since": progress.last_report,
            "config": progress.config.model_dump(mode="json"),
            "best": {"value": best.value, "iteration": best.iteration} if best.weights else None,
            "goal": dataclasses.asdict(progress.goal),
            "bone_length_sum_mm": body.bone_length_sum_mm,
            "scale_mm": body.scale_mm,
        }
        | ({} if origin is None else {"poses": origin.model_dump(mode="json")}),
    )


def apply(progress: Progress, gan: Gan, saved: TrainingState) -> None:
    """Load a state into a training.

    The configurations may differ only in `iterations` and `reports`, so a training can be extended.

    Raises:
        InputError: the state belongs to a different configuration or to other poses.
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
    """Restore the progress and the best generator of a training.

    A best generator stays the best by the goal that it was chosen by, also if the training has
    another one now. A state of an earlier version does not name its poses: they stay unknown.

    Returns:
        Tensors of the state by part: one part for each network, 'optim' for the optimisers, and
        'sums' for the losses since the last report.

    Raises:
        InputError: the state belongs to a different configuration or to other poses.
    """
    _check_configuration(progress.config, saved.meta["config"])
    origin = Origin.read(saved.meta)
    if origin is not None and progress.origin is not None:
        origin.check_same(progress.origin)
    progress.origin = origin
    parts: dict[str, dict[str, Tensor]] = {}
    for name, array in saved.arrays.items():
        part, _, key = name.partition(".")
        parts.setdefault(part, {})[key] = torch.from_numpy(np.array(array))
    progress.iteration = saved.meta["iteration"]
    progress.last_report = saved.meta.get("since", progress.iteration)
    if best := saved.meta["best"]:
        progress.best.value, progress.best.iteration = best["value"], best["iteration"]
        progress.goal = Goal(**saved.meta.get("goal", {}))
        weights = {key.partition(".")[2]: value for key, value in parts["best"].items()}
        progress.best.weights = {key: value.to(device) for key, value in weights.items()}
    return parts


def optimiser_moments(
    name: str, parts: Mapping[str, Mapping[str, Tensor]]
) -> dict[int, dict[str, Tensor]]:
    """Return the optimiser moments of one network by parameter index; empty before any step."""
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in parts.get("optim", {}).items():
        network, _, rest = key.partition(".")
        if network == name:
            index, _, moment = rest.partition(".")
            moments.setdefault(int(index), {})[moment] = value
    return moments


def _check_configuration(config: TrainConfig, saved: dict[str, Any]) -> None:
    current = config.model_dump(mode="json")
    different = [
        key
        for key in current
        if key not in {"iterations", "reports"} and current[key] != saved.get(key)
    ]
    if different:
        raise InputError(
            "checkpoint",
            "belongs to a different configuration",
            "differs in " + ", ".join(different),
        )


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
