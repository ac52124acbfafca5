"""One driver a search: a lease with a heartbeat, taken by a single conditional update."""

from __future__ import annotations

import hashlib
import os
import socket
import time
import uuid
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from synrep_search.durability.database import leases
from synrep_search.errors import LeaseHeld, LedgerError

if TYPE_CHECKING:
    from sqlalchemy import Engine

LIVE_S = 30.0
"""A lease without a heartbeat for this long looks dead."""
WATCH_S = 7.0
"""It is dead if there is none for so long while one looks: more than between two heartbeats."""


class Lease:
    """The right to run one search.

    Args:
        engine: of the ledger's database.
        search: name.
    """

    def __init__(self, engine: Engine, search: str) -> None:
        self._engine = engine
        self._search = search
        self._mine = leases.c.search == search
        self.owner = ""

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lease; to be sure that an old one is dead can take some seconds.

        Raises:
            LeaseHeld: another driver is alive.
        """
        owner = f"{socket.gethostname()}:{os.getpid()}:{_place()}-{uuid.uuid4().hex[:8]}"
        try:
            with self._engine.begin() as connection:
                connection.execute(leases.insert().values(search=self._search, **_row("")))
        except IntegrityError:
            pass  # the row is there from an earlier driver
        alive = self._alive()
        with self._engine.begin() as connection:
            before = connection.execute(sa.select(leases).where(self._mine)).one()
            if before.owner and alive:
                age = max(0.0, time.time() - before.heartbeat)
                host, pid, _ = before.owner.split(":")
                raise LeaseHeld(
                    f"search {self._search!r} is being run by process {pid} on {host} "
                    f"(alive {age:.0f} s ago): watch it with `synrep-search status "
                    f"{self._search} --watch`, or end it with `synrep-search stop {self._search}`"
                )
            taken = connection.execute(
                leases.update()
                .where(self._mine, leases.c.owner == before.owner)
                .values(**_row(owner))
            )
            if taken.rowcount != 1:
                raise LeaseHeld(f"search {self._search!r} was just taken by another driver")
        self.owner = owner

    def heartbeat(self) -> bool:
        """Prolong the lease.

        Returns:
            Whether somebody asked for the search to stop.

        Raises:
            LedgerError: another driver has taken the lease over.
        """
        with self._engine.begin() as connection:
            kept = connection.execute(
                leases.update()
                .where(self._mine, leases.c.owner == self.owner)
                .values(heartbeat=time.time())
            )
            if kept.rowcount != 1:
                raise LedgerError(f"another driver has taken over search {self._search!r}")
            query = sa.select(leases.c.stop_requested).where(self._mine)
            return bool(connection.execute(query).scalar_one())

    def release(self) -> None:
        """Give the lease back; nothing happens if it is no longer ours."""
        with self._engine.begin() as connection:
            mine = leases.update().where(self._mine, leases.c.owner == self.owner)
            connection.execute(mine.values(**_row("")))

    def is_free(self) -> bool:
        """Whether nobody holds it, or a process of this machine that is known to have ended."""
        row = self._row()
        return row is None or not row.owner or _ended(row.owner)

    def free(self) -> None:
        """Take it from whoever holds it: only for a copied ledger, whose driver has died."""
        with self._engine.begin() as connection:
            connection.execute(leases.update().where(self._mine).values(**_row("")))

    def request_stop(self) -> bool:
        """Ask the driver to stop; false if no driver is alive."""
        with self._engine.begin() as connection:
            connection.execute(leases.update().where(self._mine).values(stop_requested=True))
        return self.held()

    def held(self) -> bool:
        """Whether a driver seems to be alive, by our clock."""
        row = self._row()
        if row is None or not row.owner or _ended(row.owner):
            return False
        return time.time() - row.heartbeat <= LIVE_S

    def _alive(self) -> bool:
        """Whether a driver is alive, by any clock.

        A heartbeat that looks old may come from a clock that differs from ours, or one of them has
        jumped: the driver is dead if its heartbeat does not change while we look.
        """
        first = self._row()
        if first is None or not first.owner or _ended(first.owner):
            return False
        if abs(time.time() - first.heartbeat) <= LIVE_S:
            return True
        end = time.monotonic() + WATCH_S
        while time.monotonic() < end:
            time.sleep(0.5)
            row = self._row()
            if row is None or row.owner != first.owner:
                return row is not None and bool(row.owner)
            if row.heartbeat != first.heartbeat:
                return True
        return False

    def _row(self) -> Any:
        with self._engine.connect() as connection:
            return connection.execute(sa.select(leases).where(self._mine)).one_or_none()


def _row(owner: str) -> dict[str, object]:
    return {"owner": owner, "heartbeat": time.time(), "stop_requested": False}


def _ended(owner: str) -> bool:
    """Whether the process that a lease names is known to have ended."""
    host, pid, rest = owner.split(":")
    if (host, rest.partition("-")[0]) != (socket.gethostname(), _place()):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


@cache
def _place() -> str:
    """Where a process id means something: this machine since its start, or one container on it."""
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux
        return ""
    return hashlib.sha256(f"{start} {space}".encode()).hexdigest()[:8]
