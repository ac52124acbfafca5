"""One search of one cell: its files, its drivers, and what can be seen of it from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from synrep_search.paths import LEDGER_FILE, SearchPaths

from .world import PROBE

if TYPE_CHECKING:
    from .searches import Plan
    from .world import World

PATIENCE_S = 150.0
"""For whatever must come, on a busy machine."""
POLL_S = 0.005


class Line(NamedTuple):
    """A line of a journal; see `synrep_search.workers.scripted.Journal`."""

    seed: int
    iteration: int
    seconds: float
    pid: int
    word: str


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a ledger shows without disturbing its driver.

    Attributes:
        there: whether it is a search, and no longer a launch under way.
        reports: number of reports by trial.
        open: trials that have not ended.
        made: trials that there are.
        pending: events that MLflow has not got.
        delivered: those that it has.
        concluding: whether a driver has told MLflow that the search is finished.
        owner: of the lease; empty if nobody holds it.
    """

    there: bool
    reports: dict[int, int]
    open: int
    made: int
    pending: int
    delivered: int
    concluding: bool
    owner: str

    @property
    def total(self) -> int:
        """Reports of all trials."""
        return sum(self.reports.values())


NOTHING = Seen(
    there=False, reports={}, open=0, made=0, pending=0, delivered=0, concluding=False, owner=""
)


