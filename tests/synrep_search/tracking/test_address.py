"""Addresses of tracking stores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from synrep_search.paths import artifact_folder, sqlite_file

if TYPE_CHECKING:
    import pytest


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
