"""Divergence checks, which end a training that cannot recover."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from synrep.errors import Diverged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synrep.config import GuardConfig


def check_losses(losses: Mapping[str, float], iteration: int, config: GuardConfig) -> None:
    """Raise if the losses of a report are not finite or the critic loss exceeds its limit.

    Args:
        losses: `train/...` metrics of one report.
        iteration: number of generator updates done.
        config: limits.

    Raises:
        Diverged: a loss is not finite, or the critic loss exceeds `critic_limit`.
    """
    for name, value in losses.items():
        if not math.isfinite(value):
            raise Diverged(f"{name} is {value}", iteration)
    critic = losses.get("train/critic_loss", 0.0)  # supervised training has no critic
    if abs(critic) > config.critic_limit:
        raise Diverged(
            f"the critic exploded: train/critic_loss is {critic:.3g}, "
            f"limit {config.critic_limit:.3g}",
            iteration,
        )


def check_depths(spread: float, iteration: int, config: GuardConfig) -> None:
    """Raise if the predicted depths are not finite or have collapsed.

    Args:
        spread: standard deviation of predicted depths, relative to that of true depths.
        iteration: number of generator updates done.
        config: limits.

    Raises:
        Diverged: the spread is not finite, or below `collapse_ratio` after `collapse_after`
            iterations.
    """
    if not math.isfinite(spread):
        raise Diverged("predicted depths are not finite", iteration)
    if iteration >= config.collapse_after and spread < config.collapse_ratio:
        raise Diverged(
            f"the depths collapsed: their spread is {spread:.3g} of the real one, "
            f"limit {config.collapse_ratio:.3g}",
            iteration,
        )
