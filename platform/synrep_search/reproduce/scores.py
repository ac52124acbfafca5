"""From the models of a table to its numbers, with their error over seeds."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from synrep.datasets.views import load_views
from synrep.evaluation import pck
from synrep.evaluation.tables import damaged, errors, table, to_mm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synrep_search.reproduce.models import Model
    from synrep_search.reproduce.tables import Row

AVERAGE = "mean of actions"


@dataclass(frozen=True, kw_only=True)
class Number:
    """Mean over seeds with its standard error; no error from a single seed."""

    mean: float
    error: float | None
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Number:
        """Of one value a seed."""
        count = len(values)
        error = statistics.stdev(values) / count**0.5 if count > 1 else None
        return cls(mean=statistics.fmean(values), error=error, seeds=count)

    def __str__(self) -> str:
        return f"{self.mean:.1f}" + ("" if self.error is None else f" ± {self.error:.1f}")


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A row with its numbers by action, the last one being the mean of the actions.

    Attributes:
        row: of a table.
        numbers: by action.
        views: of the test.
        damaged: how many of them have no size, and count like others.
        seconds: wall time of a training; None where nothing was trained without interruption.
    """

    row: Row
    numbers: dict[str, Number]
    views: int
    damaged: int = 0
    seconds: Number | None = None

    @property
    def average(self) -> Number:
        """The mean of the actions, as the paper averages."""
        return self.numbers[AVERAGE]


@torch.no_grad()
def score_row(row: Row, models: Sequence[Model], poses: str) -> Scored:
    """Measure the trainings of a row on the test subjects of a pose store.

    Args:
        row: of a table.
        models: one for each seed.
        poses: folder of the store to test on.

    Raises:
        InputError: the poses can't be used.
    """
    by_seed: list[dict[str, float]] = []
    count = without_size = 0
    for model in models:
        data = model.data.model_copy(update={**row.test, "poses": poses})
        views = load_views(data, "test")
        count, without_size = len(views), damaged(views)
        made = model.predict(views)
        evaluation = model.evaluation
        if row.scale is not None:
            evaluation = evaluation.model_copy(update={"scale": row.scale})
        if row.measure == "pck":
            true = views.poses * views.scale_mm[:, None, None]
            made_mm = to_mm(made, views, evaluation.scale, model.body)
            found = pck.pck(pck.joint_errors_mm(made_mm, true, views.skeleton.joints))
        else:
            found = errors(made, views, evaluation, model.body)[row.measure]
        rows = table({"value": found}, views)
        by_seed.append({action: part["value"] for action, part in rows.items()})
    numbers = {
        action: Number.of([values[action] for values in by_seed])
        for action in by_seed[0]
        if action != "mean of frames"
    }
    seconds = [model.seconds for model in models if model.seconds is not None]
    return Scored(
        row=row,
        numbers=numbers,
        views=count,
        damaged=without_size,
        seconds=Number.of(seconds) if seconds else None,
    )
