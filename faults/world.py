"""The servers that all cells share: started once, mended after each cell."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from tests.services import MlflowServer, ObjectStore, Postgres, Proxy, RayCluster

NODES = 3
PROBE = Path(__file__).resolve().parent / "probe"


class World:
    """A Ray cluster, PostgreSQL, an S3 store and MLflow; the last two behind doors.

    Attributes:
        folder: for all that is written; removed at the end.
        gan_journal: what the GAN's trainings do; see `probe/sitecustomize.py`.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.folder = Path(
            self._stack.enter_context(
                TemporaryDirectory(prefix="synrep-faults-", ignore_cleanup_errors=True)
            )
        )
        self.gan_journal = self.folder / "gan-journal"
        self.gan_journal.touch()

    def __enter__(self) -> Self:
        enter = self._stack.enter_context
        try:
            self.objects = enter(ObjectStore(self.folder / "objects"))
            self.objects_door = enter(Proxy(self.objects.port))
            self.mlflow = enter(MlflowServer(self.folder / "mlflow"))
            self.mlflow_door = enter(Proxy(self.mlflow.port))
            self.postgres = enter(Postgres(self.folder / "postgres"))
            self.keys = self.objects.env_at(self.objects_door.url)
            seen = self.keys | {
                "FAULTS_JOURNAL": str(self.gan_journal),
                "PYTHONPATH": str(PROBE),
                "OMP_NUM_THREADS": "1",
            }
            self.ray = enter(RayCluster(self.folder / "ray", NODES, 1, env=seen))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def env(self) -> dict[str, str]:
        """What a driver needs."""
        mine = {"OMP_NUM_THREADS": "1", "SYNREP_CACHE": str(self.folder / "cache")}
        return {**os.environ, **self.keys, **self.ray.env, **mine}

    def mend(self) -> None:
        """Bring back whatever a cell has left broken."""
        self.mlflow_door.pass_()
        self.objects_door.pass_()
        for server in (self.mlflow, self.postgres, self.objects):
            if not server.running:
                server.start()
        if not self.ray.head.running:
            self.ray.restart()
        for _ in range(NODES - sum(node.running for node in self.ray.nodes)):
            self.add_node()

    def add_node(self) -> None:
        """Start one more node; on a busy machine, Ray may need another try."""
        for _ in range(2):
            with suppress(AssertionError):
                self.ray.add_node()
                return
        self.ray.add_node()
