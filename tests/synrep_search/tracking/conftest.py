"""A real MLflow server, and searches that are tracked by it."""

from __future__ import annotations

import io
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console
from synrep_search.durability.database import SEARCH_ITSELF
from synrep_search.durability.ledger import Ledger
from synrep_search.durability.outbox import Event
from synrep_search.paths import SearchPaths
from synrep_search.search.driver import run_search
from synrep_search.search_file import load_spec
from synrep_search.terminal.progress import ProgressDisplay
from synrep_search.tracking.client import open_client
from synrep_search.tracking.delivery import Delivery
from synrep_search.tracking.exports import Exports
from synrep_search.tracking.ui import command, environment
from synrep_search.workers.local import run as run_locally

from tests.services import MlflowServer
from tests.services.process import answers, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlflow import MlflowClient
    from mlflow.entities import Run
    from synrep_search.search.loop import Runner, Search

SCRIPT = """
trainer: scripted
train: {iterations: 4, reports: 2}
space: {x: {float: [0, 1]}}
search: {minimize: loss, trials: 3}
"""


class Server(MlflowServer):
    """An MLflow server on a SQLite store, started as `synrep-search ui` starts it."""

    def command(self) -> list[str]:
        """As the command says it."""
        return command(self.store, self.port)

    def environment(self) -> dict[str, str]:
        """Likewise."""
        return environment()


class Tracked:
    """One search of a home, tracked by a server or a SQLite store."""

    def __init__(self, home: Path, uri: str, text: str = SCRIPT) -> None:
        home.mkdir(exist_ok=True)
        file = home / "search.yaml"
        name = f"s{uuid.uuid4().hex[:8]}"
        file.write_text(f"name: {name}\ntracking: {{uri: '{uri}'}}\n{text}", encoding="utf-8")
        self.uri = uri
        self.paths = SearchPaths(home, name)
        self.paths.folder.mkdir()
        self.output = io.StringIO()
        origin = {"id": uuid.uuid4().hex, "code": "abc123", "data": "f00d", "created": "now"}
        self.ledger = Ledger.create(self.paths.ledger_url(load_spec(file)), load_spec(file), origin)

    @property
    def said(self) -> str:
        """What its view was told."""
        return self.output.getvalue()

    def say(self, line: str) -> None:
        """Show a line."""
        self.output.write(f"{line}\n")

    def run(self, runner: Runner = run_locally) -> Search:
        """Run it to its end, as a new driver."""
        self.ledger = Ledger.open(self.paths.ledger_url(), self.paths.name)
        view = ProgressDisplay(Console(file=self.output, width=200))
        return run_search(self.ledger, self.paths, runner, view)

    def put(self, trial: int, kind: Any, step: int = 0, **payload: Any) -> None:
        """Put an event into the outbox."""
        if kind == "report":
            payload = {"checkpoint": None} | payload
        self.ledger.outbox.put(Event(trial=trial, kind=kind, step=step, payload=payload))

    def export(self, trial: int, **files: str) -> Path:
        """Make the export of a checkpoint that a trial is said to have; its folder."""
        sha256 = (uuid.uuid4().hex + uuid.uuid4().hex)[:64]
        ref = {"file": f"00000099-{sha256[:16]}.safetensors", "iteration": 99, "sha256": sha256}
        self.put(trial, "report", 99, metrics={}, checkpoint=ref)
        folder = self.paths.exports / f"{trial:04d}-{sha256[:12]}"
        folder.mkdir(parents=True)
        for stem, content in files.items():
            (folder / f"{stem}.json").write_text(content, encoding="utf-8")
        return folder

    def use_experiment(self, name: str) -> None:
        """Deliver to another experiment."""
        spec = self.ledger.spec
        tracking = spec.tracking.model_copy(update={"experiment": name})
        self.ledger.spec = spec.model_copy(update={"tracking": tracking})

    def begin(self, *trials: int) -> None:
        """Put the beginning of the search and of trials into the outbox."""
        self.put(SEARCH_ITSELF, "start", params={}, tags={}, spec={"name": self.ledger.name})
        for trial in trials:
            self.put(trial, "start", params={"x": 0.5}, tags={"synrep.state": "running"})

    def delivery(self) -> Delivery:
        """The thread that delivers the outbox."""
        exports = Exports(self.ledger, self.paths, self.say)
        return Delivery(self.ledger, self.uri, self.say, exports)

    def deliver(self) -> int:
        """Deliver the outbox by a thread of its own; the number of events left."""
        delivery = self.delivery()
        delivery.start()
        left = delivery.flush(30)
        delivery.stop()
        return left

    def deliver_again(self) -> int:
        """Deliver everything once more, as if a driver had died before it could note that."""
        self.deliver_nothing()
        return self.deliver()

    def deliver_nothing(self) -> None:
        """Make all events undelivered."""
        self.ledger.outbox.redeliver()

    def runs(self) -> dict[int, Run]:
        """Its runs by trial, each there once."""
        client = open_client(self.uri)
        experiment = client.get_experiment_by_name(self.ledger.spec.tracking.experiment)
        assert experiment is not None
        wanted = f"tags.`synrep.search` = '{self.ledger.name}'"
        found: dict[int, Run] = {}
        for run in client.search_runs([experiment.experiment_id], wanted):
            if run.data.tags["synrep.id"] == self.ledger.provenance["id"]:
                trial = int(run.data.tags.get("synrep.trial", SEARCH_ITSELF))
                assert trial not in found, "a trial has two runs"
                found[trial] = run
        return found

    def history(self, trial: int, metric: str) -> list[tuple[int, float]]:
        """All rows of a metric: step and value."""
        client = open_client(self.uri)
        rows = client.get_metric_history(self.runs()[trial].info.run_id, metric)
        return sorted((row.step, row.value) for row in rows)


@pytest.fixture(scope="session")
def server(system, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server that the tests share; they use searches of their own."""
    with Server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def client(server: Server) -> MlflowClient:
    """A client of the shared server."""
    return open_client(server.uri)


@pytest.fixture
def tracked(server: Server, tmp_path: Path) -> Tracked:
    """A search of three scripted trials, not begun."""
    return Tracked(tmp_path, server.uri)


@pytest.fixture(scope="session")
def wait_for() -> Callable[[str], None]:
    """Waits until an address answers."""
    return lambda address: wait_until(lambda: answers(address), address)


@pytest.fixture(scope="session")
def make_tracked() -> type[Tracked]:
    """Makes searches."""
    return Tracked
