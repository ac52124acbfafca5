"""Copies of a ledger in the search's storage, made beside a running search."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from synrep_search import copies as copies_module
from synrep_search.copies import Copies
from synrep_search.paths import LEDGER_FILE, SearchPaths

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    """Nobody waits for long."""
    monkeypatch.setattr(copies_module, "LOOK_S", 0.02)


def trials_in(copy: Path) -> int:
    """Trials that a copy knows; 0 if it is not there."""
    if not copy.exists():
        return 0
    with closing(sqlite3.connect(copy)) as connection:
        (count,) = connection.execute("SELECT COUNT(*) FROM trials").fetchone()
    return int(count)


def test_a_copy_follows_every_beginning_and_end(
    make_search, make_spec, make_report, wait_for, tmp_path: Path
) -> None:
    """MLflow is told what the copy holds, and no more."""
    search = make_search(make_spec(storage=str(tmp_path / "bucket")))
    copy = tmp_path / "bucket" / search.ledger.name / LEDGER_FILE
    outbox = search.ledger.outbox
    with Copies(search, SearchPaths(tmp_path, search.ledger.name)):
        job = search.next_job()
        wait_for(lambda: trials_in(copy) == 1)
        wait_for(lambda: [e.trial for e in outbox.pending()] == [0])
        search.on_reports([make_report(job, 1, 1.0)])
        assert len(outbox.pending()) == 1  # a report alone is worth no copy
        search.on_reports([make_report(job, 9, 0.5, ended="completed")])
        wait_for(lambda: len(outbox.pending()) == outbox.depth())
    assert not list(tmp_path.glob(f"{search.ledger.name}/*.copy"))


def test_mlflow_waits_while_no_copy_can_be_made(
    make_search, make_spec, wait_for, tmp_path: Path
) -> None:
    """The trouble is told once, and so is its end."""
    (tmp_path / "bucket").touch()  # in the way
    search = make_search(make_spec(storage=str(tmp_path / "bucket")))
    with Copies(search, SearchPaths(tmp_path, search.ledger.name)) as copies:
        search.next_job()
        wait_for(lambda: search.view.said)
        copies.last()
        assert search.ledger.outbox.depth() == 1
        assert search.ledger.outbox.pending() == []
        (tmp_path / "bucket").unlink()
        wait_for(search.ledger.outbox.pending)
        wait_for(lambda: len(search.view.said) == 2)
    assert "the ledger can't be copied to" in search.view.said[0]
    assert search.view.said[1] == "the ledger is copied again"


def test_a_ledger_in_its_storage_is_not_copied(make_search, make_spec, tmp_path: Path) -> None:
    """It lies where a copy would."""
    search = make_search(make_spec())
    with Copies(search, SearchPaths(tmp_path, search.ledger.name)) as copies:
        search.next_job()
        copies.last()
        assert len(search.ledger.outbox.pending()) == 1
    assert not (tmp_path / search.ledger.name / LEDGER_FILE).exists()
