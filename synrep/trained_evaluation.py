"""Scores a trained model beside the references that give its number a meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from synrep.evaluation import predict, score
from synrep.references import mean_depth, perfect_depth, supervised
from synrep.trained import Trained
from synrep.views import open_views

if TYPE_CHECKING:
    from pathlib import Path


def evaluate_model(
    model: Path, split: str, *, poses: str | None = None, references: bool = False
) -> dict[str, Any]:
    """Tables of a model, and of the references if asked for.

    Args:
        model: checkpoint file or exported folder.
        split: 'validation' or 'test'.
        poses: another pose store than the training's.
        references: also score mean depth, perfect depth and the supervised generator; the last is
            trained for as long as the model was.

    Returns:
        'model' and each reference: see `synrep.evaluation.score`.

    Raises:
        InputError: the model or the poses can't be used.
    """
    trained = Trained.read(model)
    config = trained.config
    data = config.data if poses is None else config.data.model_copy(update={"poses": poses})
    views = open_views(data, split)
    predictions = {"model": predict(trained.network(), views)}
    if references:
        train = open_views(data, "train")
        predictions |= {
            "mean depth": mean_depth(train, views),
            "perfect depth": perfect_depth(views),
            "supervised": supervised(config.model_copy(update={"data": data}), views),
        }
    with torch.no_grad():
        return {
            name: score(made, views, config.evaluation, trained.body)
            for name, made in predictions.items()
        } | {"split": split, "seed": config.seed, "best_on_validation": trained.best}
