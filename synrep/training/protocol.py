"""Interfaces between a training and its caller; this module does not import torch.

A search can run any class that implements `ResumableTraining`, as `synrep.training.loop.Training`
does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from synrep.config import TrainConfig
    from synrep.datasets.origin import Origin
    from synrep.training.checkpoint import TrainingState

PauseCheck = Callable[[], bool]
"""Callback that returns whether to pause; the training calls it before each iteration."""


def never_pause() -> bool:
    """Pause check that never requests a pause."""
    return False


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What selects the best generator of a training: an error on the validation subjects.

    Attributes:
        metric: its name, as in `synrep.evaluation.tables.errors`.
        maximize: whether larger values are better.
    """

    metric: str = "mpjpe_mm"
    maximize: bool = False

    def better(self, value: float, than: float) -> bool:
        """Return whether a value is better than another."""
        return value > than if self.maximize else value < than


MPJPE = Goal()
"""The goal of a training that is not part of a search."""


@dataclass(kw_only=True)
class Best:
    """Best report so far, with the generator weights at that point."""

    value: float = float("inf")
    iteration: int = 0
    weights: dict[str, Tensor] | None = None


class Progress(Protocol):
    """Progress of a single training or of one member of a fused training.

    Attributes:
        config: configuration of the training.
        iteration: number of iterations done.
        last_report: iteration of the last report.
        best: best report so far.
        goal: what the best report is the best by.
        origin: the poses that it has trained on; None if it began in an earlier version, whose
            checkpoints do not name them.
    """

    config: TrainConfig
    iteration: int
    last_report: int
    best: Best
    goal: Goal
    origin: Origin | None


class ResumableTraining(Protocol):
    """A training that runs from report to report and can be saved and resumed."""

    iteration: int

    @property
    def finished(self) -> bool:
        """Whether all iterations are done."""

    def advance(self, should_pause: PauseCheck) -> dict[str, float] | None:
        """Train until the next report and return its metrics, or None if paused.

        Raises:
            Diverged: the training cannot recover.
        """

    def state(self) -> TrainingState:
        """Return the state needed to resume."""

    def restore(self, saved: TrainingState) -> None:
        """Resume from a state."""
