"""A place to search as a group has it: Ray nodes, PostgreSQL, an S3 store, an MLflow server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from synrep_search.durability.ledger import Ledger
from synrep_search.paths import SearchPaths
from synrep_search.tracking.client import open_client

from tests.services import MlflowServer, ObjectStore, Postgres, RayCluster
from tests.services.cluster import NETWORK
from tests.services.process import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow.entities import Run

Reports = dict[int, dict[int, tuple[dict[str, float], dict[str, Any]]]]
PATIENCE_S = 300
NODES = 3
TRIALS, REPORTS, LENGTH = 4, 12, 720
# Nothing that depends on timing: points are drawn by number, and every trial runs its full length.
SEARCH = f"""\
train:
  iterations: {LENGTH}
  reports: {REPORTS}
  batch_size: 32
  generator.width: 32
  generator.dropout: 0.1
  reprojection_network.width: 32
  critic.branch_width: 16
  evaluation.views: 256
space:
  loss.lambda_angle: {{log: [0.1, 10]}}
  optim.lr_generator: {{log: [1e-4, 1e-3]}}
search: {{minimize: validation/mpjpe_mm, trials: {TRIALS}, sampler: {{random: {{seed: 3}}}}}}
resources: {{fuse: off}}
"""
"""The GAN's search whose machines are lost."""


def all_reports(ledger: Ledger) -> Reports:
    """Metrics and checkpoint of every report, by trial and iteration."""
    return {
        trial.number: {
            event.step: (event.payload["metrics"], event.payload["checkpoint"])
            for event in ledger.outbox.reports(trial.number)
        }
        for trial in ledger.index.trials()
    }


