"""MLflow's own pages, for this machine only unless asked otherwise.

MLflow's server lets everybody who reaches it read and change all runs. On this machine's own
address that is everybody with an account here; on any other address the server asks for a password
and answers only to the names that it was told.
"""

from __future__ import annotations

import configparser
import ipaddress
import os
import secrets
import shlex
import socket
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from synrep.errors import InputError
from synrep.storage import masked
from synrep_search.paths import artifact_folder, names, sqlite_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PASSWORD, ACCOUNTS = "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_AUTH_CONFIG_PATH"
SIGNING_KEY = "MLFLOW_FLASK_SERVER_SECRET_KEY"
NEEDED = "flask_wtf"
"""What MLflow's accounts need beside MLflow."""
SHORTEST = 12
"""Characters of a password."""
WELL_KNOWN = ("password1234",)
"""MLflow's default in older versions."""


def command(uri: str, host: str, port: int, allowed_hosts: str = "") -> list[str]:
    """The command that serves MLflow's pages on a SQLite store.

    Args:
        uri: of the store.
        host: to listen on.
        port: likewise.
        allowed_hosts: names by which others reach the server, comma-separated; see `serve`.
    """
    file = sqlite_file(uri)
    assert file is not None, "only a SQLite store needs a server of ours"
    others = ["--app-name", "basic-auth", "--allowed-hosts", allowed_hosts]
    return [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri,
        "--artifacts-destination", str(artifact_folder(file)),
        "--host", host, "--port", str(port), "--workers", "1",
        *(() if is_loopback(host) else others),
    ]  # fmt: skip


def environment(uri: str = "", host: str = "localhost") -> dict[str, str]:
    """What the server is told by its environment."""
    told = os.environ | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # saves 7 processes
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    file = sqlite_file(uri)
    if not is_loopback(host) and file is not None:
        told.setdefault(SIGNING_KEY, secrets.token_hex(32))
        told.setdefault(ACCOUNTS, str(_accounts_beside(file)))
    return told


def serve(uri: str, host: str, port: int, allowed_hosts: str = "") -> None:
    """Become the server: the process is replaced, so Ctrl-C ends it.

    Args:
        uri: of a SQLite store.
        host: to listen on; on any but this machine's own address, the server asks for a password.
        port: likewise.
        allowed_hosts: names by which others reach it, comma-separated: needed where they can.

    Raises:
        InputError: others could reach it, and names or a password of its own are missing.
    """
    check(host, allowed_hosts, os.environ)
    words = command(uri, host, port, allowed_hosts)
    os.execve(words[0], words, environment(uri, host))  # noqa: S606 - our own interpreter, no shell


def check_store(file: Path, home: Path) -> None:
    """See that there is something to show: MLflow would make an empty store.

    Args:
        file: of the SQLite store.
        home: of the searches.

    Raises:
        InputError: the store is not there.
    """
    if file.exists():
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


def check(host: str, allowed_hosts: str, env: Mapping[str, str]) -> None:
    """See that nobody is let in by accident; nothing is asked for on this machine's own address.

    Raises:
        InputError: others could reach it, and names or a password of its own are missing.
    """
    if is_loopback(host):
        return
    place = f"--host {host}"
    if find_spec(NEEDED) is None:
        rule = "lets other machines in, and MLflow's own pages for accounts are not installed"
        raise InputError(place, rule, "pip install 'mlflow[auth]'")
    names = [name.strip() for name in allowed_hosts.split(",") if name.strip()]
    if not names or any("*" in name for name in names):
        raise InputError(
            place,
            "lets other machines in, but not by which names",
            "add --allowed-hosts with the names that they use, e.g. mlflow.lab:5000, without *",
        )
    password = env.get(PASSWORD) or _password_in(env.get(ACCOUNTS, ""))
    if len(password) < SHORTEST or password in WELL_KNOWN:
        raise InputError(
            place,
            "lets other machines in, and the password of the user admin is missing or weak",
            f"set ${PASSWORD} to one of {SHORTEST} characters or more, or name a file with it by "
            f"${ACCOUNTS}",
        )


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def free_port(host: str, wanted: int) -> int:
    """The wanted port if it is free, else another.

    Raises:
        InputError: nothing can listen on that host.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, wanted))
        except OSError:
            try:
                probe.bind((host, 0))
            except OSError as error:
                raise InputError(f"--host {host}", f"can't listen there: {error}") from None
        return int(probe.getsockname()[1])


def _accounts_beside(store: Path) -> Path:
    """MLflow's file about accounts: it names their database, which else lies wherever one starts.

    It holds no password: the first start takes that from the environment.
    """
    path = store.with_name("mlflow-accounts.ini")
    if not path.exists():
        content = configparser.ConfigParser()
        content["mlflow"] = {
            "default_permission": "READ",
            "database_uri": f"sqlite:///{store.with_name('mlflow-accounts.db')}",
            "admin_username": "admin",
        }
        with path.open("w", encoding="utf-8") as file:
            content.write(file)
    return path


def _password_in(path: str) -> str:
    content = configparser.ConfigParser(interpolation=None)
    try:
        content.read(path, encoding="utf-8")
    except (configparser.Error, ValueError):
        return ""
    return content.get("mlflow", "admin_password", fallback="")
