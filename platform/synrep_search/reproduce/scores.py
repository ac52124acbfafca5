"""From the trials of a table's search to its numbers, with their error over seeds."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch

from synrep import pck
from synrep.config import TrainConfig
from synrep.evaluation import errors, predict, table, to_mm
from synrep.trained import Trained
from synrep.views import open_views
from synrep_search.cli.common import open_ledger
from synrep_search.errors import LedgerError
from synrep_search.paths import trial_folder
from synrep_search.reproduce.tables import PLAIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synrep_search.paths import SearchPaths
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
    """A row with its numbers by action, the last one being the mean of the actions."""

    row: Row
    numbers: dict[str, Number]
    views: int

    @property
    def average(self) -> Number:
        """The mean of the actions, as the paper averages."""
        return self.numbers[AVERAGE]


class Models:
    """The generators that a search has trained, by their settings.

    Args:
        paths: of the search.

    Attributes:
        config: of its trainings, but for what it varies.
        diverged: how many of its trainings did.

    Raises:
        LedgerError: a trial has failed, which says nothing of its settings.
    """

    def __init__(self, paths: SearchPaths) -> None:
        ledger = open_ledger(paths)
        self._storage = paths.storage(ledger.spec)
        self.config = TrainConfig.model_validate_json(json.dumps(ledger.spec.train))
        self._ledger = ledger
        self._trials = []
        self.diverged = 0
        for trial in ledger.index.trials():
            if trial.state == "completed":
                self._trials.append(trial)
            elif trial.state == "diverged":
                self.diverged += 1
            else:
                raise LedgerError(
                    f"trial {trial.number} of search {ledger.name!r} is {trial.state} "
                    f"({trial.record.cause}): the table lacks one of its trainings"
                )

    def of(self, settings: dict[str, Any]) -> list[Trained]:
        """One for each seed that did not diverge; what is not named is the paper's."""
        wanted, found = PLAIN | settings, []
        for trial in self._trials:
            values = trial.record.values
            if all(_same(values[name], wanted[name]) for name in values):
                found.append(self._read(trial.number))
        return found

    def _read(self, number: int) -> Trained:
        ref = self._ledger.checkpoints(number)[0]
        content = self._storage.child(trial_folder(number)).read(ref.file)
        with TemporaryDirectory() as folder:
            file = Path(folder) / ref.file
            file.write_bytes(content)
            return Trained.read(file)


def _same(held: Any, wanted: Any) -> bool:
    """Equal; a family of functions may hold parameters that are not named."""
    if isinstance(wanted, dict):
        return isinstance(held, dict) and all(held.get(key) == wanted[key] for key in wanted)
    return bool(held == wanted)


@torch.no_grad()
def score_row(row: Row, models: Sequence[Trained], poses: str) -> Scored:
    """Measure the trainings of a row on the test subjects of a pose store.

    Args:
        row: of a table.
        models: one for each seed.
        poses: folder of the store to test on.

    Raises:
        InputError: the poses can't be used.
    """
    by_seed: list[dict[str, float]] = []
    count = 0
    for model in models:
        data = model.config.data.model_copy(update={**row.test, "poses": poses})
        views = open_views(data, "test")
        count = len(views)
        made = predict(model.network(), views)
        evaluation = model.config.evaluation
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
    return Scored(row=row, numbers=numbers, views=count)
