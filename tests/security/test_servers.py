"""The server that the platform starts is reached from this machine alone."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]
import pytest
from click.testing import CliRunner
from synrep_search.cli import main
from synrep_search.tracking.ui import command, environment

from tests.services import MlflowServer

if TYPE_CHECKING:
    from collections.abc import Iterator


class Pages(MlflowServer):
    """MLflow's pages as `synrep-search ui` serves them."""

    def command(self) -> list[str]:
        """As the command says it."""
        return command(self.store, self.port)

    def environment(self) -> dict[str, str]:
        """Likewise."""
        return environment()


@pytest.fixture(scope="module")
def pages(system, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """It, running."""
    with Pages(tmp_path_factory.mktemp("pages")) as server:
        yield server


def addresses() -> list[str]:
    """Addresses of this machine that others may reach."""
    found = (address for those in psutil.net_if_addrs().values() for address in those)
    wanted = (one.address for one in found if one.family == socket.AF_INET)
    return [address for address in wanted if not address.startswith("127.")]


@pytest.mark.timeout(300)
def test_no_other_interface_answers(pages: Pages) -> None:
    """Nothing listens on the port but on the loopback address."""
    listening = {
        connection.laddr.ip
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == pages.port
    }
    assert listening == {"127.0.0.1"}
    for address in addresses():
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((address, pages.port), timeout=10)


def asked(server: Pages, host: str) -> int:
    """The answer's status to a question for all experiments, under a name of the server."""
    address = f"{server.uri}/api/2.0/mlflow/experiments/search?max_results=1"
    request = urllib.request.Request(address, headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_pages_answer_to_local_names_alone(pages: Pages) -> None:
    """A page of a stranger can't reach them by a name that leads here."""
    for name in (f"127.0.0.1:{pages.port}", f"localhost:{pages.port}"):
        assert asked(pages, name) == 200
    for name in ("evil.example", f"evil.example:{pages.port}", "localhost.evil.example"):
        assert asked(pages, name) == 403


@pytest.mark.parametrize("words", [["--host", "0.0.0.0"], ["--allowed-hosts", "*"]])
def test_no_option_opens_the_pages_to_others(words: list[str]) -> None:
    """That takes a server of MLflow's own; see docs/guide/cluster.md."""
    result = CliRunner().invoke(main, ["ui", *words])
    assert result.exit_code == 2
    assert "No such option" in result.output
