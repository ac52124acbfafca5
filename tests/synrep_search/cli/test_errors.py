"""`synrep-search` where the operating system refuses."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from click.testing import CliRunner
from synrep_search.cli import main
from synrep_search.durability.ledger import Ledger
from synrep_search.paths import SearchPaths

if TYPE_CHECKING:
    from pathlib import Path


def test_a_home_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    """The path and the system's reason, no traceback."""
    file = tmp_path / "small.yaml"
    file.write_text("space: {}\nsearch: {minimize: loss}\ntrainer: scripted\n")
    home = tmp_path / "file"
    home.write_text("")
    result = CliRunner().invoke(main, ["launch", str(file), "--home", str(home / "x"), "--yes"])
    assert result.exit_code == 2
    assert result.output.startswith(f"Error: the home {home / 'x'} can't be written (Not a direct")
    assert "--home or $SYNREP_HOME" in result.output


def test_a_database_that_fails_at_a_resume_is_one_clear_error(make_spec, tmp_path: Path) -> None:
    """The reason and what to do, no traceback."""
    spec, paths = make_spec(name="a"), SearchPaths(tmp_path, "a")
    paths.folder.mkdir()
    Ledger.create(paths.ledger_url(spec), spec, {"id": "1", "code": "c0de", "data": ""}).close()
    with closing(sqlite3.connect(paths.ledger_file)) as database, database:
        fail = "BEGIN SELECT RAISE(ABORT, 'out of order'); END"
        database.execute(f"CREATE TRIGGER fail BEFORE UPDATE ON synrep_lease {fail}")
    result = CliRunner().invoke(main, ["resume", "a", "--home", str(tmp_path), "--local"])
    assert result.exit_code == 2
    assert "the ledger failed (out of order)" in result.output
    assert f"synrep-search resume a --home {tmp_path}" in result.output
