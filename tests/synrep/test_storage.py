"""Storages: addresses, which of them carry credentials and how they are shown; files that go."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from synrep.storage import Storage, carries_credentials, masked

if TYPE_CHECKING:
    from pathlib import Path

SECRET = [
    ("https://me:hunter2@host:5000/x", "https://me:***@host:5000/x"),
    ("postgresql://me:hunt/er2?@b@db/mlflow", "postgresql://me:***@db/mlflow"),
    ("postgresql://me@corp:hunter2@db/x", "postgresql://me@corp:***@db/x"),
    ("postgresql://db/x?user=a&sslpassword=hunter2", "postgresql://db/x?user=a&sslpassword=***"),
    ("s3://hunter2@bucket/a@b", "s3://***@bucket/a@b"),
    ("s3://bucket?key=hunter2&region=x", "s3://bucket?key=***&region=x"),
    ("http://host?api_key=hunter2", "http://host?api_key=***"),
    ("GET https://host/x?token=hunter2&n=1 failed", "GET https://host/x?token=***&n=1 failed"),
    ("s3://hunter2@h:5000/a@b", "s3://***@h:5000/a@b"),
    ("abfs://me:hunter2@acct.dfs.core.windows.net/x", "abfs://me:***@acct.dfs.core.windows.net/x"),
    ("two http://a:hunter2@x and http://b:hunter2@y", "two http://a:***@x and http://b:***@y"),
    ('"host=db password=hunt\\"er2"', '"host=db password=***"'),
]
HARMLESS = [
    "postgresql://me@db.example.org/synrep?sslmode=verify-full&sslkey=/home/me/client.key",
    "postgresql+psycopg://me@db/synrep",
    "s3://bucket/key=5/x?region=us-east-1&endpoint_override=http://127.0.0.1:8333",
    "gs://bucket/a@b",
    "abfs://container@acct.dfs.core.windows.net/x",
    "abfss://container@acct.dfs.core.windows.net/x@y",
    "hdfs://user@host:8020/x",
    "http://h:5000/a?x=me@y",
    "http://mlflow:5000/a@b",
    "postgresql://me@db:5432/x?application_name=a@b",
    "sqlite:////data/a@b/mlflow.db",
    "http://mlflow:5000/#/experiments",
    "a mail to me@host: done",
]


@pytest.mark.parametrize(("text", "shown"), SECRET)
def test_credentials_are_found_and_hidden(text: str, shown: str) -> None:
    """Whatever else an address says stays readable; what was hidden is not hidden again."""
    assert carries_credentials(text)
    assert masked(text) == shown
    assert masked(shown) == shown


@pytest.mark.parametrize("text", HARMLESS)
def test_addresses_without_credentials(text: str) -> None:
    """A user of a database, the name of a key file, an @ in a folder are none."""
    assert not carries_credentials(text)
    assert masked(text) == text


@pytest.mark.parametrize("part", ["://:", "?key", "://a@", "postgresql+", "\\", "key=", "a"])
def test_hiding_takes_no_time(part: str) -> None:
    """Also in texts that are made to take long."""
    start = time.process_time()
    masked(part * 200_000)
    assert time.process_time() - start < 3


@pytest.mark.parametrize("place", ["s3://b/paper/?region=us-east-1", "s3://b/paper//?region=x"])
def test_a_place_ends_with_its_name(place: str) -> None:
    """Also before options: a last slash would be a name of nothing."""
    uri = Storage.at(place).uri
    assert uri.startswith("s3://b/paper?region=")
    assert Storage.at(uri).child("x").uri == uri.replace("paper", "paper/x")


class Late(Storage):
    """Looks for a file just before somebody else removes it."""

    def exists(self, path: str) -> bool:
        """Whether it was there."""
        found, folder = super().exists(path), self.local_path
        assert folder is not None
        (folder / path).unlink()
        return found


def test_a_file_that_another_removes_is_no_error(tmp_path: Path) -> None:
    """It is gone, as was wanted."""
    storage = Late.at(tmp_path)
    assert isinstance(storage, Late)
    storage.write("x", b"1")
    storage.delete("x")
    assert list(tmp_path.iterdir()) == []


def test_the_root_of_a_machine_is_itself() -> None:
    """Not the working folder."""
    place = Storage.at("file:///").local_path
    assert place is not None
    assert place.is_absolute()
