"""The usual recipe: Ray Tune with OptunaSearch and MLflowLoggerCallback.

Arguments: trials, and `asha` for early stopping with Tune's ASHAScheduler.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "MLFLOW_DISABLE_TELEMETRY": "true"}
sys.path.insert(0, str(Path(__file__).parent))

import optuna
import ray
from gan import GOAL, REPORTS, SPACE, VARIABLE, fixed, train
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch


def trainable(config: dict[str, float]) -> None:
    """One trial."""

    def report(iteration: int, metrics: dict[str, float]) -> bool:
        tune.report({"iteration": iteration, **metrics})
        return True

    train({name: config[name] for name in SPACE}, 0, report)


def main() -> None:
    """Run one search."""
    trials, asha = int(sys.argv[1]), "asha" in sys.argv
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    here = str(Path(__file__).parent)
    passed = {name: os.environ[name] for name in (VARIABLE, REPORTS)}
    runtime = {"env_vars": {"PYTHONPATH": here, **passed}}
    ray.init(
        num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False, runtime_env=runtime
    )
    length = int(fixed()["iterations"])
    scheduler = ASHAScheduler(
        time_attr="iteration", max_t=length, grace_period=length // 10, reduction_factor=3
    )
    with TemporaryDirectory() as folder:
        callback = MLflowLoggerCallback(
            tracking_uri=f"sqlite:///{folder}/mlflow.db", experiment_name="stock"
        )
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            param_space={name: tune.loguniform(*ends) for name, ends in SPACE.items()},
            tune_config=tune.TuneConfig(
                metric=GOAL,
                mode="min",
                num_samples=trials,
                search_alg=OptunaSearch(),
                scheduler=scheduler if asha else None,
            ),
            run_config=tune.RunConfig(
                storage_path=str(Path(folder) / "results"), callbacks=[callback], verbose=0
            ),
        )
        found = tuner.fit()
        assert len(found) == trials
        assert not found.errors


if __name__ == "__main__":
    main()
