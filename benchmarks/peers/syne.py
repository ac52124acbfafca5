"""Syne Tune with its local backend. Arguments: trials, workers, and `asha`. Needs syne-tune."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gan import SPACE, fixed
from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend import LocalBackend
from syne_tune.config_space import loguniform
from syne_tune.optimizer.baselines import ASHA, RandomSearch


def main() -> None:
    """Run one search."""
    trials, workers, asha = int(sys.argv[1]), int(sys.argv[2]), "asha" in sys.argv
    logging.disable(logging.WARNING)
    space = {name.replace(".", "_"): loguniform(*ends) for name, ends in SPACE.items()}
    length = int(fixed()["iterations"])
    scheduler: Any = RandomSearch(space, metrics=["goal"], random_seed=0)  # costs nothing
    if asha:
        scheduler = ASHA(
            space,
            metric="goal",
            time_attr="iteration",
            max_t=length,
            grace_period=length // 10,
            random_seed=0,
        )
    with TemporaryDirectory() as folder:
        tuner = Tuner(
            trial_backend=LocalBackend(str(Path(__file__).parent / "syne_trial.py")),
            scheduler=scheduler,
            stop_criterion=StoppingCriterion(max_num_trials_finished=trials),
            n_workers=workers,
            sleep_time=0.2,  # its default of 5 s would leave workers idle
            save_tuner=False,
            trial_backend_path=folder,
        )
        tuner.run()


if __name__ == "__main__":
    main()
