"""Searches with the scripted trainer, ledgers on both databases, and runs without Ray."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from synrep_search.durability.ledger import Ledger
from synrep_search.durability.study.storage import open_storage
from synrep_search.messages import TrialReport
from synrep_search.paths import SearchPaths
from synrep_search.search.loop import Search
from synrep_search.search_file import SearchSpec, load_spec

from tests.services import Postgres

if TYPE_CHECKING:
    from synrep_search.durability.records import Trial

MakeSpec = Callable[..., SearchSpec]
MakeReport = Callable[..., TrialReport]

PROVENANCE = {"id": "0", "code": "c0de", "data": "", "created": "2026-01-01T00:00:00Z"}
BASE: dict[str, Any] = {
    "trainer": "scripted",
    "train": {"iterations": 9, "reports": 9},
    "space": {"x": {"float": [-1, 1]}, "y": {"float": [-1, 1]}},
    "search": {"minimize": "loss", "trials": 4},
}
_numbers = count()


class Ledgers:
    """Creates and opens the ledgers of one database, and closes them all at the end."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._opened: list[Ledger] = []

    def create(self, spec: SearchSpec) -> Ledger:
        """A new search."""
        return self._keep(Ledger.create(self.url, spec, PROVENANCE))

    def open(self, name: str) -> Ledger:
        """A search that is there, read anew."""
        return self._keep(Ledger.open(self.url, name))

    def close(self) -> None:
        """Let go of the database."""
        for ledger in self._opened:
            ledger.close()

    def _keep(self, ledger: Ledger) -> Ledger:
        self._opened.append(ledger)
        return ledger


class Lines:
    """A view that remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.over: list[Trial] = []

    def say(self, line: str) -> None:
        """Remember a line."""
        self.said.append(line)

    def ended(self, trial: Trial) -> None:
        """Remember a trial."""
        self.over.append(trial)


@pytest.fixture(scope="session")
def make_spec(tmp_path_factory) -> MakeSpec:
    """Function: sections of a search file -> its specification; others are those of `BASE`."""
    folder = tmp_path_factory.mktemp("files")

    def make(**sections: Any) -> SearchSpec:
        path = folder / "search.yaml"
        number = next(_numbers)
        content = {**BASE, "name": f"s{number}", **sections}
        content["search"] = {**BASE["search"], **sections.get("search", {})}
        path.write_text(json.dumps(content), encoding="utf-8")
        return load_spec(path)

    return make


@pytest.fixture(scope="session")
def make_report() -> MakeReport:
    """Function: (trial, iteration, loss) -> the report of its newest attempt."""

    def make(trial: Any, iteration: int, loss: float | None = None, **rest: Any) -> TrialReport:
        metrics = {} if loss is None else {"loss": loss, "other": 2 * loss}
        given = {"time_ms": 1000 * iteration, "metrics": metrics, "attempt": trial.attempt} | rest
        return TrialReport(number=trial.number, iteration=iteration, **given)

    return make


@pytest.fixture(scope="session")
def postgres(system) -> Iterator[sa.Engine]:
    """A PostgreSQL server with the tables of a ledger."""
    # Not in pytest's folder: the server runs as a user of its own, who has no access there.
    with (
        TemporaryDirectory(prefix="synrep-postgres-") as folder,
        Postgres(Path(folder)) as server,
    ):
        _make_ready(server.url)
        engine = sa.create_engine(server.url)
        yield engine
        engine.dispose()


@pytest.fixture
def postgres_url(postgres) -> str:
    """The server's database, emptied."""
    with postgres.begin() as connection:
        connection.execute(sa.text("TRUNCATE studies, synrep_lease, synrep_event CASCADE"))
    url: str = postgres.url.render_as_string(hide_password=False)
    return url


def _make_ready(url: str) -> None:
    """Make the tables of a ledger, which takes a while."""
    storage = open_storage(url)
    storage.remove_session()
    storage.engine.dispose()


@pytest.fixture(scope="session")
def ready_sqlite(tmp_path_factory) -> Path:
    """A file in which a ledger was opened once."""
    path: Path = tmp_path_factory.mktemp("ready") / "ledger.sqlite"
    _make_ready(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(ready_sqlite, tmp_path: Path) -> str:
    """A database of its own for one test."""
    shutil.copy(ready_sqlite, tmp_path / "ledger.sqlite")
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


@pytest.fixture(
    params=["sqlite_url", pytest.param("postgres_url", marks=pytest.mark.system)],
    ids=["sqlite", "postgresql"],
)
def database_url(request) -> str:
    """An empty database, of each kind in turn."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def ledgers(database_url) -> Iterator[Ledgers]:
    """The ledgers of a test on each kind of database."""
    opened = Ledgers(database_url)
    yield opened
    opened.close()


@pytest.fixture
def ledgers_on() -> Iterator[Callable[[str], Ledgers]]:
    """Function: URL -> the ledgers of that database."""
    made: list[Ledgers] = []

    def on(url: str) -> Ledgers:
        made.append(Ledgers(url))
        return made[-1]

    yield on
    for ledgers in made:
        ledgers.close()


@pytest.fixture
def sqlite_ledgers(sqlite_url) -> Iterator[Ledgers]:
    """The ledgers of a test that would learn nothing from a second database."""
    opened = Ledgers(sqlite_url)
    yield opened
    opened.close()


@pytest.fixture
def make_search(sqlite_ledgers, tmp_path: Path) -> Callable[[SearchSpec | Ledger], Search]:
    """Function: a specification, or an opened ledger -> its search, reconciled."""

    def make(given: SearchSpec | Ledger) -> Search:
        ledger = sqlite_ledgers.create(given) if isinstance(given, SearchSpec) else given
        ledger.reconcile()
        return Search(ledger, SearchPaths(tmp_path, ledger.name), Lines())

    return make


@pytest.fixture
def wait_for() -> Callable[[Callable[[], Any]], Any]:
    """Function: waits until a condition holds, for at most a minute; what it gave."""

    def wait(condition: Callable[[], Any]) -> Any:
        end = time.monotonic() + 60
        while not (found := condition()):
            assert time.monotonic() < end, "it did not come"
            time.sleep(0.02)
        return found

    return wait
