"""Lock files: one process makes something that all need, and the others wait for it."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def exclusive(file: Path) -> Iterator[None]:
    """Hold a lock file within the block; another process that wants it waits meanwhile.

    The file is removed at the end. A process that dies loses the lock, whatever it leaves. On a
    file system without locks, nobody waits.

    Args:
        file: the lock file. Its folder is created if it is missing.

    Raises:
        OSError: the file can't be created.
    """
    lock = _locked(file)
    try:
        yield
    finally:
        with suppress(OSError):
            file.unlink()
        os.close(lock)


def _locked(file: Path) -> int:
    """Return the descriptor of the lock file, once nobody else holds it."""
    while True:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # another process has just removed the folder
            continue
        try:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_there(file, lock):
                return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


def _is_there(file: Path, lock: int) -> bool:
    """Whether the locked file was not removed by its last holder while this process waited."""
    try:
        return os.path.samestat(file.stat(), os.fstat(lock))
    except FileNotFoundError:
        return False
