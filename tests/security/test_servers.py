"""The servers that the platform starts let in nobody by accident."""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from synrep_search.tracking import ui
from synrep_search.tracking.ui import (
    ACCOUNTS,
    NEEDED,
    PASSWORD,
    check,
    command,
    environment,
    is_loopback,
)

from synrep.errors import InputError
from tests.services import MlflowServer
from tests.services.process import LOCALHOST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVERYWHERE, NAMES, GOOD_PASSWORD = "0.0.0.0", "mlflow.lab,mlflow.lab:5000", "a long password"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_this_machine_alone_needs_nothing(host: str) -> None:
    """And the server is told no names and no password."""
    assert is_loopback(host)
    check(host, "", {})
    assert "--app-name" not in command("sqlite:////tmp/x.db", host, 5000)


needs_accounts = pytest.mark.skipif(
    importlib.util.find_spec(NEEDED) is None, reason="MLflow's accounts need pip install flask-wtf"
)


def test_without_mlflows_accounts_nobody_else_is_let_in(monkeypatch) -> None:
    """The message says what to install."""
    monkeypatch.setattr(ui, "NEEDED", "a_package_that_is_not_installed")
    with pytest.raises(InputError, match=r"mlflow\[auth\]"):
        check(EVERYWHERE, NAMES, {PASSWORD: GOOD_PASSWORD})


@needs_accounts
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "mlflow.lab", "", "127.0.0.1.x"])
def test_other_machines_need_names_and_a_password(host: str) -> None:
    """Each of them is asked for by its name."""
    assert not is_loopback(host)
    good = {PASSWORD: GOOD_PASSWORD}
    check(host, NAMES, good)
    for names in ("", " , ", "*", "mlflow.lab,*", "*.lab"):
        with pytest.raises(InputError, match="--allowed-hosts"):
            check(host, names, good)
    for env in ({}, {PASSWORD: ""}, {PASSWORD: "short"}, {PASSWORD: "password1234"}):
        with pytest.raises(InputError, match=PASSWORD):
            check(host, NAMES, env)


@needs_accounts
def test_a_password_may_be_in_a_file_of_accounts(tmp_path: Path) -> None:
    """MLflow's own, which is held to the same rule."""
    file = tmp_path / "accounts.ini"
    for text, good in (
        (f"[mlflow]\nadmin_password = {GOOD_PASSWORD}\n", True),
        ("[mlflow]\nadmin_password = password1234\n", False),
        ("[mlflow]\n", False),
        ("no ini", False),
        ("[mlflow]\nadmin_password = %%(x)s\x00[", False),
    ):
        file.write_text(text, encoding="utf-8")
        with contextlib.nullcontext() if good else pytest.raises(InputError):
            check(EVERYWHERE, NAMES, {ACCOUNTS: str(file)})


class Guarded(MlflowServer):
    """The server that others may reach, here on this machine's own address all the same."""

    def command(self) -> list[str]:
        """As it is for other machines, but for the address."""
        words = command(self.store, EVERYWHERE, self.port, f"mlflow.lab,{LOCALHOST}:{self.port}")
        words[words.index(EVERYWHERE)] = LOCALHOST
        return words

    def environment(self) -> dict[str, str]:
        """Likewise, with the password in it."""
        return environment(self.store, EVERYWHERE) | {PASSWORD: GOOD_PASSWORD}


@pytest.fixture(scope="module")
def guarded(system, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """It, running in a folder of its own."""
    folder = tmp_path_factory.mktemp("guarded")
    with contextlib.chdir(tmp_path_factory.mktemp("elsewhere")), Guarded(folder) as server:
        yield server


def asked(server: Guarded, user: str = "", password: str = "", host: str = "") -> int:
    """The answer's status to a question for all experiments."""
    address = f"{server.uri}/api/2.0/mlflow/experiments/search?max_results=1"
    request = urllib.request.Request(address)
    if user:
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {pair}")
    if host:
        request.add_header("Host", host)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@needs_accounts
@pytest.mark.timeout(300)
def test_the_server_asks_for_the_password(guarded: Guarded) -> None:
    """Nobody, MLflow's old default, and a guess are sent away; admin with the password is not."""
    assert asked(guarded) == 401
    assert asked(guarded, "admin", "password1234") == 401
    assert asked(guarded, "admin", "password") == 401
    assert asked(guarded, "admin", GOOD_PASSWORD) == 200


@needs_accounts
def test_the_server_answers_to_its_names_alone(guarded: Guarded) -> None:
    """A page of a stranger can't reach it by a name that leads here."""
    assert asked(guarded, "admin", GOOD_PASSWORD, "mlflow.lab") == 200
    assert asked(guarded, "admin", GOOD_PASSWORD, "evil.example") == 403


@needs_accounts
def test_accounts_lie_beside_the_runs_without_the_password(guarded: Guarded) -> None:
    """Wherever the server was started from."""
    files = {path.name: path.read_bytes() for path in guarded.folder.iterdir() if path.is_file()}
    assert "mlflow-accounts.db" in files
    assert not any(GOOD_PASSWORD.encode() in content for content in files.values())
    assert not list(guarded.folder.parent.glob("elsewhere*/*"))
