"""The predictors that a table compares: trained by its searches, or reference predictors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synrep.baselines.predict import predict_poses
from synrep.baselines.references import mean_depth, perfect_depth
from synrep.config import DataConfig, EvaluationConfig
from synrep.datasets.origin import Origin
from synrep.datasets.views import load_views
from synrep.evaluation.tables import BodyScale, predict
from synrep.inference.lifter import Lifter
from synrep.training.checkpoint import load_checkpoint
from synrep_search.errors import LedgerError
from synrep_search.launching import open_ledger
from synrep_search.paths import trial_folder
from synrep_search.reproduce.tables import MEAN_DEPTH, PAPER_SETTINGS
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
    """A predictor of 3D poses with its data and evaluation settings.

    Attributes:
        predict: maps V views to 3D poses (V, J, 3) in radii.
        data: data settings of its training run.
        evaluation: evaluation settings of its training run.
        body: body scale of its training poses.
        seconds: wall time of its training run; None if it was interrupted or nothing was trained.
        origin: the poses that it was trained on; None if they are unknown.
    """

    predict: Callable[[Views], Tensor]
    data: DataConfig
    evaluation: EvaluationConfig
    body: BodyScale
    seconds: float | None = None
    origin: Origin | None = None


class Models:
    """The models that a search has trained, by their settings.

    Args:
        paths: paths of the search.

    Attributes:
        train: configuration of the training runs, without the values that the search varies.
        held_out: whether the generators were selected on validation subjects.
        diverged: number of diverged trials.

    Raises:
        LedgerError: a trial has neither completed nor diverged, so the table would be incomplete.
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
                    f"({trial.record.cause}), so the table would be incomplete"
                )

    def of(self, settings: Mapping[str, Any]) -> list[Model]:
        """Return one model per seed that did not diverge; unnamed settings are the paper's."""
        complete = {**PAPER_SETTINGS, **settings}
        return [self._read(trial) for trial in self._trials if _matches(trial, complete)]

    def first(self) -> Lifter:
        """Return the generator of the first seed with the paper's settings.

        Raises:
            LedgerError: all training runs with these settings diverged.
        """
        for trial in self._trials:
            if _matches(trial, PAPER_SETTINGS):
                return Lifter.of(self._state(trial), f"trial {trial.number}")
        raise LedgerError(f"all training runs of search {self._ledger.name!r} diverged")

    def _state(self, trial: Trial) -> TrainingState:
        checkpoints = self._storage.child(trial_folder(trial.number, trial.record.key))
        return load_checkpoint(checkpoints, self._ledger.checkpoints(trial.number)[0])

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
            origin=Origin.read(state.meta),
        )


def _seconds(trial: Trial) -> float | None:
    """Return the wall time of a trial with a single attempt, else None.

    The end of a crashed attempt is the time when the driver detected the crash, so trials with
    several attempts are not timed.
    """
    attempts = trial.record.attempts
    return attempts[0].ended - attempts[0].started if len(attempts) == 1 else None


def untrained(row: Row, data: DataConfig, evaluation: EvaluationConfig) -> Model:
    """Return the reference predictor of a row without training."""
    train = load_views(data, "train")

    def reference(views: Views) -> Tensor:
        return mean_depth(train, views) if row.label == MEAN_DEPTH else perfect_depth(views)

    return Model(predict=reference, data=data, evaluation=evaluation, body=BodyScale.of(train))


def _predictor(state: TrainingState, trainer: str, place: str) -> Callable[[Views], Tensor]:
    if trainer != "synrep":
        return lambda views: predict_poses(state, views)
    network = Lifter.of(state, place).network()
    return lambda views: predict(network, views)


def _matches(trial: Trial, settings: Mapping[str, Any]) -> bool:
    return all(_equal(value, settings[name]) for name, value in trial.record.values.items())


def _equal(value: Any, setting: Any) -> bool:
    """Compare a trial's value with a setting; of a family, only the named parameters."""
    if isinstance(setting, dict):
        return isinstance(value, dict) and all(value.get(key) == setting[key] for key in setting)
    return bool(value == setting)
