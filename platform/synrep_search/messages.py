"""What the driver and the worker processes tell each other: jobs one way, reports the other."""

from __future__ import annotations

from typing import Any, Literal

from synrep.schema import Section
from synrep.training.checkpoint import CheckpointRef

REPORT_HISTORY = "reports"
"""Name in a checkpoint's state under which the newest reports of its trial stand: a ledger that
was lost with them gets them back (`synrep_search.durability.recovery`)."""
KEPT = 3
"""Checkpoints of a trial that are kept: two that the ledger knows of, whatever happens to it while
it is told of a third. Should the newer of the two be damaged, the other serves."""


class TrialJob(Section):
    """All that a process needs to run an attempt of a trial.

    Attributes:
        number: of the trial.
        attempt: 1 for the first.
        trainer: name in `synrep_search.trainers`.
        config: complete configuration of the training, with its seed.
        checkpoints: storage URI of this trial's checkpoints.
        resume_from: checkpoints of its reports, the newest first; empty to start anew.
        paused: checkpoint of a pause since the newest of them.
        alone: whether no other trial may share its process.
    """

    number: int
    attempt: int
    trainer: str
    config: dict[str, Any]
    checkpoints: str
    resume_from: tuple[CheckpointRef, ...] = ()
    paused: CheckpointRef | None = None
    alone: bool = False


End = Literal["", "completed", "diverged", "died", "paused", "deferred", "full"]


class TrialReport(Section):
    """What an attempt tells the driver at a report.

    Attributes:
        number: of the trial.
        attempt: of the trial.
        iteration: updates done; 0 if the training ended before any report.
        metrics: of this report; empty if there was none to make.
        checkpoint: of the state at this report or pause.
        ended: why this is the last report. Died is an exception of the training; paused, it was
            asked to; deferred, its storage could not be used; full, there is no room in it.
        cause: of an end other than completed.
        note: what the user should know of the attempt.
        time_ms: when it was made, since 1970.
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
