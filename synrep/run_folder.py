"""A training in a folder: configuration, log and checkpoints; can be stopped and resumed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from synrep.checkpoint import (
    newest_checkpoints,
    prune_checkpoints,
    read_checkpoint,
    save_checkpoint,
)
from synrep.config import TrainConfig
from synrep.errors import DamagedError, InputError
from synrep.storage import Storage
from synrep.training import Decision, Training, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from synrep.checkpoint import State

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
        """Start a new training here. Nothing is written if it can't be built.

        Raises:
            InputError: the folder holds a training already, or the training can't be built.
        """
        if self.storage.exists(CONFIG):
            raise InputError(
                str(self.path), "holds a training already", "add --resume, or name another folder"
            )
        training = Training(config, device=device, threads=threads)
        self.storage.write(CONFIG, config.model_dump_json(indent=2).encode())
        return training

    def resume(self, *, device: str, threads: int | None) -> Training:
        """The training that is here, at its newest good checkpoint.

        Raises:
            InputError: there is none.
        """
        training = Training(self.config(), device=device, threads=threads)
        if newest_checkpoints(self.checkpoints):
            training.restore(read_checkpoint(self.newest()))
        return training

    def config(self) -> TrainConfig:
        """The configuration of the training that is here.

        Raises:
            InputError: there is none.
        """
        if not self.storage.exists(CONFIG):
            raise InputError(str(self.path), "holds no training to resume", "leave out --resume")
        return TrainConfig.model_validate_json(self.storage.read(CONFIG))

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

        Args:
            training: made by `create` or `resume`.
            on_report: called with iteration and metrics after each report was stored.

        Raises:
            Diverged: the training can't recover.
        """
        log = [row for row in self._log() if row["iteration"] <= training.iteration]

        def store(metrics: dict[str, float], state: Callable[[], State]) -> Decision:
            log.append({"iteration": training.iteration, **metrics})
            save_checkpoint(self.checkpoints, state(), training.iteration)
            self.storage.write(LOG, "".join(json.dumps(row) + "\n" for row in log).encode())
            prune_checkpoints(self.checkpoints)
            on_report(training.iteration, metrics)
            return Decision.CONTINUE

        run(training, store)

    def _log(self) -> list[dict[str, Any]]:
        if not self.storage.exists(LOG):
            return []
        return [json.loads(line) for line in self.storage.read(LOG).decode().splitlines()]
