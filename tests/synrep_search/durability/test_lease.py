"""One driver a search, on SQLite and on PostgreSQL."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from synrep_search.durability import lease as lease_module
from synrep_search.durability.database import leases
from synrep_search.durability.lease import Lease
from synrep_search.errors import LeaseHeld, LedgerError
from synrep_search.search import heartbeat

if TYPE_CHECKING:
    from collections.abc import Iterator

HOLDER = """\
import sys, time
import sqlalchemy as sa
from synrep_search.durability.lease import Lease
Lease(sa.create_engine(sys.argv[1]), "s").acquire()
print("taken", flush=True)
time.sleep(60)
"""


@pytest.fixture
def engines(database_url) -> Iterator[list[sa.Engine]]:
    """Two connections to the database, as two drivers have them."""
    made = [sa.create_engine(database_url) for _ in range(2)]
    yield made
    for engine in made:
        engine.dispose()


@pytest.fixture
def two(engines) -> list[Lease]:
    """Two drivers that want the same search."""
    return [Lease(engine, "s") for engine in engines]


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    """Nobody looks at a silent lease for long."""
    monkeypatch.setattr(lease_module, "WATCH_S", 1.0)


def set_row(engine: sa.Engine, **values: object) -> None:
    """Change what the database says about the lease."""
    with engine.begin() as connection:
        connection.execute(leases.update().values(**values))


def test_one_holder(two) -> None:
    """While one driver holds the lease another is refused, and told who and what to do."""
    first, second = two
    assert not first.held()
    first.acquire()
    assert second.held()
    with pytest.raises(LeaseHeld, match=r"'s' is being run by process \d+ on .* stop s`"):
        second.acquire()
    assert first.heartbeat() is False


def test_other_searches_are_free(two, engines) -> None:
    """The lease of one search says nothing about another."""
    two[0].acquire()
    other = Lease(engines[1], "t")
    assert not other.held()
    other.acquire()
    assert other.held()


def test_release(two) -> None:
    """A released lease is free at once; releasing it again takes nothing from the next holder."""
    first, second = two
    first.acquire()
    first.release()
    assert not second.held()
    second.acquire()
    first.release()
    assert second.held()
    assert second.heartbeat() is False


def test_a_killed_driver_is_noticed_at_once(two, database_url) -> None:
    """The lease of a process that is gone from this machine is free, however young it is."""
    driver = subprocess.Popen(
        [sys.executable, "-c", HOLDER, database_url], stdout=subprocess.PIPE, text=True
    )
    with driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "taken\n"
        assert two[0].held()
        with pytest.raises(LeaseHeld, match=f"process {driver.pid} on"):
            two[0].acquire()
        driver.kill()
    assert not two[0].held()
    two[0].acquire()
    assert two[0].held()


def test_a_silent_driver_loses_its_lease(two, engines) -> None:
    """On another machine only the heartbeat tells: when it is old, the lease is free."""
    first, second = two
    first.acquire()
    away = "elsewhere.example:1:abcdef01"
    set_row(engines[0], owner=away)
    assert second.held()
    with pytest.raises(LeaseHeld, match=r"process 1 on elsewhere\.example"):
        second.acquire()
    set_row(engines[0], heartbeat=time.time() - lease_module.LIVE_S - 1)
    assert not second.held()
    second.acquire()
    assert second.held()


def test_a_process_elsewhere_is_not_looked_for_here(two, engines) -> None:
    """Containers may share a host name: what their process ids mean is theirs alone."""
    first, second = two
    first.acquire()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    set_row(engines[0], owner=f"{socket.gethostname()}:{gone.pid}:0another-abcdef01")
    assert not second.is_free()
    with pytest.raises(LeaseHeld):
        second.acquire()


def test_a_copied_lease_can_be_freed(two, engines) -> None:
    """Whoever knows that its driver has died takes it away at once."""
    first, second = two
    assert first.is_free()
    first.acquire()
    set_row(engines[0], owner="elsewhere.example:1:abcdef01")
    assert not second.is_free()
    second.free()
    assert second.is_free()
    second.acquire()


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
def test_clocks_that_differ_take_no_lease_away(two, engines, jump_s) -> None:
    """A driver whose clock seems wrong is alive as long as its heartbeat moves."""
    first, second = two
    first.acquire()
    set_row(engines[0], owner="elsewhere.example:1:abcdef01", heartbeat=time.time() + jump_s)
    beat = threading.Timer(0.5, set_row, [engines[0]], {"heartbeat": time.time() + jump_s + 5})
    beat.start()
    with pytest.raises(LeaseHeld):
        second.acquire()
    beat.join()
    second.acquire()
    assert second.held()


def test_the_heartbeat_prolongs(two, engines) -> None:
    """A lease whose driver is heard of stays taken."""
    two[0].acquire()
    set_row(engines[0], heartbeat=time.time() - lease_module.LIVE_S + 1)
    two[0].heartbeat()
    with engines[0].connect() as connection:
        beat = connection.execute(sa.select(leases.c.heartbeat)).scalar_one()
    assert time.time() - beat < 5


def test_takeover(two, engines) -> None:
    """A driver that slept and was replaced learns so by its next heartbeat, and changes nothing."""
    first, second = two
    first.acquire()
    set_row(engines[0], heartbeat=time.time() - lease_module.LIVE_S - 1)
    second.acquire()
    with pytest.raises(LedgerError, match="another driver has taken over search 's'"):
        first.heartbeat()
    assert second.held()
    assert second.heartbeat() is False


def test_a_lease_that_was_taken_after_it_was_looked_at(two, monkeypatch) -> None:
    """Two drivers that begin within milliseconds: one of them is refused."""
    first, second = two
    look = first._row

    def look_too_early() -> object:
        row = look()
        if not second.owner:
            second.acquire()
        return row

    monkeypatch.setattr(first, "_row", look_too_early)
    with pytest.raises(LeaseHeld):
        first.acquire()
    assert second.heartbeat() is False


def test_a_lease_is_renewed_while_a_search_is_prepared(two, engines, monkeypatch) -> None:
    """Reading a large ledger may take longer than a silent lease lives."""
    monkeypatch.setattr(heartbeat, "HEARTBEAT_S", 0.1)
    two[0].acquire()
    set_row(engines[0], heartbeat=0.0)
    with heartbeat.renewed(two[0]):
        end = time.monotonic() + 30
        while not two[1].held():
            assert time.monotonic() < end
            time.sleep(0.05)


def test_a_request_to_stop(two) -> None:
    """The driver sees it at its next heartbeat; the next driver does not."""
    first, second = two
    assert second.request_stop() is False
    first.acquire()
    assert first.heartbeat() is False
    assert second.request_stop() is True
    assert first.heartbeat() is True
    first.release()
    assert second.request_stop() is False
    second.acquire()
    assert second.heartbeat() is False
