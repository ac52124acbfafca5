"""MLflow's own pages, for this machine only unless asked otherwise."""

from __future__ import annotations

import os
import socket
import sys

from synrep_search.tracking.address import artifact_folder, sqlite_file


def command(uri: str, host: str, port: int) -> list[str]:
    """The command that serves MLflow's pages on a SQLite store."""
    file = sqlite_file(uri)
    assert file is not None, "only a SQLite store needs a server of ours"
    file.parent.mkdir(parents=True, exist_ok=True)
    return [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri,
        "--artifacts-destination", str(artifact_folder(file)),
        "--host", host, "--port", str(port), "--workers", "1",
    ]  # fmt: skip


def environment() -> dict[str, str]:
    """What the server is told by its environment."""
    return os.environ | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # saves 7 processes
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def serve(uri: str, host: str, port: int) -> None:
    """Become the server: the process is replaced, so Ctrl-C ends it."""
    words = command(uri, host, port)
    os.execve(words[0], words, environment())  # noqa: S606 - our own interpreter, no shell


def free_port(host: str, wanted: int) -> int:
    """The wanted port if it is free, else another."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, wanted))
        except OSError:
            probe.bind((host, 0))
        return int(probe.getsockname()[1])
