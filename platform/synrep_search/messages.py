"""Messages between the driver and the workers: jobs one way, reports the other."""

from __future__ import annotations

from typing import Any, Literal

from synrep.schema import Section
from synrep.training.checkpoint import CheckpointRef

REPORT_HISTORY = "reports"
"""Key in a checkpoint under which it carries the newest reports of its trial, so that a restored
ledger can recover the reports that its copy lacks (`synrep_search.durability.recovery`)."""
KEPT = 3
"""Checkpoints kept of a trial. If the driver dies before it records the newest one, the ledger
still knows two, and the older of these serves if the newer is damaged."""


class TrialJob(Section):
    """All that a worker needs to run an attempt of a trial.

    Attributes:
        number: of the trial.
        attempt: 1 for the first.
        trainer: name in `synrep_search.trainers`.
        config: complete configuration of the training, with its seed.
        checkpoints: storage URI of this trial's checkpoints.
        resume_from: checkpoints of its reports, newest first; empty to start anew.
        paused: checkpoint of a pause after the newest of them.
        alone: whether the trial must not share its process.
        goal: metric of the search, which also selects the trial's best generator.
        maximize: whether larger values of it are better.
    """

    number: int
    attempt: int
    trainer: str
    config: dict[str, Any]
    checkpoints: str
    resume_from: tuple[CheckpointRef, ...] = ()
    paused: CheckpointRef | None = None
    alone: bool = False
    goal: str = "validation/mpjpe_mm"
    maximize: bool = False


End = Literal["", "completed", "diverged", "died", "paused", "deferred", "full"]


class TrialReport(Section):
    """The report of an attempt to the driver.

    Attributes:
        number: of the trial.
        attempt: of the trial.
        iteration: iterations done; 0 if the training ended before any report.
        metrics: of this report; empty if the attempt ended between two reports.
        checkpoint: of the state at this report or pause.
        ended: why this is the attempt's last report; empty if it continues. 'died': the training
            raised an exception; 'paused': on request; 'deferred': the storage was unavailable;
            'full': the storage has no space left.
        cause: of an end other than completion.
        note: a line for the user.
        time_ms: when it was made, in milliseconds since 1970.
        memory_mb: largest resident memory of the process so far.
    """

    number: int
    attempt: int
    iteration: int
    metrics: dict[str, float]
    checkpoint: CheckpointRef | None = None
    ended: End = ""
    cause: str = ""
    note: str = ""
    time_ms: int
    memory_mb: float = 0.0
