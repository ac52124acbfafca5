"""Serve MLflow's UI on this machine only.

MLflow's server has no access control: everybody who can reach it can read and change all runs. It
therefore listens on the loopback address, which only users of this machine can reach.
docs/guide/cluster.md describes a server for several machines.
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
    """Return the command that serves MLflow's UI for a SQLite store on the loopback address.

    Args:
        uri: URI of the store.
        port: TCP port.
    """
    file = sqlite_file(uri)
    assert file is not None, "only a SQLite store needs a server of ours"
    return [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri,
        "--artifacts-destination", str(artifact_folder(file)),
        "--host", HOST, "--port", str(port), "--workers", "1",
    ]  # fmt: skip


def environment() -> dict[str, str]:
    """Return the environment variables of the server process."""
    return os.environ | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # saves 7 processes
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def serve(uri: str, port: int) -> None:
    """Replace this process with the MLflow server, so that Ctrl-C ends it; does not return.

    Args:
        uri: URI of a SQLite store.
        port: TCP port.
    """
    arguments = command(uri, port)
    os.execve(arguments[0], arguments, environment())  # noqa: S606 - this interpreter, no shell


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
        remedy = "launch one first, or give the folder of your searches by --home or $SYNREP_HOME"
        raise InputError(str(home), "contains no searches", remedy)
    rule = "does not exist: no search of this home is tracked in it"
    remedy = "`synrep-search ui NAME` shows where the search NAME is tracked"
    raise InputError(str(file), rule, remedy)


def elsewhere(uri: str) -> str:
    """Return a hint how to view runs that are tracked elsewhere, with secrets masked."""
    where = masked(uri)
    if uri.startswith(("http://", "https://", "databricks")):
        return f"this search is tracked by an MLflow server: {where}"
    hint = "" if where == uri else " (replace *** with the secret)"
    shown = f"`mlflow server --backend-store-uri {shlex.quote(where)}`{hint}"
    return f"this search is tracked in {where}, which is not a server: view it with {shown}"


def free_port(wanted: int) -> int:
    """Return the wanted port if it is free on the loopback address, else another free port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError:
            probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
