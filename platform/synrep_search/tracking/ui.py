"""MLflow's own pages, for this machine only.

MLflow's server lets everybody who reaches it read and change all runs. Here it listens on the
loopback address, so that is everybody with an account on this machine. How to start one for others
is in docs/cluster.md.
"""

from __future__ import annotations

import os
import shlex
import socket
import sqlite3
import sys
from typing import TYPE_CHECKING

from synrep.errors import InputError
from synrep.storage import masked
from synrep_search.paths import artifact_folder, names, sqlite_file
from synrep_search.tracking.store import Refused, make_ready

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOST = "127.0.0.1"


def command(uri: str, port: int) -> list[str]:
    """The command that serves MLflow's pages on a SQLite store, to this machine.

    Args:
        uri: of the store.
        port: to listen on.
    """
    file = sqlite_file(uri)
    assert file is not None, "only a SQLite store needs a server of ours"
    return [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri,
        "--artifacts-destination", str(artifact_folder(file)),
        "--host", HOST, "--port", str(port), "--workers", "1",
    ]  # fmt: skip


def environment() -> dict[str, str]:
    """What the server is told by its environment."""
    return os.environ | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # saves 7 processes
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def serve(uri: str, port: int) -> None:
    """Become the server: the process is replaced, so Ctrl-C ends it.

    Args:
        uri: of a SQLite store.
        port: to listen on.
    """
    words = command(uri, port)
    os.execve(words[0], words, environment())  # noqa: S606 - our own interpreter, no shell


def check_store(file: Path, home: Path, say: Callable[[str], None]) -> None:
    """See that there is something to show: MLflow would make an empty store.

    Args:
        file: of the SQLite store.
        home: of the searches.
        say: told that the store was moved.

    Raises:
        InputError: the store is not there, or half made.
    """
    if file.exists():
        try:
            make_ready(file, say)
        except Refused as error:
            raise InputError(str(file), *str(error).split("; remedy: ")) from None
        except (OSError, sqlite3.Error):
            pass  # it can be read all the same
        return
    if not names(home):
        remedy = "launch one first, or name their folder by --home or $SYNREP_HOME"
        raise InputError(str(home), "no searches there", remedy)
    rule = "not there: no search has told MLflow anything here"
    remedy = "`synrep-search ui NAME` says where the search NAME is tracked"
    raise InputError(str(file), rule, remedy)


def elsewhere(uri: str) -> str:
    """How to see the runs of a search that is not tracked in a SQLite store; no secrets."""
    where = masked(uri)
    if uri.startswith(("http://", "https://", "databricks")):
        return f"this search is tracked by a server that is running already: {where}"
    hint = "" if where == uri else " (with the secret in the place of ***)"
    shown = f"`mlflow server --backend-store-uri {shlex.quote(where)}`{hint}"
    return f"this search is tracked in {where}, which is no server: see it by {shown}"


def free_port(wanted: int) -> int:
    """The wanted port of the loopback address if it is free, else another."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError:
            probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
