"""How a driver ends: told to, or because its database fails."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from contextlib import closing
from itertools import takewhile
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from sqlalchemy.exc import OperationalError
from synrep_search.durability.ledger import Ledger
from synrep_search.errors import LedgerLost
from synrep_search.paths import SearchPaths
from synrep_search.search.driver import run_search
from synrep_search.terminal.progress import ProgressDisplay

if TYPE_CHECKING:
    from pathlib import Path

    from synrep_search.search.loop import Search


@pytest.mark.parametrize("why", ["", "SIGTERM"])
def test_a_stop_outlives_the_database(make_spec, tmp_path: Path, why: str) -> None:
    """Whoever waits for the database can tell whether the search is to go on after it."""
    spec = make_spec(tracking={"keep_best": 0})
    paths = SearchPaths(tmp_path, spec.name)
    paths.folder.mkdir()
    Ledger.create(paths.ledger_url(spec), spec, {"id": "1", "code": "c0de", "data": ""}).close()

    def fail(search: Search) -> None:
        if why:
            search.stop(why)
        raise OperationalError("SELECT 1", {}, OSError("gone"))

    with closing(Ledger.open(paths.ledger_url(), spec.name)) as ledger:
        with pytest.raises(LedgerLost, match="gone") as lost:
            run_search(ledger, paths, fail, ProgressDisplay(Console(file=io.StringIO())))
        assert lost.value.stopping == why
        assert ledger.lease.is_free()


@pytest.mark.system
@pytest.mark.parametrize("pause_s", [0.3, 1.2])
def test_a_driver_told_to_end_while_its_slots_start(tmp_path: Path, pause_s: float) -> None:
    """It ends as at any other time: resumable, and without a word from Ray."""
    file = tmp_path / "brief.yaml"
    file.write_text(
        "trainer: scripted\nspace: {x: {float: [-1, 1]}}\n"
        "search: {minimize: loss, trials: 20}\ntrain: {sleep_s: 0.5}\n"
    )
    words = [sys.executable, "-m", "synrep_search.cli", "launch", str(file)]
    with subprocess.Popen(
        [*words, "--home", str(tmp_path / "home")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as driver:
        assert driver.stdout is not None
        said = list(takewhile(lambda line: "slots on" not in line, driver.stdout))
        time.sleep(pause_s)
        driver.terminate()
        said += driver.stdout
    assert driver.returncode == 3, "".join(said)
    assert "resume brief" in "".join(said)
    assert "core_worker" not in "".join(said)
    assert "***" not in "".join(said)
