"""Detects hung trainings from inside a worker process, and passes on requests to pause."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Watchdog:
    """The pause check of the trainings in a process; calling it shows that they make progress.

    SIGTERM, which a node sends when it is shut down, requests a pause. If no training calls the
    watchdog for `limit_s`, it dumps the stack traces of all threads and ends the process.

    Args:
        limit_s: longest time between two calls, in seconds.
        on_hang: called before the process ends.
        on_move: called every few seconds while the process runs. If the calls stop, the whole
            process is frozen, and somebody else has to end it.
    """

    def __init__(
        self, limit_s: float, on_hang: Callable[[], None], on_move: Callable[[], None]
    ) -> None:
        self._limit = limit_s
        self._on_hang = on_hang
        self._on_move = on_move
        self._last_call = time.monotonic()
        self._training = False
        self._pause_requested = threading.Event()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: self.pause())
        threading.Thread(target=self._monitor, name="watchdog", daemon=True).start()

    def __call__(self) -> bool:
        """Return whether the training should pause before its next iteration."""
        self._last_call = time.monotonic()
        return self._pause_requested.is_set()

    @property
    def pause_requested(self) -> bool:
        """Whether the trainings have to pause."""
        return self._pause_requested.is_set()

    def pause(self) -> None:
        """Request a pause of all trainings; it can't be withdrawn."""
        self._pause_requested.set()

    @contextmanager
    def training(self) -> Iterator[None]:
        """A context in which the trainings are expected to make progress."""
        self._last_call = time.monotonic()
        self._training = True
        try:
            yield
        finally:
            self._training = False

    def _monitor(self) -> None:
        while True:
            time.sleep(min(5.0, self._limit / 10))
            if self._training and time.monotonic() - self._last_call > self._limit:
                faulthandler.dump_traceback(sys.__stderr__ or 2)
                self._on_hang()
                os._exit(1)
            self._on_move()
