"""How a driver ends: what it tells of a search whose database fails."""

from __future__ import annotations

import io
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from sqlalchemy.exc import OperationalError
from synrep_search.driver import run_search
from synrep_search.errors import LedgerLost
from synrep_search.ledger.ledger import Ledger
from synrep_search.paths import SearchPaths
from synrep_search.view import SearchView

if TYPE_CHECKING:
    from pathlib import Path

    from synrep_search.search import Search


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
            run_search(ledger, paths, fail, SearchView(Console(file=io.StringIO())))
        assert lost.value.stopping == why
        assert ledger.lease.is_free()
