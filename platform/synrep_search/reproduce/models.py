"""The predictors that a table compares: trained by its searches, or not trained at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synrep.baselines.predict import predict_poses
from synrep.baselines.references import mean_depth, perfect_depth
from synrep.config import DataConfig, EvaluationConfig
from synrep.datasets.views import load_views
from synrep.evaluation.tables import BodyScale, predict
from synrep.inference.lifter import Lifter
from synrep.training.checkpoint import load_checkpoint
from synrep_search.errors import LedgerError
from synrep_search.launching import open_ledger
from synrep_search.paths import trial_folder
from synrep_search.reproduce.tables import MEAN_DEPTH, PLAIN
from synrep_search.search_file import trial_config

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from synrep.datasets.views import Views
    from synrep.training.checkpoint import TrainingState
    from synrep_search.durability.records import Trial
    from synrep_search.paths import SearchPaths
    from synrep_search.reproduce.tables import Row


@dataclass(frozen=True, kw_only=True)
class Model:
    """What turns 2D poses into 3D poses, and how it is measured.

    Attributes:
        predict: poses (V, J, 3) in radii of views.
        data: of its training.
        evaluation: likewise.
        body: sizes of its training poses.
        seconds: wall time of its training; None for one that was interrupted, or none.
    """

    predict: Callable[[Views], Tensor]
    data: DataConfig
    evaluation: EvaluationConfig
    body: BodyScale
    seconds: float | None = None


class Models:
    """The models that a search has trained, by their settings.

    Args:
        paths: of the search.

    Attributes:
        train: the configuration of its trainings, but for what it varies.
        held_out: whether validation subjects have chosen its generators.
        diverged: how many of its trainings did.

    Raises:
        LedgerError: a trial has failed, which says nothing of its settings.
    """

    def __init__(self, paths: SearchPaths) -> None:
        ledger = open_ledger(paths)
        self._ledger, self._storage = ledger, paths.storage(ledger.spec)
        self.train: dict[str, Any] = ledger.spec.train
        self.held_out = ledger.spec.search.metric.startswith("validation/")
        self.diverged = 0
        self._trials: list[Trial] = []
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

    def of(self, settings: Mapping[str, Any]) -> list[Model]:
        """One for each seed that did not diverge; what is not named is the paper's."""
        wanted = {**PLAIN, **settings}
        return [self._read(trial) for trial in self._trials if _chosen(trial, wanted)]

    def first(self) -> Lifter:
        """The generator of the first seed at the paper's settings.

        Raises:
            LedgerError: all of them diverged.
        """
        for trial in self._trials:
            if _chosen(trial, PLAIN):
                return Lifter.of(self._state(trial), f"trial {trial.number}")
        raise LedgerError(f"all trainings of {self._ledger.name!r} diverged")

    def _state(self, trial: Trial) -> TrainingState:
        place = self._storage.child(trial_folder(trial.number, trial.record.key))
        return load_checkpoint(place, self._ledger.checkpoints(trial.number)[0])

    def _read(self, trial: Trial) -> Model:
        spec, state = self._ledger.spec, self._state(trial)
        config = trial_config(spec, trial.record.values, trial.record.seed)
        return Model(
            predict=_predictor(state, spec.trainer, f"trial {trial.number}"),
            data=DataConfig.model_validate(config["data"]),
            evaluation=EvaluationConfig.model_validate(config["evaluation"]),
            body=BodyScale(
                bone_length_sum_mm=state.meta["bone_length_sum_mm"], scale_mm=state.meta["scale_mm"]
            ),
            seconds=_seconds(trial),
        )


def _seconds(trial: Trial) -> float | None:
    """From start to end of a training's only attempt; an end after a crash is when it was found."""
    attempts = trial.record.attempts
    return attempts[0].ended - attempts[0].started if len(attempts) == 1 else None


def untrained(row: Row, data: DataConfig, evaluation: EvaluationConfig) -> Model:
    """The predictor of a row that needs no training."""
    train = load_views(data, "train")

    def guess(views: Views) -> Tensor:
        return mean_depth(train, views) if row.label == MEAN_DEPTH else perfect_depth(views)

    return Model(predict=guess, data=data, evaluation=evaluation, body=BodyScale.of(train))


def _predictor(state: TrainingState, trainer: str, place: str) -> Callable[[Views], Tensor]:
    if trainer != "synrep":
        return lambda views: predict_poses(state, views)
    network = Lifter.of(state, place).network()
    return lambda views: predict(network, views)


def _chosen(trial: Trial, wanted: Mapping[str, Any]) -> bool:
    return all(_same(value, wanted[name]) for name, value in trial.record.values.items())


def _same(held: Any, wanted: Any) -> bool:
    """Equal; a family of functions may hold parameters that are not named."""
    if isinstance(wanted, dict):
        return isinstance(held, dict) and all(held.get(key) == wanted[key] for key in wanted)
    return bool(held == wanted)
