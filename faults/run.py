"""One disturbed run: drivers that are started and end, moments that come, faults that count."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from .moments import Moments, TooLate
from .scene import PATIENCE_S, Driver, Stuck

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from .matrix import Cell
    from .scene import Line, Scene
    from .world import World

TRIES = 12
"""Drivers that a run may need to its end."""


class Run:
    """What the faults of one cell have at hand.

    Args:
        cell: what is injected, and when.
        scene: the search.
        random: draws what is left open.

    Attributes:
        driver: the newest one.
        faults: injected so far.
        stuck: whether a driver had to be killed, since it did not come to an end.
        cut_short: whether a second signal ended a driver before its trials had been saved.
        recoveries: seconds from a fault, or from the `resume` after it, to the next new report.
        broken: promises that were seen not to be kept, in words.
        notes: what else is remarkable.
    """

    def __init__(self, cell: Cell, scene: Scene, random: Random) -> None:
        self.cell = cell
        self.scene = scene
        self.random = random
        self.driver: Driver | None = None
        self.faults = 0
        self.stuck = False
        self.cut_short = False
        self.recoveries: list[float] = []
        self.broken: list[str] = []
        self.notes: list[str] = []
        self._moments = Moments(scene, random)
        self._waiting: list[tuple[float, set[int]]] = []

    @property
    def world(self) -> World:
        """The servers."""
        return self.scene.world

    @property
    def there(self) -> Driver:
        """The newest driver."""
        assert self.driver is not None
        return self.driver

    def start(self, name: str = "") -> Driver:
        """Launch the search, or go on with it; under its name or another."""
        if name or self.scene.seen().there:
            self.driver = self.scene.resume(name)
            self.recovers(self.driver.started)
        else:
            self.driver = self.scene.launch()
        return self.driver

    def reach(self, index: int) -> Line | None:
        """Wait for the moment of an injection, the first of which has the index 0.

        Raises:
            TooLate: the driver has ended before.
            Stuck: the moment does not come.
        """
        share = (index + self.random.uniform(0, 0.6)) / (self.cell.count + 0.4)
        in_slots = "killed" in self.cell.fault
        part = 0.1 + 0.7 * share
        line = self._moments.reach(self.cell.moment, part, self.there, in_slots=in_slots)
        if not self.there.alive:  # what it has left may look like the moment for ever
            raise TooLate
        return line

    def inject(self, after: Iterable[Line | None] = (), *, recovers: bool = True) -> None:
        """Count a fault that was done just now.

        Args:
            after: lines of trainings that it has hit; empty if it has hit no training.
            recovers: whether recovery is measured from now on, and not from the next `resume`.
        """
        self.faults += 1
        if recovers:
            self.recovers(time.time(), {line.seed for line in after if line})

    def recovers(self, since: float, seeds: set[int] | None = None) -> None:
        """Measure the time until the next new report, of some trainings or of any."""
        self._waiting.append((since, seeds or set()))

    def finish(self) -> None:
        """Let the search come to its end; drivers that end early are followed by others.

        Also one that has left events for MLflow: it says that a `resume` sends them.

        Raises:
            Stuck: it does not end.
        """
        for _ in range(TRIES):
            if self.driver is None:
                self.start()
            try:
                code = self.there.wait()
            except Stuck as error:  # it was killed: nothing may be lost all the same
                self.stuck = True
                self.notes.append(str(error))
                code = -signal.SIGKILL
            if code == 0 and not self.scene.seen().pending:
                break
            self.notes.append(self._told(code))
            self.start()
        else:
            raise Stuck("the search does not come to its end")
        self._measure()

    def ended(self, wanted: set[int], seconds: float = PATIENCE_S) -> None:
        """Wait for the driver's end, which is to be in time and with a wanted exit code."""
        try:
            code = self.there.wait(seconds)
        except Stuck as error:  # it was killed
            self.broken.append(str(error))
            return
        if code not in wanted:
            self.broken.append(self._told(code))

    def _told(self, code: int) -> str:
        last = self.there.said.strip().splitlines()[-1:] or [""]
        what = last[0][:160] if code else "events for MLflow were left"
        return f"a driver ended with {code}: {what}"

    def _measure(self) -> None:
        """Recovery, by the journal: the first state that was saved anew after each fault."""
        newest: dict[int, int] = {}
        saved = []
        for line in self.scene.lines():
            if line.word == "save" and line.iteration > newest.get(line.seed, 0):
                newest[line.seed] = line.iteration
                saved.append(line)
        for since, seeds in self._waiting:
            times = [
                line.seconds - since
                for line in saved
                if line.seconds > since and (not seeds or line.seed in seeds)
            ]
            if times:
                self.recoveries.append(min(times))
