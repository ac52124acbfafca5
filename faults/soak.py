"""A long search over three nodes, with a random fault every few seconds."""

from __future__ import annotations

import time
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import psutil  # type: ignore[import-untyped]

from .checking import check, end_of
from .injecting import OUTAGES, kill_driver, kill_node, kill_trial
from .matrix import Cell
from .moments import TooLate
from .run import Run
from .scene import Scene, Stuck
from .searches import SCRIPTED, Plan
from .world import NODES, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from .checking import Found

SAMPLE_S = 5.0
MOST_SAMPLES = 60
SETTLED_S = 30.0
SETTLED_TRIALS = 200
"""A driver's memory is judged from this age on, and once the search has so many trials."""
SERVERS = ("mlflow-down", "s3-down", "postgres-restarted")
DEATHS: dict[str, Callable[[Run], None]] = {
    "driver-kill-9": kill_driver,
    "trial-killed": lambda run: kill_trial(run, None, 0),
    "node-killed": lambda run: kill_node(run, None, 0),
}
WEIGHTS = dict.fromkeys((*DEATHS, *SERVERS), 4) | {"driver-kill-9": 1}
"""A driver must live for some minutes, or its memory shows nothing."""
CELL = Cell(fault="soak", moment="mid-trial", trainer="scripted", count=1)


def plan_for(trials: int) -> Plan:
    """Many short trials of some reports each; deaths never make one fail."""
    plan = Plan(sections=SCRIPTED)
    plan = plan.with_(search={"trials": trials}, tracking={"keep_best": 0})
    plan = plan.with_(train={"iterations": 20, "reports": 4, "sleep_s": 0.55})
    return plan.with_(failures={"retries": 1000, "hang_minutes": 1})


class Sample(NamedTuple):
    """How the driver of a moment is: memory in MB, open files, and events that MLflow waits for."""

    driver: int
    seconds: float
    age_s: float
    trials: int
    memory_mb: float
    files: int
    outbox: int


class Soak:
    """One soak.

    Args:
        trials: in all.
        minutes: for how long there are faults; the search may end before or after.
        every_s: seconds between faults.
        seed: of all that is drawn.
    """

    def __init__(self, trials: int, minutes: float, every_s: float, seed: int) -> None:
        self._plan = plan_for(trials)
        self._end_s = 60 * minutes
        self._every_s = every_s
        self._random = Random(seed)
        self._samples: list[Sample] = []
        self._faults: dict[str, int] = dict.fromkeys(WEIGHTS, 0)
        self._drivers = 0

    def __call__(self, world: World) -> dict[str, Any]:
        """Run it; its entry in docs/reliability.json."""
        quick = self._plan.with_(train={"sleep_s": 0.0}, resources={"slots": 1})
        alone = Scene(world, "soak-alone", quick)
        if alone.launch(local=True).wait(3600) != 0:
            raise Stuck("the undisturbed search failed")
        scene = Scene(
            world,
            "soak",
            self._plan,
            storage=f"{world.objects.uri()}/searches",
            ledger=world.postgres.create_database("soak"),
        )
        run, began = Run(CELL, scene, self._random), time.monotonic()
        try:
            self._disturb(run, began)
        finally:
            if run.driver is not None:
                run.driver.kill()
        minutes = (time.monotonic() - began) / 60
        return self._entry(minutes, check(scene, end_of(alone)))

    def _disturb(self, run: Run, began: float) -> None:
        """Faults while there is time; then the search may end in peace."""
        due = began + self._every_s
        while True:
            driver = run.driver
            if driver is None or not driver.alive:
                if driver is not None and driver.wait() == 0 and not run.scene.seen().pending:
                    return
                run.start()
                self._drivers += 1
            self._sample(run, time.monotonic() - began)
            if due < time.monotonic() < began + self._end_s:
                self._strike(run)
                due += self._every_s
            time.sleep(min(SAMPLE_S, self._every_s / 2))

    def _strike(self, run: Run) -> None:
        [name] = self._random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        before = run.faults
        with suppress(TooLate):
            if name in DEATHS:
                DEATHS[name](run)
                run.faults = before + 1
            else:
                OUTAGES[name](run, None, 0)
            self._faults[name] += 1
            last = self._samples[-1]
            click.echo(f"{last.seconds:.0f} s, {last.trials} trials: {name}")

    def _sample(self, run: Run, seconds: float) -> None:
        with suppress(psutil.NoSuchProcess):
            process, seen = psutil.Process(run.there.pid), run.scene.seen()
            memory = process.memory_info().rss / 2**20
            age = time.time() - run.there.started
            counts = seen.made, memory, process.num_fds(), seen.pending
            self._samples.append(Sample(self._drivers, seconds, age, *counts))

    def _entry(self, minutes: float, found: Found) -> dict[str, Any]:
        step = -(-len(self._samples) // MOST_SAMPLES)
        kept = [*self._samples[:-1:step], self._samples[-1]]
        settled: dict[int, list[float]] = {}
        for one in self._samples:
            if one.age_s >= SETTLED_S and one.trials >= SETTLED_TRIALS:
                settled.setdefault(one.driver, []).append(one.memory_mb)
        ranges = sorted([round(min(seen)), round(max(seen))] for seen in settled.values())
        return {
            "trials": self._plan.trials,
            "nodes": NODES,
            "minutes": round(minutes, 1),
            "every_s": self._every_s,
            "faults": sum(self._faults.values()),
            "by_fault": self._faults,
            "drivers": self._drivers,
            "trials_lost": found.trials_lost,
            "trials_doubled": found.trials_doubled,
            "runs_wrong": found.runs_wrong,
            "work_repeated_iterations": found.work_repeated_iterations,
            "allowed_iterations": found.allowed_iterations,
            "over_allowed": found.over_allowed,
            "end_equal": found.end_equal,
            "kept": found.right,
            "seconds": [round(one.seconds) for one in kept],
            "trials_made": [one.trials for one in kept],
            "memory_mb": [round(one.memory_mb) for one in kept],
            "files": [one.files for one in kept],
            "outbox": [one.outbox for one in kept],
            "outbox_deepest": max(one.outbox for one in self._samples),
            "memory_settled_mb": ranges,
            "note": "; ".join(found.notes[:10]),
        }
