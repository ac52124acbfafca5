"""Secrets that are planted in the environment of a search stay there.

A search runs on Ray with its ledger in PostgreSQL, its checkpoints in an object store and its runs
on an MLflow server. Then every byte that it has written is looked through, and every word that its
processes were called with.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest
from psycopg import sql

from tests.services import MlflowServer, ObjectStore, Postgres, free_port
from tests.services.process import LOCALHOST

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 300
pytestmark = pytest.mark.timeout(2 * PATIENCE_S)
USER = "searcher"
TOKEN = "AWS_SESSION_TOKEN"
"""Only a search that keeps its checkpoints in a folder has it: this object store takes none."""
SEARCH = """\
name: planted
trainer: scripted
train: {{iterations: 4, reports: 2, fail_at: 3, once: {once}}}
space: {{x: {{float: [-1, 1]}}}}
search: {{minimize: loss, trials: 3}}
failures: {{retries: 1}}
storage: {storage}
ledger: {ledger}
tracking: {{uri: "{tracking}", keep_best: 0}}
"""


def forms(secret: str) -> set[bytes]:
    """How a secret could be written down."""
    raw = secret.encode()
    # Base64 of a text that begins at each of the three places within a group.
    packed = {base64.b64encode(b"x" * shift + raw)[4:-4] for shift in range(3)}
    return {raw, urllib.parse.quote(secret).encode(), raw.hex().encode(), raw[::-1], *packed}


class Place:
    """Servers that ask for a password, and what a search on them writes.

    Args:
        folder: for all of it, with a short name: Ray's sockets are in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home, self.user, self.ray = folder / "home", folder / "user", folder / "ray"
        self.checkpoints = folder / "checkpoints"
        self.postgres = Postgres(folder / "postgres")
        self.objects = ObjectStore(folder / "objects")
        self.mlflow = MlflowServer(folder / "mlflow")
        # A slash and an @ are what makes an address with a password hard to read.
        self.planted = {
            "PGPASSWORD": f"pg/{secrets.token_hex(12)}@:",
            "AWS_SECRET_ACCESS_KEY": self.objects.secret_key,
            "AWS_ACCESS_KEY_ID": self.objects.access_key,
            TOKEN: f"st/{secrets.token_hex(12)}+=",
            "MLFLOW_TRACKING_USERNAME": f"mu{secrets.token_hex(12)}",
            "MLFLOW_TRACKING_PASSWORD": f"mp/{secrets.token_hex(12)}@:",
            "MLFLOW_TRACKING_TOKEN": f"mt{secrets.token_hex(12)}",
        }
        self.words: set[str] = set()
        self.said = ""

    def start(self, stack: ExitStack) -> None:
        """Start the servers; PostgreSQL asks the user of the search for its password."""
        for server in (self.postgres, self.objects, self.mlflow):
            stack.enter_context(server)
        self.user.mkdir()
        with psycopg.connect(self.postgres.url, autocommit=True) as admin:
            password = sql.Literal(self.planted["PGPASSWORD"])
            admin.execute(sql.SQL(f"CREATE ROLE {USER} LOGIN PASSWORD {{}}").format(password))
            admin.execute(f"CREATE DATABASE ledger OWNER {USER}")
            (self.postgres.folder / "data" / "pg_hba.conf").write_text(
                f"host all postgres {LOCALHOST}/32 trust\n"
                f"host all all {LOCALHOST}/32 scram-sha-256\n",
                encoding="utf-8",
            )
            admin.execute("SELECT pg_reload_conf()")
        self.ledger = f"postgresql://{USER}@{LOCALHOST}:{self.postgres.port}/ledger"

    def environment(self, **changes: str) -> dict[str, str]:
        """What the search is told: the secrets, and a home and a place for Ray of its own."""
        given = {name: value for name, value in self.planted.items() if name != TOKEN}
        mine = {"HOME": str(self.user), "RAY_TMPDIR": str(self.ray), "OMP_NUM_THREADS": "1"}
        return os.environ | self.objects.env | given | mine | changes

    def file(self, **changes: str) -> Path:
        """A search file, with some of its addresses changed."""
        addresses = {
            "storage": f"{self.objects.uri()}/searches",
            "ledger": self.ledger,
            "tracking": self.mlflow.uri,
            "once": str(self.folder / "once"),
        }
        path = self.folder / "search.yaml"
        path.write_text(SEARCH.format(**addresses | changes), encoding="utf-8")
        return path

    def run(self, *words: object, home: Path | None = None, **env: str) -> int:
        """A command, watched; its exit code."""
        command = [sys.executable, "-m", "synrep_search.cli", *map(str, words)]
        process = subprocess.Popen(
            [*command, "--home", str(home or self.home)],
            env=self.environment(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(process.pid, ended))
        watcher.start()
        try:
            said, _ = process.communicate(timeout=PATIENCE_S)
        finally:
            ended.set()
            watcher.join()
            process.kill()
        self.said += said
        return process.returncode

    def _watch(self, pid: int, ended: threading.Event) -> None:
        """Note what the process and all that it starts were called with: everybody can see that."""
        while not ended.wait(0.1):
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                for one in [process, *process.children(recursive=True)]:
                    with suppress(psutil.Error):
                        self.words.update(one.cmdline())

    def written(self) -> Iterator[tuple[str, bytes]]:
        """Every file, object and row that there is now, and all that was said or seen."""
        yield "what was said", self.said.encode()
        yield "words of processes", "\n".join(self.words).encode()
        own = (self.home, self.user, self.ray, self.checkpoints)
        for folder in (*own, self.mlflow.folder, self.postgres.folder):
            for path in folder.rglob("*"):
                if path.is_file() and not path.is_symlink():
                    yield str(path), path.read_bytes()
        client = self.objects.client()
        for name in self.objects.names():
            yield name, client.get_object(Bucket="bucket", Key=name)["Body"].read()
        with psycopg.connect(self.postgres.url.removesuffix("postgres") + "ledger") as admin:
            query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            for (table,) in admin.execute(query).fetchall():
                rows = admin.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)))
                yield f"table {table}", str(rows.fetchall()).encode()


