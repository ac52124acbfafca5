"""A trainer that follows a script, for tests and rehearsals of the platform: no poses, no torch.

It reports metrics that are a function of its parameters, seed and iteration, and that also hang
on the state in its checkpoints, so a wrong resume shows in the numbers.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from synrep.errors import Diverged
from synrep.schema import Count, NonNegative, Section
from synrep.training.checkpoint import TrainingState
from synrep.training.protocol import MPJPE

if TYPE_CHECKING:
    from synrep.training.protocol import Goal, PauseCheck

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
    save_s: NonNegative = 0.0
    """Time that it takes to give out its state."""
    nan_at: Iteration = 0
    """Diverges here."""
    fail_at: Iteration = 0
    """Raises an exception here."""
    memory_at: Iteration = 0
    """Asks here for more memory than any machine has."""
    exit_at: Iteration = 0
    """Ends the process here ..."""
    exit_code: int = 1
    """... with this exit code."""
    kill_at: Iteration = 0
    """Kills its process here, as Linux does with one that has taken too much memory."""
    hang_at: Iteration = 0
    """Never comes back from here."""
    stop_at: Iteration = 0
    """Its whole process stands still from here."""
    once: str = ""
    """File that is made by the first failure and prevents further ones; empty: every time."""
    journal: str = ""
    """File that gets a line for all that is done; see `Journal`. Empty: none."""


class Journal:
    """What trainings did, and when, written as it happens: it outlives whatever dies next.

    A line is `SEED ITERATION SECONDS PID WORD`. The word is `done` for each iteration that was
    done, and `save` when the state was asked for. Many processes may write to one file.

    Args:
        path: of the file; empty to write nothing.
        seed: of the training.
    """

    def __init__(self, path: str, seed: int) -> None:
        self._path = path
        self._seed = seed

    def write(self, iteration: int, word: str) -> None:
        """Add a line, in one write."""
        if not self._path:
            return
        line = f"{self._seed} {iteration} {time.time():.6f} {os.getpid()} {word}\n"
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)


class ScriptedTraining:
    """Follows a `ScriptConfig`; the interface is that of `synrep.training.loop.Training`.

    Args:
        config: the script.
        device: ignored.
        threads: ignored.
        goal: ignored: nothing is chosen.
    """

    def __init__(
        self,
        config: ScriptConfig,
        *,
        device: str = "cpu",
        threads: int | None = None,
        goal: Goal = MPJPE,
    ) -> None:
        del device, threads, goal
        self.config = config
        self.iteration = 0
        self._since = 0
        self._memory = np.zeros(config.state_size)
        self._journal = Journal(config.journal, config.seed)

    @property
    def finished(self) -> bool:
        """Whether all iterations are done."""
        return self.iteration >= self.config.iterations

    def advance(self, should_pause: PauseCheck = lambda: False) -> dict[str, float] | None:
        """Go to the next report, with whatever the script has in store; None after a pause."""
        config = self.config
        step = max(1, config.iterations // config.reports)
        while self.iteration < min(self._since + step, config.iterations):
            if should_pause():
                return None
            time.sleep(config.sleep_s / step)
            self.iteration += 1
            self._act()
            self._memory = 0.9 * self._memory + _noise(config.seed, self.iteration)
            self._journal.write(self.iteration, "done")
        self._since = self.iteration
        distance = (config.x - 0.3) ** 2 + (config.y + 0.2) ** 2
        loss = distance + 1 / self.iteration + 1e-3 * float(self._memory.sum())
        return {"loss": loss} | {f"metric_{i}": loss + i for i in range(1, config.metrics)}

    def state(self) -> TrainingState:
        """Iterations and memory."""
        self._journal.write(self.iteration, "save")
        time.sleep(self.config.save_s)
        meta = {"iteration": self.iteration, "since": self._since}
        return TrainingState(arrays={"memory": self._memory}, meta=meta)

    def restore(self, saved: TrainingState) -> None:
        """Go on from a state."""
        self.iteration, self._since = saved.meta["iteration"], saved.meta["since"]
        self._memory = saved.arrays["memory"].copy()

    def _act(self) -> None:
        config, at = self.config, self.iteration
        acts = {
            config.nan_at: self._diverge,
            config.fail_at: _fail,
            config.memory_at: _ask_for_memory,
            config.exit_at: lambda: os._exit(config.exit_code),
            config.kill_at: lambda: os.kill(os.getpid(), signal.SIGKILL),
            config.hang_at: _hang,
            config.stop_at: _stop,
        }
        if at not in acts:
            return
        if config.once:
            if Path(config.once).exists():
                return
            Path(config.once).touch()
        acts[at]()

    def _diverge(self) -> None:
        raise Diverged("loss is nan", self.iteration)


def _fail() -> None:
    raise RuntimeError("the script says so")


def _ask_for_memory() -> None:
    np.empty(2**60, dtype=np.uint8)  # an exbibyte: refused, whatever the machine overcommits


def _hang() -> None:
    while True:
        time.sleep(3600)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _noise(seed: int, iteration: int) -> float:
    """A number in [-1, 1) that depends on nothing else."""
    digest = hashlib.blake2b(f"{seed}/{iteration}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") / 2**31 - 1
