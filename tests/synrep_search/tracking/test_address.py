"""Addresses of tracking stores."""

from __future__ import annotations

from pathlib import Path

import pytest
from synrep_search.tracking.address import artifact_folder, masked, sqlite_file


def test_artifacts_of_a_sqlite_store_are_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The working directory of the process does not matter; a server is no file."""
    monkeypatch.chdir(tmp_path)
    file = sqlite_file("sqlite:////data/searches/mlflow.db")
    assert file == Path("/data/searches/mlflow.db")
    assert artifact_folder(file) == Path("/data/searches/mlartifacts")
    assert sqlite_file("sqlite:///mlflow.db") == tmp_path / "mlflow.db"
    assert sqlite_file("http://mlflow:5000") is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://mlflow:5000/a@b", "http://mlflow:5000/a@b"),
        ("https://me:hunter2@host:5000/x", "https://me:***@host:5000/x"),
        ("postgresql://me:hunter2@db/mlflow", "postgresql://me:***@db/mlflow"),
        (
            "GET https://host/x?api_key=hunter2&n=1 failed",
            "GET https://host/x?api_key=***&n=1 failed",
        ),
        ("two http://a:hunter2@x and http://b:hunter2@y", "two http://a:***@x and http://b:***@y"),
    ],
)
def test_passwords_and_tokens_are_hidden(text: str, shown: str) -> None:
    """Whatever else an address says stays readable."""
    assert masked(text) == shown
