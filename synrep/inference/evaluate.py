"""Scores a trained model beside the references that give its number a meaning."""

from __future__ import annotations

import json
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from synrep.baselines.predict import CONFIGS, predict_poses
from synrep.baselines.references import mean_depth, perfect_depth, supervised
from synrep.config import TrainConfig
from synrep.datasets.views import load_views
from synrep.errors import DamagedError, InputError
from synrep.evaluation.tables import BodyScale, predict, score
from synrep.inference.lifter import Lifter, load_lifter
from synrep.training.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from synrep.baselines.config import AnyBaseline
    from synrep.config import DataConfig
    from synrep.datasets.views import Views
    from synrep.inference.lifter import Model
    from synrep.training.checkpoint import TrainingState


@dataclass(frozen=True, kw_only=True)
class _Scorable:
    """The model, or a baseline, as far as scoring it needs.

    Attributes:
        name: of the trainer: 'synrep', or that of the baseline.
        config: of the training.
        predict: poses (V, J, 3) in radii of views.
        body: sizes of the training poses.
        best: see `Lifter.best`.
    """

    name: str
    config: TrainConfig | AnyBaseline
    predict: Callable[[Views], Tensor]
    body: BodyScale
    best: dict[str, float]


def evaluate(
    model: Model,
    split: str = "test",
    *,
    poses: str | PathLike[str] | None = None,
    references: bool = False,
) -> dict[str, Any]:
    """Score a model on subjects that it was not trained on, and the references if asked for.

    Args:
        model: the folder of a training, an exported folder, a checkpoint file, also of a baseline,
            or a training in memory.
        split: 'validation' or 'test'.
        poses: another pose store than the training's.
        references: also score mean depth, perfect depth and the supervised generator; the last is
            trained for as long as the model was.

    Returns:
        'model' and each reference: see `synrep.evaluation.tables.score`; and what they were trained
        and tested on.

    Raises:
        InputError: the model or the poses can't be used, or references to a baseline are wanted.
    """
    trained = _open(model)
    config = trained.config
    data = config.data
    if poses is not None:
        data = data.model_copy(update={"poses": fspath(poses)})
    views = load_views(data, split)
    with torch.no_grad():
        predictions = {"model": trained.predict(views)}
    if references:
        predictions |= _references(model, config, data, views)
    with torch.no_grad():
        return {
            name: score(made, views, config.evaluation, trained.body)
            for name, made in predictions.items()
        } | {
            "trainer": trained.name,
            "trained_on": config.data.poses,
            "tested_on": data.poses,
            "split": split,
            "seed": config.seed,
            "best_on_validation": trained.best,
        }


def _references(
    model: Model, config: TrainConfig | AnyBaseline, data: DataConfig, views: Views
) -> dict[str, Tensor]:
    if not isinstance(config, TrainConfig):
        raise InputError(
            str(model),
            "is of a baseline, which is a reference itself",
            "leave out --references; `synrep reproduce benchmark` compares baselines with them",
        )
    train = load_views(data, "train")
    return {
        "mean depth": mean_depth(train, views),
        "perfect depth": perfect_depth(views),
        "supervised": supervised(config.model_copy(update={"data": data}), views),
    }


def _open(model: Model) -> _Scorable:
    """A trained model, or the baseline in a checkpoint file."""
    if isinstance(model, str | PathLike) and Path(model).is_file():
        state = read_checkpoint(Path(model))
        if "baseline" in (state.meta.get("config") or {}):
            return _baseline(state, str(model))
        trained = Lifter.of(state, str(model))
    else:
        trained = load_lifter(model)
    network = trained.network()
    return _Scorable(
        name="synrep",
        config=trained.config,
        predict=lambda views: predict(network, views),
        body=trained.body,
        best=trained.best,
    )


def _baseline(state: TrainingState, place: str) -> _Scorable:
    try:
        content, sizes = state.meta["config"], ("bone_length_sum_mm", "scale_mm")
        return _Scorable(
            name=content["baseline"],
            config=CONFIGS[content["baseline"]].model_validate_json(json.dumps(content)),
            predict=lambda views: predict_poses(state, views),
            body=BodyScale(**{name: state.meta[name] for name in sizes}),
            best=state.meta["best"] or {},
        )
    except (KeyError, ValueError) as error:
        raise DamagedError(place, f"not a checkpoint of this version: {error}") from None
