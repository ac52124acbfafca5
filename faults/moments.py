"""Waits for the moments at which faults are injected, by what journals and ledgers show."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from .scene import PATIENCE_S, POLL_S, Stuck

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from .scene import Driver, Line, Scene


T = TypeVar("T")


class TooLate(Exception):  # noqa: N818 - reads as what happened
    """The search has ended before the moment came."""


class Moments:
    """The moments of one search.

    Args:
        scene: the search.
        random: draws what is left open.
    """

    def __init__(self, scene: Scene, random: Random) -> None:
        self._scene = scene
        self._random = random

    def reach(
        self, moment: str, part: float, driver: Driver, *, in_slots: bool = False
    ) -> Line | None:
        """Wait for a moment, not before a part of the search's reports is there.

        Args:
            moment: which.
            part: of all reports, from 0 to 1.
            driver: that runs the search.
            in_slots: whether some trial must be running, or the driver's last acts will do.

        Returns:
            The journal's line that told of it, if one did.

        Raises:
            TooLate: the driver has ended before.
            Stuck: it does not come.
        """
        if moment == "starting":
            self._starting(driver)
            return None
        if moment == "ending":
            return self._ending(driver, in_slots=in_slots)
        scene, plan = self._scene, self._scene.plan
        wanted = part * plan.trials * plan.reports
        self._until(lambda: scene.seen().total >= wanted, driver)
        if moment == "delivering":
            self._until(self._delivers, driver)
            return None
        before = len(scene.lines())
        line = self._until(lambda: self._line(moment, before), driver)
        time.sleep(self._random.uniform(0, 0.05) if moment != "mid-trial" else 0)
        return line

    def _line(self, moment: str, before: int) -> Line | None:
        step = self._scene.plan.interval
        for line in reversed(self._scene.lines()[before:]):
            done = line.word == "done"
            if {
                "mid-trial": done and line.iteration % step not in (0, step - 1),
                "at-a-rung": done and line.iteration in self._scene.plan.rungs,
                "checkpointing": not done,
            }[moment]:
                return line
        return None

    def _delivers(self) -> bool:
        seen = self._scene.seen()
        return seen.pending > 0 and seen.delivered > 0

    def _starting(self, driver: Driver) -> None:
        """At once, with the lease just taken, or with the first attempt just begun."""
        scene, pid = self._scene, f":{driver.pid}:"
        begun = scene.seen().made, scene.seen().total
        match self._random.randrange(3):
            case 0:
                time.sleep(self._random.uniform(0, 2))
            case 1:
                self._until(lambda: pid in scene.seen().owner, driver)
            case _:
                self._until(lambda: pid in scene.seen().owner, driver)
                self._until(lambda: (scene.seen().made, scene.seen().total) != begun, driver)

    def _ending(self, driver: Driver, *, in_slots: bool) -> Line | None:
        """In the last trial's last stretch, or when all have ended and the driver concludes."""
        scene, plan = self._scene, self._scene.plan
        last = plan.iterations - plan.interval

        def in_last_stretch() -> Line | None:
            seen = scene.seen()
            if seen.made < plan.trials or not 0 < seen.open <= plan.together:
                return None
            line = scene.lines()[-1]
            return line if line.iteration > last else None

        if in_slots or self._random.random() < 0.6:
            return self._until(in_last_stretch, driver)
        self._until(lambda: scene.seen().concluding, driver)
        return None

    def _until(self, condition: Callable[[], T | None], driver: Driver) -> T:
        """What a condition gives as soon as that is something."""
        give_up = time.monotonic() + PATIENCE_S
        while True:
            if found := condition():
                return found
            if not driver.alive:
                raise TooLate
            if time.monotonic() > give_up:
                raise Stuck("a moment did not come")
            time.sleep(POLL_S)
