"""One driver a search: a lease with a heartbeat, taken by a single conditional update."""

from __future__ import annotations

import os
import socket
import time
import uuid
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from synrep_search.errors import LeaseHeld, LedgerError
from synrep_search.ledger.database import leases

if TYPE_CHECKING:
    from sqlalchemy import Engine

LIVE_S = 30.0
"""A lease without a heartbeat for this long is free."""


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

    def acquire(self) -> None:
        """Take the lease.

        Raises:
            LeaseHeld: another driver is alive.
        """
        owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        try:
            with self._engine.begin() as connection:
                connection.execute(leases.insert().values(search=self._search, **_row("")))
        except IntegrityError:
            pass  # the row is there from an earlier driver
        with self._engine.begin() as connection:
            before = connection.execute(sa.select(leases).where(self._mine)).one()
            if before.owner and not _dead(before.owner, before.heartbeat):
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

    def request_stop(self) -> bool:
        """Ask the driver to stop; false if no driver is alive."""
        with self._engine.begin() as connection:
            connection.execute(leases.update().where(self._mine).values(stop_requested=True))
        return self.held()

    def held(self) -> bool:
        """Whether a driver is alive."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(leases).where(self._mine)).one_or_none()
        return row is not None and bool(row.owner) and not _dead(row.owner, row.heartbeat)


def _row(owner: str) -> dict[str, object]:
    return {"owner": owner, "heartbeat": time.time(), "stop_requested": False}


def _dead(owner: str, heartbeat: float) -> bool:
    host, pid, _ = owner.split(":")
    if time.time() - heartbeat > LIVE_S:
        return True
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
