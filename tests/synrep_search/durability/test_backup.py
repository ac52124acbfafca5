"""Copies of a ledger in the search's storage, made beside a running search."""

from __future__ import annotations

import resource
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from synrep_search.durability import backup as backup_module
from synrep_search.paths import LEDGER_FILE, SearchPaths
from synrep_search.search.driver import ledger_backup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    """Nobody waits for long."""
    monkeypatch.setattr(backup_module, "POLL_S", 0.02)
    monkeypatch.setattr(backup_module, "COPY_S", 0.2)
    monkeypatch.setattr(backup_module, "REST", 1)


def trials_in(copy: Path) -> int:
    """Trials that a copy knows; 0 if it is not there."""
    if not copy.exists():
        return 0
    with closing(sqlite3.connect(copy)) as connection:
        (count,) = connection.execute("SELECT COUNT(*) FROM trials").fetchone()
    return int(count)


def test_a_copy_follows_every_beginning_and_end(
    make_search, make_spec, make_report, wait_for, monkeypatch, tmp_path: Path
) -> None:
    """MLflow is told what the copy holds, and no more."""
    monkeypatch.setattr(backup_module, "COPY_S", 3600)
    search = make_search(make_spec(storage=str(tmp_path / "bucket")))
    copy = tmp_path / "bucket" / search.ledger.name / LEDGER_FILE
    outbox = search.ledger.outbox
    with ledger_backup(search, SearchPaths(tmp_path, search.ledger.name)) as backup:
        wait_for(copy.exists)
        job = search.next_job()
        wait_for(lambda: trials_in(copy) == 1)
        backup.last()  # that copy may have come before the event
        assert [event.trial for event in outbox.pending()] == [0]
        search.on_reports([make_report(job, 1, 1.0)])
        assert len(outbox.pending()) == 1  # a report alone is worth no copy
        search.on_reports([make_report(job, 9, 0.5, ended="completed")])
        wait_for(lambda: len(outbox.pending()) > 1)
    assert not list(tmp_path.glob(f"{search.ledger.name}/*.copy"))


def test_a_driver_that_was_replaced_ends(make_search, make_spec, wait_for, tmp_path: Path) -> None:
    """It slept, and another one went on from its copy, which it leaves alone from then on."""
    search = make_search(make_spec(storage=str(tmp_path / "bucket")))
    copy = tmp_path / "bucket" / search.ledger.name / LEDGER_FILE
    with ledger_backup(search, SearchPaths(tmp_path, search.ledger.name)) as backup:
        wait_for(copy.exists)
        backup.last()
        copy.write_bytes(b"another's")
        wait_for(lambda: search.stopping)
        backup.last()
    assert "another driver has taken over the search" in search.stopping
    assert copy.read_bytes() == b"another's"


def test_a_storage_that_is_the_home_needs_no_copies(make_search, make_spec, tmp_path: Path) -> None:
    """Also if a link leads there: a copy would replace the ledger while it is open."""
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    assert not make_search(make_spec(storage=str(tmp_path / "link"))).copied
    assert make_search(make_spec(storage=str(tmp_path / "bucket"))).copied


def test_mlflow_waits_while_no_copy_can_be_made(
    make_search, make_spec, wait_for, tmp_path: Path
) -> None:
    """The trouble is told once, and so is its end."""
    (tmp_path / "bucket").touch()  # in the way
    search = make_search(make_spec(storage=str(tmp_path / "bucket")))
    with ledger_backup(search, SearchPaths(tmp_path, search.ledger.name)) as backup:
        search.next_job()
        wait_for(lambda: search.display.said)
        backup.last()
        assert search.ledger.outbox.depth() == 1
        assert search.ledger.outbox.pending() == []
        (tmp_path / "bucket").unlink()
        wait_for(search.ledger.outbox.pending)
        wait_for(lambda: len(search.display.said) == 2)
    assert "the ledger can't be copied to" in search.display.said[0]
    assert search.display.said[1] == "the ledger can be copied again"


@pytest.fixture
def small_files() -> Iterator[Callable[[], None]]:
    """No file of this process grows beyond some bytes, until the function is called."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))

    def lift() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    yield lift
    lift()


def test_a_disk_that_fails_ends_nothing(
    make_search, make_spec, wait_for, request, tmp_path: Path
) -> None:
    """SQLite has errors of its own for a local disk that is full: the copies go on after it."""
    search = make_search(make_spec(storage=str(tmp_path / "bucket")))
    search.next_job()
    lift = request.getfixturevalue("small_files")
    with ledger_backup(search, SearchPaths(tmp_path, search.ledger.name)) as backup:
        wait_for(lambda: search.display.said)
        backup.last()
        assert search.ledger.outbox.pending() == []
        lift()
        wait_for(search.ledger.outbox.pending)
        wait_for(lambda: len(search.display.said) == 2)
    assert "the ledger can't be copied to" in search.display.said[0]
    assert search.display.said[1] == "the ledger can be copied again"
    assert not list(tmp_path.glob(f"{search.ledger.name}/*.copy*"))
    assert not list(tmp_path.glob(f"{search.ledger.name}/.*.tmp*"))


def test_copies_do_not_get_in_each_others_way(make_search, make_spec, tmp_path: Path) -> None:
    """The last one may be wanted while the thread makes another."""
    search = make_search(make_spec(storage=str(tmp_path / "bucket")))
    search.next_job()
    backup = ledger_backup(search, SearchPaths(tmp_path, search.ledger.name))
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(backup.last) for _ in range(40)]:
            done.result()
    assert search.display.said == []


def test_a_ledger_that_is_gone_is_no_empty_one(make_search, make_spec, tmp_path: Path) -> None:
    """The last good copy stays: nothing is copied in the place of a file that is not there."""
    search = make_search(make_spec(storage=str(tmp_path / "bucket")))
    search.next_job()
    backup = ledger_backup(search, SearchPaths(tmp_path, search.ledger.name))
    backup.last()
    (tmp_path / "ledger.sqlite").rename(tmp_path / "away")
    backup.last()
    (tmp_path / "away").rename(tmp_path / "ledger.sqlite")
    assert trials_in(tmp_path / "bucket" / search.ledger.name / LEDGER_FILE) == 1
    assert "unable to open database file" in search.display.said[0]


def test_a_ledger_in_its_storage_is_not_copied(make_search, make_spec, tmp_path: Path) -> None:
    """It lies where a copy would."""
    search = make_search(make_spec())
    with ledger_backup(search, SearchPaths(tmp_path, search.ledger.name)) as backup:
        search.next_job()
        backup.last()
        assert len(search.ledger.outbox.pending()) == 1
    assert not (tmp_path / search.ledger.name / LEDGER_FILE).exists()
