"""Optuna alone: processes that share a study, and its MLflow callback.

Arguments: trials, processes, and `asha` for Optuna's successive halving. Needs optuna-integration.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true"}

import mlflow
import optuna
from gan import GOAL, SPACE, fixed, train
from optuna.study import MaxTrialsCallback
from optuna_integration import MLflowCallback


def work(folder: str, trials: int, asha: bool) -> None:  # noqa: FBT001 - called by Process
    """One process: asks the study for trials until there are enough."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    length = int(fixed()["iterations"])
    pruner = (
        optuna.pruners.SuccessiveHalvingPruner(min_resource=length // 10, reduction_factor=3)
        if asha
        else optuna.pruners.NopPruner()
    )
    study = optuna.load_study(
        study_name="peer", storage=f"sqlite:///{folder}/study.db", pruner=pruner
    )
    callback = MLflowCallback(tracking_uri=f"sqlite:///{folder}/mlflow.db", metric_name="mpjpe_mm")

    @callback.track_in_mlflow()
    def objective(trial: optuna.Trial) -> float:
        values = {name: trial.suggest_float(name, *ends, log=True) for name, ends in SPACE.items()}

        def report(iteration: int, metrics: dict[str, float]) -> bool:
            mlflow.log_metrics(metrics, step=iteration)
            trial.report(metrics[GOAL], iteration)
            return not trial.should_prune()

        return train(values, trial.number, report)

    enough = MaxTrialsCallback(trials, states=None)
    study.optimize(objective, n_trials=trials, callbacks=[callback, enough])


def main() -> None:
    """Make study and store, start the processes."""
    trials, processes, asha = int(sys.argv[1]), int(sys.argv[2]), "asha" in sys.argv
    with TemporaryDirectory() as folder:
        optuna.create_study(study_name="peer", storage=f"sqlite:///{folder}/study.db")
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        artifacts = (Path(folder) / "artifacts").as_uri()
        mlflow.create_experiment("peer", artifact_location=artifacts)
        context = multiprocessing.get_context("spawn")
        workers = [
            context.Process(target=work, args=(folder, trials, asha)) for _ in range(processes)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        study = optuna.load_study(study_name="peer", storage=f"sqlite:///{folder}/study.db")
        assert len(study.trials) >= trials
        assert all(worker.exitcode == 0 for worker in workers)


if __name__ == "__main__":
    main()
