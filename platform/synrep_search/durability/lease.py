"""The lease of a search: at most one driver holds it and renews it by a heartbeat.

It is acquired by a single conditional update of its row.
"""

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
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from synrep_search.durability.database import cause_of, leases
from synrep_search.errors import LeaseHeld, LedgerError

if TYPE_CHECKING:
    from sqlalchemy import Engine

LIVE_S = 30.0
"""A lease whose last heartbeat is older than this may be abandoned."""
WATCH_S = 7.0
"""A lease is abandoned if its heartbeat doesn't change while it is watched for this long, which is
more than the interval between two heartbeats."""


class Lease:
    """The exclusive right to run one search. As a context manager, it is held within the block.

    Args:
        engine: engine of the ledger's database.
        search: name of the search.

    Attributes:
        owner: how the database identifies this driver; empty before `acquire`.
        typed: arguments that identify the search on a command line.
    """

    def __init__(self, engine: Engine, search: str) -> None:
        self._engine = engine
        self._search = search
        self._this_search = leases.c.search == search
        self.owner = ""
        self.typed = search

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Acquire the lease, which takes some seconds if it has to be watched first.

        Raises:
            LeaseHeld: another driver holds the lease and is alive.
        """
        owner = f"{socket.gethostname()}:{os.getpid()}:{_pid_scope()}-{uuid.uuid4().hex[:8]}"
        try:
            with self._engine.begin() as connection:
                connection.execute(leases.insert().values(search=self._search, **_row("")))
        except IntegrityError:
            pass  # an earlier driver has inserted the row
        if not self._take(owner) and not self._take(owner):
            raise LeaseHeld(f"another driver has just started search {self._search!r}")
        self.owner = owner

    def heartbeat(self) -> bool:
        """Renew the lease.

        Returns:
            Whether a stop of the search was requested.

        Raises:
            LedgerError: another driver has taken over the lease.
        """
        with self._engine.begin() as connection:
            renewed = connection.execute(
                leases.update()
                .where(self._this_search, leases.c.owner == self.owner)
                .values(heartbeat=time.time())
            )
            if renewed.rowcount != 1:
                raise LedgerError(f"another driver has taken over search {self._search!r}")
            query = sa.select(leases.c.stop_requested).where(self._this_search)
            return bool(connection.execute(query).scalar_one())

    def release(self) -> None:
        """Release the lease. No effect if this driver no longer holds it."""
        with self._engine.begin() as connection:
            release = leases.update().where(self._this_search, leases.c.owner == self.owner)
            connection.execute(release.values(**_row("")))

    def is_free(self) -> bool:
        """Return whether nobody holds the lease, or only a process that is known to have ended."""
        row = self._row()
        return row is None or not row.owner or _ended(row.owner)

    def free(self) -> None:
        """Clear the lease, whoever holds it. Only for a ledger copy whose driver has died."""
        with self._engine.begin() as connection:
            connection.execute(leases.update().where(self._this_search).values(**_row("")))

    def request_stop(self) -> bool:
        """Request the driver to stop, and return whether a driver is alive.

        Raises:
            LedgerError: this user can't write the database.
        """
        try:
            with self._engine.begin() as connection:
                update = leases.update().where(self._this_search)
                connection.execute(update.values(stop_requested=True))
        except (OperationalError, ProgrammingError) as error:
            cause = cause_of(error)
            if "readonly" not in cause and "permission denied" not in cause:
                raise
            if not self.held():
                return False
            raise LedgerError(
                f"search {self._search!r} can't be asked to stop ({cause}): only who can write its "
                "ledger can; ask the person who launched it"
            ) from None
        return self.held()

    def held(self) -> bool:
        """Return whether a driver seems to be alive, according to this machine's clock."""
        row = self._row()
        if row is None or not row.owner or _ended(row.owner):
            return False
        return time.time() - row.heartbeat <= LIVE_S

    def _take(self, owner: str) -> bool:
        """Take the lease if its row is still what was judged; return whether it was.

        Raises:
            LeaseHeld: another driver holds the lease and is alive.
        """
        seen, alive = self._look()
        if alive:
            age = max(0.0, time.time() - seen.heartbeat)
            host, pid, _ = seen.owner.split(":")
            raise LeaseHeld(
                f"search {self._search!r} is being run by process {pid} on {host} "
                f"(last heartbeat {age:.0f} s ago): watch it with `synrep-search status "
                f"{self.typed} --watch`, or stop it with `synrep-search stop {self.typed}`"
            )
        judged = (leases.c.owner == seen.owner, leases.c.heartbeat == seen.heartbeat)
        with self._engine.begin() as connection:
            update = leases.update().where(self._this_search, *judged)
            return connection.execute(update.values(**_row(owner))).rowcount == 1

    def _look(self) -> tuple[Any, bool]:
        """Return the row as it was last seen, and whether its driver is alive, whatever the clocks.

        A heartbeat may look old because the clocks of two machines differ or one has changed.
        Therefore a driver counts as dead only if its heartbeat doesn't change while it is watched.
        """
        first = self._row()
        if not first.owner or _ended(first.owner):
            return first, False
        if abs(time.time() - first.heartbeat) <= LIVE_S:
            return first, True
        end = time.monotonic() + WATCH_S
        while time.monotonic() < end:
            time.sleep(0.5)
            row = self._row()
            if row.owner != first.owner:
                return row, bool(row.owner)
            if row.heartbeat != first.heartbeat:
                return row, True
        return first, False

    def _row(self) -> Any:
        with self._engine.connect() as connection:
            return connection.execute(sa.select(leases).where(self._this_search)).one_or_none()


def _row(owner: str) -> dict[str, object]:
    return {"owner": owner, "heartbeat": time.time(), "stop_requested": False}


def _ended(owner: str) -> bool:
    """Return whether the process that a lease names is known to have ended."""
    host, pid, rest = owner.split(":")
    if (host, rest.partition("-")[0]) != (socket.gethostname(), _pid_scope()):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


@cache
def _pid_scope() -> str:
    """Return a hash of boot and PID namespace, within which a process id identifies a process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux
        return ""
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:8]