@pytest.fixture(scope="module")
def place(system) -> Iterator[Place]:
    """The servers, running."""
    folder = Path(tempfile.mkdtemp(prefix="sy-", dir="/tmp"))
    folder.chmod(0o755)  # PostgreSQL runs as a user of its own
    try:
        with ExitStack() as stack:
            place = Place(folder)
            place.start(stack)
            yield place
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def finished(place: Place) -> Place:
    """A search that has run to its end, and was asked for its status; and one with a token."""
    assert place.run("launch", place.file(), "--yes") == 0, place.said
    token = {TOKEN: place.planted[TOKEN]}
    file = place.file(storage=str(place.checkpoints), once=str(place.folder / "again"))
    assert place.run("launch", file, "--yes", "--name", "token", **token) == 0, place.said
    assert any(place.checkpoints.rglob("*.safetensors"))
    assert place.run("status", "planted", "--json") == 0
    assert place.run("status", "planted") == 0
    assert place.run("list") == 0
    return place


def found_in(place: Place, planted: dict[str, str]) -> list[str]:
    """Which secret is where."""
    looked_for = {name: forms(secret) for name, secret in planted.items()}
    return [
        f"{name} in {where}"
        for where, content in place.written()
        for name, versions in looked_for.items()
        if any(version in content for version in versions)
    ]


def test_what_is_looked_for_would_be_found() -> None:
    """In the forms that programs write."""
    secret = "pg/0123456789abcdef@:"
    for text in (secret, f"postgresql://u:{urllib.parse.quote(secret)}@h", secret.encode().hex()):
        assert any(form in text.encode() for form in forms(secret))
    for before in ("", "a", "ab"):
        packed = base64.b64encode(f"{before}{secret}zz".encode())
        assert any(form in packed for form in forms(secret))


def test_the_search_used_every_secret(finished: Place) -> None:
    """Without them it would not have come to its end: the ledger and the checkpoints are there."""
    status = next(json.loads(line) for line in finished.said.splitlines() if line.startswith("{"))
    assert status["state"] == "finished"
    assert status["attempts"] > sum(status["trials"].values()), "no trial has failed on the way"
    assert any("checkpoint" in name or "trials/" in name for name in finished.objects.names())
    assert finished.run("status", "planted", PGPASSWORD="another") == 2


def test_no_secret_is_anywhere(finished: Place) -> None:
    """Neither in what was written, nor on any command line, nor on the terminal."""
    assert len(list(finished.written())) > 50
    assert len(finished.words) > 20
    assert any("gcs_server" in word for word in finished.words)
    others = {k: v for k, v in finished.planted.items() if not k.startswith("AWS_")}
    found = found_in(finished, others)
    assert not found, "\n".join(found)


def test_keys_of_the_object_store_are_nowhere(finished: Place) -> None:
    """Likewise."""
    keys = {k: v for k, v in finished.planted.items() if k.startswith("AWS_")}
    found = found_in(finished, keys)
    assert not found, "\n".join(found)


def test_rays_own_token_is_in_its_file_alone(finished: Place) -> None:
    """Whoever has it can run code on the cluster."""
    file = finished.user / ".ray" / "auth_token"
    token = file.read_text(encoding="utf-8").strip()
    assert [line for line in found_in(finished, {"token": token}) if str(file) not in line] == []


def wrong(place: Place, **changes: str) -> int:
    """A launch under another name, with other addresses, that doesn't come far."""
    name = f"n{secrets.token_hex(4)}"
    return place.run("launch", place.file(**changes), "--yes", "--local", "--name", name)


def test_errors_tell_no_secret(finished: Place) -> None:
    """Wrong passwords and servers that are not there: nothing of the right ones is in a message."""
    nowhere = f"{LOCALHOST}:{free_port()}"
    finished.said = ""
    assert wrong(finished, ledger=f"postgresql://{USER}@{nowhere}/ledger") == 2
    assert wrong(finished, ledger=finished.ledger.replace("/ledger", "/none")) == 2
    assert finished.run("status", "planted", PGPASSWORD=finished.planted["PGPASSWORD"][:-1]) == 2
    assert finished.said.count("Error: ") == 3
    assert "Traceback" not in finished.said
    assert wrong(finished, storage=f"s3://bucket/x?endpoint_override=http://{nowhere}") != 0
    key = {"AWS_SECRET_ACCESS_KEY": finished.objects.secret_key[::-1]}
    uri, home = f"{finished.objects.uri()}/searches/planted", finished.folder / "second"
    assert finished.run("resume", uri, "--local", home=home, **key) != 0
    secrets_said = [
        name
        for name, secret in finished.planted.items()
        if any(form in finished.said.encode() for form in forms(secret))
    ]
    assert secrets_said == []
