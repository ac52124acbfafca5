"""MLflow's store of a home: made by one process, whole, and at home where it is."""

from __future__ import annotations

import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest
import requests
from synrep_search.paths import artifact_folder, sqlite_url
from synrep_search.tracking.client import experiment_id, open_client
from synrep_search.tracking.store import Refused

if TYPE_CHECKING:
    from pathlib import Path

OPEN = """\
import sys
from synrep_search.tracking.client import experiment_id, open_client
print(experiment_id(open_client(sys.argv[1]), sys.argv[1], "e"))
"""


def test_one_of_many_processes_makes_the_store(tmp_path: Path) -> None:
    """They begin at the same moment; all of them can use it, and nothing else is left."""
    file = tmp_path / "home" / "mlflow.db"
    words = [sys.executable, "-c", OPEN, sqlite_url(file)]
    crowd = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    found = {one.communicate()[0].strip() for one in crowd}
    assert [one.returncode for one in crowd] == [0] * 4
    assert len(found) == 1
    names = {path.name for path in file.parent.iterdir()}
    assert names - {"mlflow.db-wal", "mlflow.db-shm"} == {"mlflow.db"}


def test_a_store_that_a_killed_process_left_half_made_is_made_anew(tmp_path: Path) -> None:
    """It has its name only when it is complete."""
    new = tmp_path / "mlflow.db.new"
    with closing(sqlite3.connect(new)) as connection:
        connection.execute("CREATE TABLE _alembic_tmp_params (a)")
    open_client(sqlite_url(tmp_path / "mlflow.db"))
    assert not new.exists()


LEFT = "CREATE TABLE _alembic_tmp_params (a)"
ANEW = "DELETE FROM alembic_version; DROP TABLE trace_info"


@pytest.mark.parametrize("script", [LEFT, ANEW], ids=["a table is left", "migrations begin anew"])
def test_a_store_that_is_half_made_is_told_with_its_remedy(tmp_path: Path, script: str) -> None:
    """Earlier versions left such stores, which no search could use any more."""
    open_client(sqlite_url(tmp_path / "whole.db"))
    file = tmp_path / "mlflow.db"
    shutil.copy(tmp_path / "whole.db", file)
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)
    with pytest.raises(Refused) as caught:
        open_client(sqlite_url(file))
    assert f"move {file} away" in str(caught.value)


def test_a_disk_that_was_full_is_forgotten(tmp_path: Path) -> None:
    """What was begun is removed, and the next attempt makes the store."""
    uri = sqlite_url(tmp_path / "mlflow.db")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(Refused) as caught:
            open_client(uri)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "remedy" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert experiment_id(open_client(uri), uri, "e")


def test_a_moved_store_has_its_artifacts_beside_it(tmp_path: Path) -> None:
    """Those of before the move are found, new ones go there too, and it is said once."""
    said: list[str] = []
    before, after = tmp_path / "a b", tmp_path / "100% c"
    file = before / "mlflow.db"
    client = open_client(sqlite_url(file), said.append)
    experiment = experiment_id(client, sqlite_url(file), "e")
    run = client.create_run(experiment).info.run_id
    client.log_text(run, "old", "old.txt")
    before.rename(after)
    for _ in range(2):
        client = open_client(sqlite_url(after / "mlflow.db"), said.append)
    folder = artifact_folder(after / "mlflow.db")
    assert client.get_experiment(experiment).artifact_location == folder.as_uri()
    assert [one.path for one in client.list_artifacts(run)] == ["old.txt"]
    new = client.create_run(experiment).info.run_id
    client.log_text(new, "new", "new.txt")
    assert list(folder.rglob("new.txt"))
    assert len(said) == 1
    assert str(before) in said[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["100% c"]


def test_a_link_is_no_move(tmp_path: Path) -> None:
    """A home that is reached by two paths keeps what it says."""
    said: list[str] = []
    uri = sqlite_url(tmp_path / "real" / "mlflow.db")
    experiment_id(open_client(uri, said.append), uri, "e")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    open_client(sqlite_url(tmp_path / "link" / "mlflow.db"), said.append)
    assert said == []


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


def test_no_proxy_is_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would look for the server on the proxy's own machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{probe.getsockname()[1]}")
    monkeypatch.setenv("no_proxy", "elsewhere.example")
    monkeypatch.delenv("NO_PROXY", raising=False)
    server = HTTPServer(("127.0.0.1", 0), _Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        with pytest.raises(requests.exceptions.ProxyError):
            requests.get(address, timeout=10)
        for _ in range(2):
            open_client(address)
        assert requests.get(address, timeout=10).status_code == 200
    finally:
        server.shutdown()
        server.server_close()


def test_a_proxy_that_is_asked_is_named(make_tracked, tmp_path: Path, monkeypatch) -> None:
    """Else the server itself would be suspected."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    tracked = make_tracked(tmp_path, "http://mlflow.invalid:5000")
    tracked.begin(0)
    assert tracked.deliver()
    assert "does not answer through the proxy http://127.0.0.1:9 of $http_proxy" in tracked.said
    assert "add mlflow.invalid to $no_proxy" in tracked.said
