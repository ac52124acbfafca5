"""Runs one cell: the search alone, the search disturbed, and what differs."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import contextmanager
from functools import cache
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from synrep.errors import SynrepError

from .checking import Found, check, end_of
from .injecting import PROCEDURES
from .matrix import FAULTS
from .moments import TooLate
from .run import Run
from .scene import Scene, Stuck
from .searches import plan_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .checking import End
    from .matrix import Cell
    from .searches import Plan
    from .world import World

DISK_MB = 300
FAILURES = (Stuck, TooLate, SynrepError, SQLAlchemyError, OSError, AssertionError)
"""What a cell can end with; the last one is of a server that does not start."""
SLOW_S = 0.1
"""Delay of MLflow's answers where something is to happen while it is told."""
SLOW_ENDS = ("mlflow-", "two-drivers")
"""Faults for which the end is to last, too."""


def possible(cell: Cell) -> bool:
    """Whether a cell can be run here: a full disk needs the right to mount one."""
    return cell.fault != "disk-full" or _mounts()


@cache
def _mounts() -> bool:
    with TemporaryDirectory() as folder:
        words = ["mount", "-t", "tmpfs", "-o", "size=1m", "faults", folder]
        done = shutil.which("mount") and subprocess.run(words, check=False, capture_output=True)
        if not done or done.returncode != 0:
            return False
        subprocess.run(["umount", folder], check=True)
        return True


class Cells:
    """Runs cells in one world.

    Args:
        world: the servers.
        seed: of all that is drawn.
    """

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._seed = seed
        self._alone: dict[str, End] = {}
        self._count = 0

    def run(self, cell: Cell) -> dict[str, Any]:
        """Run a cell; its entry in docs/reliability.json."""
        plan = plan_of(cell.fault, cell.moment, cell.trainer)
        alone = self._left_alone(plan)
        random = Random(f"{self._seed}/{cell.id}")
        began = time.time()
        with self._scene(cell, plan) as scene:
            run = Run(cell, scene, random)
            slow_end = cell.moment == "ending" and cell.fault.startswith(SLOW_ENDS)
            if cell.moment == "delivering" or slow_end:
                self._world.mlflow_door.slow(SLOW_S)
            try:
                PROCEDURES[cell.fault](run)
                intervals = max(FAULTS[cell.fault].intervals, int(run.cut_short))
                found = check(scene, alone, intervals=intervals)
            except FAILURES as error:
                found = Found(trials_lost=plan.trials, end_equal=False, notes=[str(error)[:300]])
            finally:
                if run.driver is not None:
                    run.driver.kill()
        self._world.mend()
        recovery = max(run.recoveries, default=None)
        return {
            "fault": cell.fault,
            "moment": cell.moment,
            "trainer": cell.trainer,
            "faults": run.faults,
            "trials_lost": found.trials_lost,
            "trials_doubled": found.trials_doubled,
            "runs_wrong": found.runs_wrong,
            "work_repeated_iterations": found.work_repeated_iterations,
            "recovery_s": None if recovery is None else round(recovery, 1),
            "end_equal": found.end_equal,
            "interrupted_trials": found.interrupted_trials,
            "allowed_iterations": found.allowed_iterations,
            "over_allowed": found.over_allowed,
            "stuck": run.stuck,
            "kept": found.right and run.faults > 0 and not run.stuck and not run.broken,
            "seed": self._seed,
            "seconds": round(time.time() - began),
            "note": self._note(*found.notes, *run.broken, *run.notes),
        }

    def _note(self, *said: str) -> str:
        return "; ".join(said).replace(str(self._world.folder), "...")

    def _left_alone(self, plan: Plan) -> End:
        """How a search ends that nobody disturbs; each is run once."""
        if plan.text in self._alone:
            return self._alone[plan.text]
        fused = plan.sections["resources"]["fuse"] != "off"
        quick = plan.with_(resources={"slots": 2 if fused else 1})
        if "sleep_s" in plan.sections["train"]:
            quick = quick.with_(train={"sleep_s": 0.0, "save_s": 0.0})
        scene = Scene(self._world, f"alone-{len(self._alone)}", quick)
        driver = scene.launch(local=not fused)
        if driver.wait() != 0:
            raise Stuck(f"the undisturbed search failed:\n{driver.said}")
        self._alone[plan.text] = end_of(scene)
        return self._alone[plan.text]

    @contextmanager
    def _scene(self, cell: Cell, plan: Plan) -> Iterator[Scene]:
        """The search of a cell, with its things kept where the fault can reach them."""
        world, self._count = self._world, self._count + 1
        name = f"{cell.fault}-{cell.moment}-{cell.trainer}-{self._count}"
        storage = ledger = None
        if cell.fault == "moved-from-folder":
            storage = str(world.folder / "storage")
        elif cell.fault.startswith("s3-") or cell.fault in ("moved-from-s3", "two-drivers-by-uri"):
            storage = f"{world.objects.uri()}/searches"
        elif cell.fault == "postgres-restarted":
            ledger = world.postgres.create_database(f"cell{self._count}")
        elif cell.fault == "trial-hangs":
            once = world.folder / "cells" / name / "once"
            plan = plan.with_(train={"hang_at": 13, "once": str(once)})
        scene = Scene(world, name, plan, storage=storage, ledger=ledger)
        if cell.fault != "disk-full":
            yield scene
            return
        scene.home.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "faults", str(scene.home)]
        subprocess.run(words, check=True, capture_output=True)
        try:
            yield scene
        finally:
            subprocess.run(["umount", "--lazy", str(scene.home)], check=True)
