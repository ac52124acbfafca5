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
    from synrep.training.checkpoint import TrainingState

PauseCheck = Callable[[], bool]
"""Callback that returns whether to pause; the training calls it before each iteration."""


def never_pause() -> bool:
    """Pause check that never requests a pause."""
    return False


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
    """

    config: TrainConfig
    iteration: int
    last_report: int
    best: Best


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
