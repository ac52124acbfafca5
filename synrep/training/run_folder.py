"""A training in a folder: configuration, log and checkpoints; can be stopped and resumed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError

from synrep.config import TrainConfig
from synrep.errors import DamagedError, InputError, faults
from synrep.storage import Storage
from synrep.training.checkpoint import (
    newest_checkpoints,
    prune_checkpoints,
    read_checkpoint,
    save_checkpoint,
)
from synrep.training.loop import Training, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from synrep.training.checkpoint import TrainingState

CONFIG, LOG, CHECKPOINTS = "config.json", "log.jsonl", "checkpoints"


class RunFolder:
    """Names the files of one training.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.storage = Storage.at(path)
        self.checkpoints = self.storage.child(CHECKPOINTS)

    def create(self, config: TrainConfig, *, device: str, threads: int | None) -> Training:
        """Start a new training here. Nothing is written before its first report.

        Raises:
            InputError: the folder holds something already, or the training can't be built.
        """
        if self.storage.exists(CONFIG):
            raise InputError(
                str(self.path), "holds a training already", "resume it, or name another folder"
            )
        if self.path.exists() and any(self.path.iterdir()):
            raise InputError(str(self.path), "is not empty", "name a new folder")
        check_device(device)
        return Training(config, device=device, threads=threads)

    def resume(
        self, *, device: str, threads: int | None, iterations: int | None = None
    ) -> Training:
        """The training that is here, at its newest good checkpoint.

        Args:
            device: where to train.
            threads: CPU threads; all of the machine's if omitted.
            iterations: its new length; the old one if omitted. Reports, and the decay of learning
                rates if there is one, are spread over the new length from here on.

        Raises:
            InputError: there is none, or more iterations are done.
        """
        config = self.config()
        if iterations is not None:
            config = config.model_copy(update={"iterations": iterations})
        check_device(device)
        training = Training(config, device=device, threads=threads)
        if newest_checkpoints(self.checkpoints):
            training.restore(read_checkpoint(self.newest()))
        if training.iteration > config.iterations:
            rule = f"{config.iterations} are fewer than the {training.iteration} that are done"
            raise InputError("iterations", rule, "give more")
        return training

    def config(self) -> TrainConfig:
        """The configuration of the training that is here.

        Raises:
            InputError: there is none.
            DamagedError: it breaks a rule.
        """
        if not self.storage.exists(CONFIG):
            raise InputError(str(self.path), "holds no training to resume", "train one there first")
        try:
            return TrainConfig.model_validate_json(self.storage.read(CONFIG))
        except ValidationError as error:
            place = str(self.path / CONFIG)
            raise DamagedError(place, faults(error, TrainConfig), "restore the file") from None

    def newest(self) -> Path:
        """The newest checkpoint file that matches its checksum.

        Raises:
            InputError: there is none.
        """
        for name in newest_checkpoints(self.checkpoints):
            try:
                read_checkpoint(self.path / CHECKPOINTS / name)
            except DamagedError:
                continue
            return self.path / CHECKPOINTS / name
        raise InputError(str(self.path), "holds no checkpoint", "train until the first report")

    def train(self, training: Training, on_report: Callable[[int, dict[str, float]], None]) -> None:
        """Train to the end, with a checkpoint and a line of the log at each report.

        A report also writes the configuration: a training that can't start leaves nothing.

        Args:
            training: made by `create` or `resume`.
            on_report: called with iteration and metrics after each report was stored.

        Raises:
            Diverged: the training can't recover.
        """
        if training.finished:  # there is no report to write it
            self._keep(training.config)
        log = [row for row in self._log() if row["iteration"] <= training.iteration]

        def store(metrics: dict[str, float], state: Callable[[], TrainingState]) -> None:
            self._keep(training.config)
            log.append({"iteration": training.iteration, **metrics})
            save_checkpoint(self.checkpoints, state(), training.iteration)
            self.storage.write(LOG, "".join(json.dumps(row) + "\n" for row in log).encode())
            prune_checkpoints(self.checkpoints)
            on_report(training.iteration, metrics)

        run(training, store)

    def _keep(self, config: TrainConfig) -> None:
        self.storage.write(CONFIG, config.model_dump_json(indent=2).encode())

    def _log(self) -> list[dict[str, Any]]:
        if not self.storage.exists(LOG):
            return []
        try:
            rows = [json.loads(line) for line in self.storage.read(LOG).splitlines()]
        except ValueError as error:
            place = str(self.path / LOG)
            raise DamagedError(place, f"not a log: {error}", "restore or delete the file") from None
        return rows


def model_path(path: Path) -> Path:
    """The checkpoint or export that a path means: the folder of a training means its newest one.

    Raises:
        InputError: the folder of a training has no good checkpoint.
    """
    return RunFolder(path).newest() if (path / CHECKPOINTS).is_dir() else path


def check_device(name: str) -> None:
    """Raise if PyTorch can't compute there."""
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"device {name!r}", reason, "use cpu, or cuda on a machine with a GPU"
        ) from None
