"""A trainer that follows a script, for tests and rehearsals of the platform: no poses, no torch.

It reports metrics that are a function of its parameters, seed and iteration, and that also hang
on the state in its checkpoints, so a wrong resume shows in the numbers.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from synrep.checkpoint import State
from synrep.config import Count, NonNegative, Section
from synrep.errors import Diverged

Iteration = Annotated[int, Field(ge=0)]
"""An iteration at which something happens; 0 is never."""


class ScriptConfig(Section):
    """What the scripted training does."""

    seed: int = 0
    iterations: Count = 10
    """Updates in all."""
    reports: Count = 10
    """Evenly spaced reports."""
    metrics: Count = 2
    """Metrics in each report; the first is `loss`."""
    x: float = 0.0
    """The loss is smallest at x = 0.3 ..."""
    y: float = 0.0
    """... and y = -0.2."""
    sleep_s: NonNegative = 0.0
    """Duration of each report interval."""
    state_size: Count = 16
    """Numbers in the state."""
    nan_at: Iteration = 0
    """Diverges here."""
    fail_at: Iteration = 0
    """Raises an exception here."""
    exit_at: Iteration = 0
    """Ends the process with exit code 1 here."""
    hang_at: Iteration = 0
    """Never comes back from here."""
    once: str = ""
    """File that is made by the first failure and prevents further ones; empty: every time."""


class ScriptedTraining:
    """Follows a `ScriptConfig`; the interface is that of `synrep.training.Training`.

    Args:
        config: the script.
        device: ignored.
        threads: ignored.
    """

    def __init__(
        self, config: ScriptConfig, *, device: str = "cpu", threads: int | None = None
    ) -> None:
        del device, threads
        self.config = config
        self.iteration = 0
        self._memory = np.zeros(config.state_size)

    @property
    def finished(self) -> bool:
        """Whether all iterations are done."""
        return self.iteration >= self.config.iterations

    def advance(self) -> dict[str, float]:
        """Go to the next report, with whatever the script has in store on the way."""
        config = self.config
        start = self.iteration
        step = max(1, config.iterations // config.reports)
        time.sleep(config.sleep_s)
        while self.iteration < min(start + step, config.iterations):
            self.iteration += 1
            self._act()
            self._memory = 0.9 * self._memory + _noise(config.seed, self.iteration)
        distance = (config.x - 0.3) ** 2 + (config.y + 0.2) ** 2
        loss = distance + 1 / self.iteration + 1e-3 * float(self._memory.sum())
        return {"loss": loss} | {f"metric_{i}": loss + i for i in range(1, config.metrics)}

    def state(self) -> State:
        """Iteration and memory."""
        return State(arrays={"memory": self._memory}, meta={"iteration": self.iteration})

    def restore(self, saved: State) -> None:
        """Go on from a state."""
        self.iteration = saved.meta["iteration"]
        self._memory = saved.arrays["memory"].copy()

    def _act(self) -> None:
        config, at = self.config, self.iteration
        if at not in {config.nan_at, config.fail_at, config.exit_at, config.hang_at}:
            return
        if config.once:
            if Path(config.once).exists():
                return
            Path(config.once).touch()
        if at == config.nan_at:
            raise Diverged("loss is nan", at)
        if at == config.fail_at:
            raise RuntimeError("the script says so")
        if at == config.exit_at:
            os._exit(1)
        while True:
            time.sleep(3600)


def _noise(seed: int, iteration: int) -> float:
    """A number in [-1, 1) that depends on nothing else."""
    digest = hashlib.blake2b(f"{seed}/{iteration}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") / 2**31 - 1