class Scene:
    """A search in a home of its own, in the world that all share.

    Args:
        world: the servers.
        name: of the search, another one for each cell.
        plan: its search file.
        storage: of the checkpoints; None is the search's folder.
        ledger: database; None is SQLite in the search's folder.
        home: where it lives; None is a new folder.
    """

    def __init__(
        self,
        world: World,
        name: str,
        plan: Plan,
        *,
        storage: str | None = None,
        ledger: str | None = None,
        home: Path | None = None,
    ) -> None:
        self.world = world
        self.name = name
        self.folder = world.folder / "cells" / name
        self.folder.mkdir(parents=True)
        self.home = home or self.folder / "home"
        self.file = self.folder / "search.yaml"
        self.log = self.folder / "driver.log"
        self.clock = self.folder / "clock"
        scripted = plan.sections.get("trainer") == "scripted"
        self.journal = self.folder / "journal" if scripted else world.gan_journal
        self.journal.touch()
        self._from = self.journal.stat().st_size
        self._read = self._from
        self._lines: list[Line] = []
        where = {"storage": storage} if storage else {}
        where |= {"ledger": ledger} if ledger else {}
        self.plan = plan.with_(name=name, tracking={"uri": world.mlflow_door.url}, **where)
        if scripted:
            self.plan = self.plan.with_(train={"journal": str(self.journal)})
        self.file.write_text(self.plan.text, encoding="utf-8")
        self.url = ledger
        self._seen = NOTHING

    @property
    def paths(self) -> SearchPaths:
        """Of the search, as it lives now."""
        return SearchPaths(self.home, self.name)

    @property
    def ledger_url(self) -> str:
        """Database of the ledger."""
        return self.url or f"sqlite:///{self.paths.ledger_file}"

    def stored(self) -> str:
        """Where its storage has a copy of its ledger; empty if there is none."""
        place = f"{self.plan.sections['storage']}/{self.name}"
        if "://" not in place:
            return place if Path(place, LEDGER_FILE).exists() else ""
        key = f"{place.split('://')[1].partition('/')[2]}/{LEDGER_FILE}"
        return place if key in self.world.objects.names(prefix=key) else ""

    def move(self, home: Path) -> None:
        """The search lives elsewhere from now on, if it lives on."""
        self.home = home
        self._seen = NOTHING

    def lines(self) -> list[Line]:
        """The journal so far."""
        with self.journal.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for text in whole.decode().splitlines():
            seed, iteration, seconds, pid, word = text.split()
            self._lines.append(Line(int(seed), int(iteration), float(seconds), int(pid), word))
        return self._lines

    def seen(self) -> Seen:
        """How the ledger stands; as it stood before, while nobody can read it."""
        with suppress(SQLAlchemyError):
            self._seen = self._look()
        return self._seen

    def _look(self) -> Seen:
        mine = {"name": self.name}
        reports = """SELECT trial, COUNT(*) FROM synrep_event
            WHERE search = :name AND kind = 'report' AND trial >= 0 GROUP BY trial"""
        there = """SELECT COUNT(*) FROM study_user_attributes a
            JOIN studies s ON a.study_id = s.study_id
            WHERE s.study_name = :name AND a.key = 'synrep.spec'"""
        trials = """SELECT t.state FROM trials t JOIN studies s ON t.study_id = s.study_id
            WHERE s.study_name = :name"""
        events = "SELECT delivered, COUNT(*) FROM synrep_event WHERE search = :name GROUP BY 1"
        states = """SELECT payload FROM synrep_event
            WHERE search = :name AND kind = 'state' AND trial = -1 ORDER BY step DESC"""
        owner = "SELECT owner FROM synrep_lease WHERE search = :name"
        with self._engine().connect() as connection:
            ask = connection.execute
            made = [str(state) for (state,) in ask(sa.text(trials), mine)]
            sent = {bool(done): int(count) for done, count in ask(sa.text(events), mine)}
            last = ask(sa.text(states), mine).scalars().first()
            return Seen(
                there=bool(ask(sa.text(there), mine).scalar()),
                reports={int(trial): int(count) for trial, count in ask(sa.text(reports), mine)},
                open=sum("RUNNING" in state or "WAITING" in state for state in made),
                made=len(made),
                pending=sent.get(False, 0),
                delivered=sent.get(True, 0),
                concluding=last is not None and '"finished"' in last,
                owner=ask(sa.text(owner), mine).scalars().first() or "",
            )

    def _engine(self) -> sa.Engine:
        if self.url:
            return sa.create_engine(
                self.url, poolclass=sa.NullPool, connect_args={"connect_timeout": 2}
            )
        file = f"file:{self.paths.ledger_file}?mode=ro&uri=true"
        return sa.create_engine(f"sqlite:///{file}", poolclass=sa.NullPool)

    def launch(self, *, local: bool = False) -> Driver:
        """Start the search."""
        return self.command("launch", str(self.file), "--yes", local=local)

    def resume(self, name: str = "", home: Path | None = None) -> Driver:
        """Go on with the search, by its name or by where it is stored; perhaps in another home."""
        return self.command("resume", name or self.name, home=home)

    def command(self, *words: str, home: Path | None = None, local: bool = False) -> Driver:
        """A driver of this search, on the shared cluster or without any."""
        where = ("--local",) if local else ("--address", self.world.ray.address)
        return Driver([*words, "--home", str(home or self.home), *where], self)


class Driver:
    """A process that runs a search, or tries to.

    Args:
        words: of `synrep-search`.
        scene: whose search it is.
    """

    def __init__(self, words: list[str], scene: Scene) -> None:
        probe = os.pathsep.join([str(PROBE), os.environ.get("PYTHONPATH", "")])
        env = scene.world.env | {"FAULTS_CLOCK": str(scene.clock), "PYTHONPATH": probe}
        self._log = scene.log
        self._before = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "synrep_search.cli", *words],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started = time.time()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    @property
    def said(self) -> str:
        """What it, and others of its time, have printed."""
        with self._log.open("rb") as log:
            log.seek(self._before)
            return log.read().decode(errors="replace")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self, seconds: float = PATIENCE_S) -> int:
        """Its exit code.

        Raises:
            Stuck: it does not end in time, and was killed.
        """
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Stuck(f"a driver did not end within {seconds:.0f} s") from None

    def kill(self) -> None:
        """End it and what it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


class Stuck(Exception):  # noqa: N818 - reads as what happened
    """Something that must come did not come."""
