"""A server program, and whatever it starts."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.request
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

import psutil  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOCALHOST = "127.0.0.1"
PATIENCE_S = 120
"""For a start on a busy machine."""
GRACE_S = 20
"""For an end that was asked for."""
_given: set[int] = set()


class Server(ABC):
    """A program that serves on fixed ports.

    Args:
        folder: where its data and its log are; made if it is not there.
        name: of its log file.
    """

    user: str | None = None
    """Account that it runs as, if not ours."""
    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether it serves."""

    def environment(self) -> dict[str, str]:
        """What it is told beside our own environment."""
        return {}

    @property
    def running(self) -> bool:
        """Whether its first process lives."""
        return self._process is not None and self._process.poll() is None

    def begin(self) -> None:
        """Start it without waiting until it serves."""
        assert not self.running, f"{self.log.stem} runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                env=os.environ | self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self.user,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Return when it serves; what it has started ends with it if it does not."""
        try:
            wait_until(lambda: not self.running or self.ready(), f"{self.log.stem} to serve")
            assert self.running, f"{self.log.stem} ended"
        except AssertionError as error:
            self.kill()
            text = self.log.read_text(encoding="utf-8", errors="replace")
            raise AssertionError(f"{error}:\n{text[-3000:]}") from None

    def start(self) -> None:
        """Start it and return when it serves."""
        self.begin()
        self.wait()

    def kill(self) -> None:
        """End it and all that it started at once, as if the machine lost power."""
        self._end(0)

    def stop(self) -> None:
        """Ask it to end, and wait; kill what is left of it."""
        self._end(GRACE_S)

    def restart(self, down_s: float = 0) -> None:
        """Stop it, and start it again after a while."""
        self.stop()
        time.sleep(down_s)
        self.start()

    def _end(self, grace_s: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        family = []
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(process.pid).children(recursive=True)
        if grace_s and process.poll() is None:
            process.send_signal(self.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(grace_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        for child in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        process.wait(GRACE_S)
        psutil.wait_procs(family, GRACE_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def free_port() -> int:
    """A port that nobody listens on, another one with each call."""
    while True:
        with socket.socket() as probe:
            probe.bind((LOCALHOST, 0))
            port = int(probe.getsockname()[1])
        if port not in _given:
            _given.add(port)
            return port


def wait_until(
    condition: Callable[[], object], what: str = "it", patience_s: float = PATIENCE_S
) -> None:
    """Return when a condition holds; fail if it does not in time."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def answers(address: str) -> bool:
    """Whether a server answers there, and not with an error."""
    try:
        urllib.request.urlopen(address, timeout=2).close()
    except OSError:
        return False
    return True