class Place:
    """The servers, and searches that use all of them.

    Args:
        folder: for logs, homes and search files; open to PostgreSQL's account.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.postgres = Postgres(folder / "postgres")
        self.objects = ObjectStore(folder / "objects")
        self.ray = self.cluster(folder / "ray", NODES)

    def start(self, stack: ExitStack) -> None:
        """Start all servers side by side; the stack ends them."""
        with ThreadPoolExecutor() as pool:
            ray = pool.submit(stack.enter_context, self.ray)
            objects = pool.submit(stack.enter_context, self.objects)
            stack.enter_context(self.postgres)
            objects.result()
            self.ledger = self.postgres.create_database("ledger")
            runs = self.postgres.create_database("mlflow")
            store, bucket = runs.replace("://", "+psycopg://"), f"{self.objects.uri()}/mlflow"
            self.mlflow = MlflowServer(self.folder / "mlflow", store, bucket, self.objects.env)
            stack.enter_context(self.mlflow)
            ray.result()

    @property
    def env(self) -> dict[str, str]:
        """What a driver is told: no secret is in a file."""
        return os.environ | self.objects.env | self.ray.env

    def cluster(self, folder: Path, nodes: int, network: str = NETWORK) -> RayCluster:
        """Nodes, of one CPU each. They hold the keys: workers read and write checkpoints."""
        env = self.objects.env | {"OMP_NUM_THREADS": "1"}
        return RayCluster(folder, nodes, cpus_each=1, env=env, network=network)

    def search(self, text: str, *, ledger: bool = True) -> Remote:
        """A search of its own, not launched.

        Args:
            text: of its file, without a name and addresses.
            ledger: whether it is PostgreSQL's, or a file in the search's folder.
        """
        name = f"s{uuid.uuid4().hex[:8]}"
        file = self.folder / f"{name}.yaml"
        on_server = f"ledger: {self.ledger}\n" if ledger else ""
        file.write_text(
            f"name: {name}\nstorage: {self.objects.uri()}/searches\n{on_server}"
            f"tracking: {{uri: '{self.mlflow.uri}', keep_best: 1}}\n{text}",
            encoding="utf-8",
        )
        return Remote(self, name, file)

    def alone(self, text: str) -> Reports:
        """What the same search reports when nothing happens to it: one process, no servers."""
        home = self.folder / "alone"
        file = self.folder / "alone.yaml"
        file.write_text(f"name: alone\ntracking: {{keep_best: 0}}\n{text}", encoding="utf-8")
        command = [
            sys.executable, "-m", "synrep_search.cli", "launch", str(file), "--yes",
            "--home", str(home), "--local",
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)
        with closing(Ledger.open(SearchPaths(home, "alone").ledger_url(), "alone")) as ledger:
            return all_reports(ledger)


class Remote:
    """One search, seen from outside.

    Args:
        place: where it runs.
        name: of the search.
        file: that it is launched with.
    """

    def __init__(self, place: Place, name: str, file: Path) -> None:
        self.place = place
        self.name = name
        self.file = file
        self.log = file.with_suffix(".log")
        self.uri = f"{place.objects.uri()}/searches/{name}"

    @property
    def output(self) -> str:
        """What its drivers have said."""
        return self.log.read_text(encoding="utf-8")

    def launch(self) -> subprocess.Popen[bytes]:
        """A driver that begins it."""
        return self.begin("launch", str(self.file), "--yes")

    def begin(
        self, *words: str, home: Path | None = None, ray: RayCluster | None = None
    ) -> subprocess.Popen[bytes]:
        """A driver, by a command without the options that all have.

        Args:
            words: of the command.
            home: of the search; None is the place's.
            ray: where trials run; None is the place's cluster.
        """
        cluster = ray or self.place.ray
        command = [
            sys.executable, "-m", "synrep_search.cli", *words,
            "--home", str(home or self.place.home), "--address", cluster.address,
        ]  # fmt: skip
        env = self.place.env | cluster.env
        with self.log.open("ab") as log:
            return subprocess.Popen(command, env=env, stdout=log, stderr=log)

    def finish(self, driver: subprocess.Popen[bytes]) -> None:
        """Wait until a driver has ended well."""
        try:
            code = driver.wait(PATIENCE_S)
        finally:
            driver.kill()
            driver.wait()
        assert code == 0, self.output

    def opened(self) -> Ledger:
        """Its ledger."""
        return Ledger.open(self.place.ledger, self.name)

    def reports(self) -> Reports:
        """All that its trials have reported."""
        with closing(self.opened()) as ledger:
            return all_reports(ledger)

    def counted(self) -> list[int]:
        """Reports of each trial so far; empty while it is not there."""
        query = (
            "SELECT COUNT(*) FROM synrep_event WHERE kind = 'report' AND trial >= 0"
            " AND search = %s GROUP BY trial"
        )
        try:
            with psycopg.connect(self.place.ledger) as connection:
                return [count for (count,) in connection.execute(query, [self.name])]
        except psycopg.errors.UndefinedTable:
            return []

    def wait_for_reports(self, driver: subprocess.Popen[bytes], count: int) -> None:
        """Return when there are so many in all."""
        wait_until(
            lambda: sum(self.counted()) >= count or driver.poll() is not None,
            f"{count} reports",
            PATIENCE_S,
        )
        assert driver.poll() is None, f"it ended too early:\n{self.output}"

    def runs(self) -> dict[int, Run]:
        """Its runs at MLflow by trial, -1 for the parent; each there once."""
        client = open_client(self.place.mlflow.uri)
        experiment = client.get_experiment_by_name("synrep")
        assert experiment is not None
        wanted = f"tags.`synrep.search` = '{self.name}'"
        runs = client.search_runs([experiment.experiment_id], wanted)
        found = {int(run.data.tags.get("synrep.trial", -1)): run for run in runs}
        assert len(found) == len(runs), "a trial has two runs"
        return found

    def history(self, run: Run, metric: str) -> dict[int, float]:
        """Values of a metric by step; each step is there once."""
        rows = open_client(self.place.mlflow.uri).get_metric_history(run.info.run_id, metric)
        found = {row.step: row.value for row in rows}
        assert len(found) == len(rows), "a step is there twice"
        return found

    def status(self) -> dict[str, Any]:
        """What the command tells."""
        command = [
            sys.executable, "-m", "synrep_search.cli", "status", self.name, "--json",
            "--home", str(self.place.home),
        ]  # fmt: skip
        asked = subprocess.run(command, env=self.place.env, check=True, capture_output=True)
        found: dict[str, Any] = json.loads(asked.stdout)
        return found


@pytest.fixture(scope="package")
def place(system) -> Iterator[Place]:
    """The servers that the tests of this folder share."""
    # Not in pytest's folder: PostgreSQL runs as a user of its own, who has no access there.
    with TemporaryDirectory(prefix="synrep-", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder))
        with ExitStack() as stack:
            place.start(stack)
            yield place


@pytest.fixture(scope="package")
def alone(place: Place) -> Reports:
    """What `SEARCH` reports if no machine is lost."""
    return place.alone(SEARCH)
