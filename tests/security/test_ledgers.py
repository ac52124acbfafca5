"""Ledgers from strangers: a search goes on within its own folders, or not at all."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from synrep_search.cli import main
from synrep_search.durability.ledger import Ledger
from synrep_search.paths import SearchPaths
from synrep_search.search.loop import Search
from synrep_search.search_file import load_spec
from synrep_search.workers.attempt import Attempt

if TYPE_CHECKING:
    from pathlib import Path

SEARCH = """
name: foreign
trainer: scripted
train: {iterations: 10, reports: 5}
space: {x: {float: [0, 1]}}
search: {minimize: loss, trials: 1}
"""
OUTSIDE = "../../../victim.txt"
"""From the folder of a trial's checkpoints to the home."""


class Silent:
    """A view that shows nothing."""

    def say(self, line: str) -> None:
        """Say nothing."""

    def ended(self, trial: Any) -> None:
        """Say nothing."""


@pytest.fixture
def paths(tmp_path: Path) -> SearchPaths:
    """A search with one trial, which waits after two reports; beside it lies a file of the user."""
    (tmp_path / "search.yaml").write_text(SEARCH, encoding="utf-8")
    spec = load_spec(tmp_path / "search.yaml")
    made = SearchPaths(tmp_path / "home", spec.name)
    made.folder.mkdir(parents=True)
    (made.home / "victim.txt").write_text("mine", encoding="utf-8")
    origin = {"id": "0", "code": "c", "data": "", "created": ""}
    with closing(Ledger.create(made.ledger_url(spec), spec, origin)) as ledger:
        search = Search(ledger, made, Silent())
        job = search.next_job()
        assert job is not None
        attempt = Attempt(job, "cpu", 1)
        for _ in range(2):
            search.on_reports([attempt.advance()])
        search.abandon()
    return made


def change(paths: SearchPaths, statement: str, *values: Any) -> None:
    """Change the ledger as somebody who can write it."""
    with closing(sqlite3.connect(paths.ledger_file)) as connection:
        assert connection.execute(statement, values).rowcount == 1
        connection.commit()


def resume(paths: SearchPaths) -> tuple[int, str]:
    """Go on with the search; exit code, and all that was said."""
    words = ["resume", paths.name, "--local", "--home", str(paths.home)]
    result = CliRunner().invoke(main, words)
    assert isinstance(result.exception, SystemExit | None), repr(result.exception)
    return result.exit_code, result.output


def test_the_search_goes_on(paths: SearchPaths) -> None:
    """As it was made; what is refused below is refused for what was changed."""
    assert resume(paths)[0] == 0


@pytest.mark.parametrize("step", [2, 4])
def test_a_report_names_no_file_outside(paths: SearchPaths, step: int) -> None:
    """The older of two checkpoints is deleted at the next report; that is never another file."""
    statement = "UPDATE synrep_event SET payload = json_set(payload, '$.checkpoint.file', ?) "
    change(paths, statement + "WHERE kind = 'report' AND step = ?", OUTSIDE, step)
    code, said = resume(paths)
    assert (paths.home / "victim.txt").read_text(encoding="utf-8") == "mine"
    assert code == 2
    assert said.count("Error: ") == 1
    assert f"the ledger's report of trial 0 at {step} is damaged" in said


def test_a_pause_names_no_file_outside(paths: SearchPaths) -> None:
    """Likewise."""
    ref = json.dumps({"file": OUTSIDE, "iteration": 5, "sha256": "0" * 64})
    statement = (
        "UPDATE trial_user_attributes SET value_json = "
        "json_quote(json_set(json_extract(value_json, '$'), '$.paused', json(?)))"
    )
    change(paths, statement, ref)
    code, said = resume(paths)
    assert (paths.home / "victim.txt").read_text(encoding="utf-8") == "mine"
    assert code == 2
    assert "the ledger's record of trial 0 is damaged" in said
