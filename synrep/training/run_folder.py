"""Run folders: configuration, log and checkpoints of a resumable training."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError

from synrep.config import TrainConfig, check_effects
from synrep.datasets import open_poses
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
    """Folder with the configuration, log and checkpoints of one training.

    Args:
        path: path of the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.storage = Storage.at(path)
        self.checkpoints = self.storage.child(CHECKPOINTS)

    def create(self, config: TrainConfig, *, device: str, threads: int | None) -> Training:
        """Create a new training in this folder. Nothing is written before its first report.

        Raises:
            InputError: the folder is not empty, or the configuration can't be trained.
        """
        if self.storage.exists(CONFIG):
            raise InputError(
                str(self.path), "already contains a training", "resume it, or name another folder"
            )
        if self.path.exists() and any(self.path.iterdir()):
            raise InputError(str(self.path), "is not empty", "name a new folder")
        check_device(device)
        check_poses(config)
        return Training(config, device=device, threads=threads)

    def resume(
        self, *, device: str, threads: int | None, iterations: int | None = None
    ) -> Training:
        """Resume the training in this folder from its newest intact checkpoint.

        Args:
            device: device to train on.
            threads: number of CPU threads; all cores if omitted.
            iterations: new total number of iterations; unchanged if omitted. From here on, reports
                and learning-rate decay are scheduled over the new total.

        Raises:
            InputError: the folder contains no training, or it has done more than `iterations`.
        """
        config = self.config()
        if iterations is not None:
            config = config.model_copy(update={"iterations": iterations})
        check_device(device)
        training = Training(config, device=device, threads=threads)
        if newest_checkpoints(self.checkpoints):
            training.restore(read_checkpoint(self.newest()))
        if training.iteration > config.iterations:
            rule = f"{config.iterations} is less than the {training.iteration} already done"
            raise InputError("iterations", rule, "increase it")
        return training

    def config(self) -> TrainConfig:
        """Read the configuration of the training in this folder.

        Raises:
            InputError: the folder contains no training.
            DamagedError: the configuration is invalid.
        """
        if not self.storage.exists(CONFIG):
            raise InputError(
                str(self.path), "contains no training to resume", "train one there first"
            )
        try:
            return TrainConfig.model_validate_json(self.storage.read(CONFIG))
        except ValidationError as error:
            place = str(self.path / CONFIG)
            raise DamagedError(place, faults(error, TrainConfig), "restore the file") from None

    def newest(self) -> Path:
        """Return the path of the newest checkpoint that matches its checksum.

        Raises:
            InputError: there is no intact checkpoint.
        """
        for name in newest_checkpoints(self.checkpoints):
            try:
                read_checkpoint(self.path / CHECKPOINTS / name)
            except DamagedError:
                continue
            return self.path / CHECKPOINTS / name
        raise InputError(
            str(self.path), "contains no intact checkpoint", "train until the first report"
        )

    def train(self, training: Training, on_report: Callable[[int, dict[str, float]], None]) -> None:
        """Train to the end; write a checkpoint and a log line at each report.

        The configuration is also written at the first report, so a training that fails to start
        leaves no files behind.

        Args:
            training: training returned by `create` or `resume`.
            on_report: called with the iteration and metrics after each report is stored.

        Raises:
            Diverged: the training cannot recover.
        """
        if training.finished:  # no further report will write the configuration
            self._write_config(training.config)
        log = [row for row in self._read_log() if row["iteration"] <= training.iteration]

        def store(metrics: dict[str, float], state: Callable[[], TrainingState]) -> None:
            self._write_config(training.config)
            log.append({"iteration": training.iteration, **metrics})
            save_checkpoint(self.checkpoints, state(), training.iteration)
            self.storage.write(LOG, "".join(json.dumps(row) + "\n" for row in log).encode())
            prune_checkpoints(self.checkpoints)
            on_report(training.iteration, metrics)

        run(training, store)

    def _write_config(self, config: TrainConfig) -> None:
        self.storage.write(CONFIG, config.model_dump_json(indent=2).encode())

    def _read_log(self) -> list[dict[str, Any]]:
        if not self.storage.exists(LOG):
            return []
        try:
            rows = [json.loads(line) for line in self.storage.read(LOG).splitlines()]
        except ValueError as error:
            place = str(self.path / LOG)
            raise DamagedError(place, f"not a log: {error}", "restore or delete the file") from None
        return rows


def model_path(path: Path) -> Path:
    """Return the checkpoint or export that a path means: for a training's folder, its newest one.

    Raises:
        InputError: the folder of a training has no good checkpoint.
    """
    return RunFolder(path).newest() if (path / CHECKPOINTS).is_dir() else path


def check_poses(config: TrainConfig) -> None:
    """Raise if a new training sets a field that has no effect, on its poses or at all.

    Raises:
        InputError: there is such a field, or the poses can't be used.
    """
    check_effects(config, store=open_poses(config.data.poses).header.effects)


def check_device(name: str) -> None:
    """Raise if PyTorch can't use this device."""
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"device {name!r}", reason, "use cpu, or cuda on a machine with a GPU"
        ) from None
