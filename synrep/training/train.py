"""Trains one model by one call, in a folder or in memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from synrep.training.loop import Training, run
from synrep.training.run_folder import RunFolder, check_device, check_poses

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from synrep.config import TrainConfig

    OnReport: TypeAlias = "Callable[[int, dict[str, float]], None]"
    """Called at each report with the iterations done and the metrics: means of the losses
    (`train/...`) and errors in mm (`validation/mpjpe_mm`, ...)."""


def train(
    config: TrainConfig,
    out: str | os.PathLike[str] | None = None,
    *,
    on_report: OnReport | None = None,
    device: str = "cpu",
    threads: int | None = None,
) -> Training:
    """Train one model to its end.

    Args:
        config: decides the result completely, on one kind of device.
        out: new folder of the training: configuration, log, and a checkpoint at each report, from
            which `resume` goes on. Without one the model stays in memory.
        on_report: called after each report; an exception that it raises ends the training.
        device: where to train: cpu, cuda.
        threads: CPU threads, for all that PyTorch does in this process; all of the machine's if
            omitted.

    Returns:
        The training at its end. `best` has value and iteration of its best report on validation
        subjects; `synrep.load_lifter`, `synrep.evaluate` and `synrep.export` take it, or its
        folder.

    Raises:
        InputError: the folder holds something already, or the poses or the device can't be used.
        Diverged: the training can't recover.
    """
    if out is not None:
        folder = RunFolder(Path(out))
        training = folder.create(config, device=device, threads=threads)
        folder.train(training, on_report or _ignore)
        return training
    check_device(device)
    check_poses(config)
    training = Training(config, device=device, threads=threads)
    report = on_report or _ignore
    run(training, lambda metrics, _state: report(training.iteration, metrics))
    return training


def resume(
    out: str | os.PathLike[str],
    *,
    iterations: int | None = None,
    on_report: OnReport | None = None,
    device: str = "cpu",
    threads: int | None = None,
) -> Training:
    """Go on with the training in a folder, from its newest checkpoint to its end.

    On the same kind of device it ends as if it had never been interrupted.

    Args:
        out: folder of the training.
        iterations: its new length; the old one if omitted.
        on_report: see `train`.
        device: likewise.
        threads: likewise.

    Raises:
        InputError: the folder holds no training, or more iterations are done.
        DamagedError: a file of it is damaged.
        Diverged: the training can't recover.
    """
    folder = RunFolder(Path(out))
    training = folder.resume(device=device, threads=threads, iterations=iterations)
    folder.train(training, on_report or _ignore)
    return training


def _ignore(_iteration: int, _metrics: dict[str, float]) -> None:
    """What is done with a report that nobody asked for."""
