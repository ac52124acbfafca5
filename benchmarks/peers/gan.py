"""The training that every contestant of throughput.py runs, and the space it is searched in.

What is trained comes from the environment, since contestants start processes in their own ways:
$SYNREP_BENCH is JSON with poses, iterations, reports, width, branch_width and batch_size.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "SYNREP_BENCH"
REPORTS = "SYNREP_BENCH_REPORTS"
"""Names the folder for a line about every report, for the race; a file for each process."""
SPACE = {
    "loss.lambda_angle": (0.01, 10.0),
    "optim.lr_generator": (1e-4, 1e-3),
    "optim.lr_reprojection": (1e-4, 1e-3),
    "optim.lr_discriminator": (1e-4, 1e-3),
}
"""Ranges, all logarithmic."""
METRICS = 10
"""Of each report, so that everybody keeps the same number."""
GOAL = "validation/mpjpe_mm"


def fixed() -> dict[str, Any]:
    """The configuration of every trial, by dotted name; without seed and searched values."""
    given = json.loads(os.environ[VARIABLE])
    return {
        "data.poses": given["poses"],
        "iterations": given["iterations"],
        "reports": given["reports"],
        "batch_size": given["batch_size"],
        "generator.width": given["width"],
        "reprojection_network.width": given["width"],
        "critic.branch_width": given["branch_width"],
        "evaluation.views": 2048,
    }


def train(
    values: dict[str, float], seed: int, report: Callable[[int, dict[str, float]], bool]
) -> float:
    """Train one configuration on one thread.

    Args:
        values: by dotted name.
        seed: of the training.
        report: called with iteration and metrics; false ends the training.

    Returns:
        The last error on validation subjects.
    """
    from synrep.cli.options import read_config  # noqa: PLC0415 - contestants time their own start
    from synrep.training.loop import Training  # noqa: PLC0415

    settings = {**fixed(), **values, "seed": seed}
    options = tuple(f"{name}={json.dumps(value)}" for name, value in settings.items())
    training = Training(read_config(None, options), threads=1)
    metrics: dict[str, float] = {}
    log = Path(os.environ[REPORTS]) / f"{os.getpid()}.txt"
    while not training.finished:
        metrics = dict(sorted(training.advance().items(), reverse=True)[:METRICS])
        with log.open("a") as lines:
            lines.write(f"{time.time()} {metrics[GOAL]}\n")
        if not report(training.iteration, metrics):
            break
    return metrics[GOAL]


def logged() -> list[tuple[float, float]]:
    """Time (since 1970) and error of every report, in the order of time."""
    lines = [
        line
        for file in Path(os.environ[REPORTS]).iterdir()
        for line in file.read_text().splitlines()
    ]
    pairs = (line.split() for line in lines)
    return sorted((float(at), float(value)) for at, value in pairs)
