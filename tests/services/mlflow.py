"""MLflow's tracking server."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .process import LOCALHOST, Server, answers, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class MlflowServer(Server):
    """A server that hands out artifacts itself, so its clients need no keys of their store.

    Args:
        folder: for what it keeps.
        backend: database of the runs; a SQLite file in the folder if omitted.
        artifacts: where they go, e.g. `s3://bucket/mlflow`; a place in the folder if omitted.
        env: credentials of that place.
    """

    def __init__(
        self,
        folder: Path,
        backend: str | None = None,
        artifacts: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, "mlflow")
        self.store = backend or f"sqlite:///{folder / 'mlflow.db'}"
        self.artifacts = artifacts or str(folder / "mlartifacts")
        self.port = free_port()
        self.uri = f"http://{LOCALHOST}:{self.port}"
        self._env = dict(env or {})

    def command(self) -> list[str]:
        """One worker: each takes 300 MB."""
        return [
            sys.executable, "-m", "mlflow", "server", "--backend-store-uri", self.store,
            "--serve-artifacts", "--artifacts-destination", self.artifacts,
            "--host", LOCALHOST, "--port", str(self.port), "--workers", "1",
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        """Nothing that the tests do not look at."""
        return self._env | {
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # 7 processes
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }

    def ready(self) -> bool:
        """Whether it answers."""
        return answers(f"{self.uri}/health")
