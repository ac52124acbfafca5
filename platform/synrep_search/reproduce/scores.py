"""Evaluate the models of a table's row: mean errors with standard errors over seeds."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from synrep.datasets import open_poses
from synrep.datasets.origin import Origin
from synrep.datasets.views import load_views
from synrep.errors import InputError
from synrep.evaluation import pck
from synrep.evaluation.tables import (
    MEAN_OF_ACTIONS,
    MEAN_OF_FRAMES,
    damaged,
    errors,
    official_average,
    table,
    to_mm,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synrep_search.reproduce.models import Model
    from synrep_search.reproduce.tables import Row

AVERAGE = MEAN_OF_ACTIONS
AVERAGES = {MEAN_OF_ACTIONS, MEAN_OF_FRAMES}


@dataclass(frozen=True, kw_only=True)
class Number:
    """Mean over seeds with its standard error, which is None for a single seed."""

    mean: float
    error: float | None
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Number:
        """Return the mean and standard error of one value per seed."""
        count = len(values)
        error = statistics.stdev(values) / count**0.5 if count > 1 else None
        return cls(mean=statistics.fmean(values), error=error, seeds=count)

    def __str__(self) -> str:
        return f"{self.mean:.1f}" + ("" if self.error is None else f" ± {self.error:.1f}")


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The results of a row.

    Attributes:
        row: the row of the table.
        numbers: results by action; the last entry is the average.
        views: number of test views.
        damaged: number of test views without extent (all joints in one point), which are counted.
        seconds: wall time of a training run; None if none finished without interruption.
        averaged: the average that counts on the test poses: over actions, as in the paper, or over
            all frames, as in the official score of MPI-INF-3DHP.
    """

    row: Row
    numbers: dict[str, Number]
    views: int
    damaged: int = 0
    seconds: Number | None = None
    averaged: str = AVERAGE

    @property
    def average(self) -> Number:
        """The average named by `averaged`."""
        return self.numbers[self.averaged]


@torch.no_grad()
def score_row(row: Row, models: Sequence[Model], poses: str) -> Scored:
    """Evaluate the models of a row on the test subjects of a pose store.

    Args:
        row: the row of the table.
        models: one model per seed, at least one.
        poses: folder of the pose store to test on.

    Raises:
        InputError: the poses can't be used, or a model has seen their test subjects.
    """
    store = open_poses(poses)
    tested = Origin.of(store)
    by_seed: list[dict[str, float]] = []
    count = without_size = 0
    for model in models:
        data = model.data.model_copy(update={**row.test, "poses": poses})
        views = load_views(data, "test")
        _check_new(model, tested, views.subjects, poses)
        count, without_size = len(views), damaged(views)
        predicted = model.predict(views)
        evaluation = model.evaluation
        if row.scale is not None:
            evaluation = evaluation.model_copy(update={"scale": row.scale})
        if row.measure == "pck":
            true_mm = views.poses * views.scale_mm[:, None, None]
            predicted_mm = to_mm(predicted, views, evaluation.scale, model.body)
            scores = pck.pck(pck.joint_errors_mm(predicted_mm, true_mm, views.skeleton.joints))
        else:
            scores = errors(predicted, views, evaluation, model.body)[row.measure]
        rows = table({"value": scores}, views)
        by_seed.append({action: part["value"] for action, part in rows.items()})
    averaged = official_average(store.header)
    numbers = {
        action: Number.of([values[action] for values in by_seed])
        for action in [*(name for name in by_seed[0] if name not in AVERAGES), averaged]
    }
    seconds = [model.seconds for model in models if model.seconds is not None]
    return Scored(
        row=row,
        numbers=numbers,
        views=count,
        damaged=without_size,
        seconds=Number.of(seconds) if seconds else None,
        averaged=averaged,
    )


def _check_new(model: Model, tested: Origin, subjects: list[str], poses: str) -> None:
    """Raise InputError if a model was trained or selected on subjects that are to test it."""
    seen = model.origin.seen(tested, subjects, ("train", "validation")) if model.origin else []
    if seen:
        rule = f"a model of this table was trained or selected on {', '.join(seen)}"
        raise InputError(poses, rule, "restore the pose store, or train anew with another --out")
