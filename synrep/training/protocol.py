"""What a training offers to those who drive it: progress, pauses, state. Loads no torch.

Any class with these methods can be searched; `synrep.training.loop.Training` is the one that
matters.
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
"""Whether the training is to pause; called before each iteration."""


def never_pause() -> bool:
    """The pause check of a training that nobody interrupts."""
    return False


@dataclass(kw_only=True)
class Best:
    """The best report so far, with the generator's weights at that point."""

    value: float = float("inf")
    iteration: int = 0
    weights: dict[str, Tensor] | None = None


class Progress(Protocol):
    """How far a training is: one by itself, or one member of a fused training.

    Attributes:
        config: of the training.
        iteration: iterations done.
        since: iteration of the last report.
        best: the best report so far.
    """

    config: TrainConfig
    iteration: int
    since: int
    best: Best


class ResumableTraining(Protocol):
    """A training that advances from report to report, and whose state can be saved."""

    iteration: int

    @property
    def finished(self) -> bool:
        """Whether all iterations are done."""

    def advance(self, should_pause: PauseCheck) -> dict[str, float] | None:
        """Train to the next report and return its metrics, or None after a pause.

        Raises:
            Diverged: the training can't recover.
        """

    def state(self) -> TrainingState:
        """Everything needed to go on from here."""

    def restore(self, saved: TrainingState) -> None:
        """Go on from a state."""
