"""Commands that show searches, on homes where something is wrong or missing."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from synrep_search.durability.ledger import Ledger
from synrep_search.paths import SearchPaths

from tests.services.trials import begin_trial

if TYPE_CHECKING:
    from collections.abc import Callable

PROVENANCE = {"id": "0", "code": "c0de", "data": "", "created": "2026-01-01T00:00:00Z"}


@pytest.fixture
def make(run, make_spec) -> Callable[..., SearchPaths]:
    """Function: name and sections of a file -> a search of this folder's home, with one trial."""

    def made(name: str, **sections: object) -> SearchPaths:
        paths = SearchPaths(Path("searches").absolute(), name)
        paths.folder.mkdir(parents=True)
        spec = make_spec(name=name, **sections)
        with closing(Ledger.create(paths.ledger_url(spec), spec, PROVENANCE)) as ledger:
            begin_trial(ledger)
        return paths

    return made


def test_trials_as_json(run, make) -> None:
    """A list for programs; a table for people."""
    make("a")
    (trial,) = json.loads(run("status", "a", "--trials", "--json").stdout)
    assert (trial["number"], trial["state"], trial["attempts"]) == (0, "running", 1)
    assert "all trials of a" in run("status", "a", "--trials").stdout


@pytest.mark.parametrize("damage", ["record", "pages", "table"])
def test_a_damaged_ledger_does_not_hide_the_others(run, make, damage) -> None:
    """The others are listed, and its own line says what is wrong with it."""
    file = make("b").ledger_file
    make("a")
    make("c")
    if damage == "pages":
        content = file.read_bytes()
        file.write_bytes(content[:8192] + b"\xff" * (len(content) - 8192))
        for path in file.parent.glob("*-wal"):
            path.unlink()
    else:
        with closing(sqlite3.connect(file)) as database, database:
            what = (
                "UPDATE trial_user_attributes SET value_json = '{}'"
                if damage == "record"
                else "DROP TABLE trial_user_attributes"
            )
            database.execute(what)
    result = run("list", "--json")
    assert result.exit_code == 0
    assert [one["name"] for one in json.loads(result.stdout)] == ["a", "c"]
    (line,) = result.stderr.splitlines()
    assert line.startswith("b: ")
    assert "Traceback" not in line


def test_no_pages_without_searches(run) -> None:
    """Nothing is served and nothing made where there is no search."""
    result = run("ui")
    assert result.exit_code == 2
    assert result.output.startswith(f"Error: {Path('searches').absolute()}: contains no searches")
    assert "--home" in result.output
    assert list(Path().iterdir()) == []


def test_no_pages_without_runs(run, make) -> None:
    """Searches that are tracked elsewhere, or not yet, leave no store to be served."""
    home = make("a").home
    for words in (("ui",), ("ui", "a")):
        result = run(*words)
        assert result.exit_code == 2
        assert result.output.startswith(f"Error: {home / 'mlflow.db'}: does not exist")
    assert [path.name for path in home.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("http://mlflow.lab:5000", "by an MLflow server: http://mlflow.lab:5000"),
        (
            "postgresql://me@db.lab/runs",
            "view it with `mlflow server --backend-store-uri postgresql://me@db.lab/runs`",
        ),
    ],
)
def test_runs_that_are_elsewhere(run, make, uri, wanted) -> None:
    """What they are in, and how to see them."""
    make("a", tracking={"uri": uri})
    result = run("ui", "a")
    assert result.exit_code == 0
    assert wanted in result.output
    assert ("MLflow server: " in result.output) == uri.startswith("http")
