"""How a training is asked to pause between two iterations, to be saved and gone on with later."""

from __future__ import annotations

from collections.abc import Callable

Asked = Callable[[], bool]
"""Whether somebody wants the training to pause; asked before each iteration."""


def never() -> bool:
    """Nobody does."""
    return False
