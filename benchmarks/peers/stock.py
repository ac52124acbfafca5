"""The usual recipe: Ray Tune with OptunaSearch and MLflowLoggerCallback, on trivial trials.

Run by driver_cost.py in a process of its own. Arguments: trials, reports, metrics, and `mlflow`
or `plain`.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "MLFLOW_DISABLE_TELEMETRY": "true"}

import optuna
import ray
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.search.optuna import OptunaSearch


def trivial(config: dict[str, float]) -> None:
    """Reports without any work."""
    for report in range(1, int(config["reports"]) + 1):
        value = (config["x"] - 0.3) ** 2 + 1 / report
        tune.report({f"metric_{index}": value + index for index in range(int(config["metrics"]))})


def main() -> None:
    """Run one search."""
    trials, reports, metrics = map(int, sys.argv[1:4])
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    ray.init(num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False)
    with TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/mlflow.db"
        callbacks: list[Any] = []
        if sys.argv[4] == "mlflow":
            callbacks.append(MLflowLoggerCallback(tracking_uri=store, experiment_name="stock"))
        tuner = tune.Tuner(
            trivial,
            param_space={"x": tune.uniform(0, 1), "reports": reports, "metrics": metrics},
            tune_config=tune.TuneConfig(
                metric="metric_0", mode="min", num_samples=trials, search_alg=OptunaSearch()
            ),
            run_config=tune.RunConfig(
                storage_path=str(Path(folder) / "results"), callbacks=callbacks, verbose=0
            ),
        )
        found = tuner.fit()
        assert len(found) == trials
        assert not found.errors


if __name__ == "__main__":
    main()
