"""`synrep-search` where the operating system refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner
from synrep_search.cli import main

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
    assert result.output.splitlines()[-1].startswith(f"Error: {home}")
    assert result.output.splitlines()[-1].endswith(": Not a directory")
