"""Watches the trainings of a slot from inside its process: whether they move, and are to pause."""

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
    """Called before each iteration; answers whether to pause.

    SIGTERM, as a machine that is taken away sends it, asks for a pause. A training that does not
    call for `limit_s` stands still: the process writes down where, and ends itself.

    Args:
        limit_s: seconds.
        on_hang: told before the process ends.
        on_move: told again and again while all is well: where it is not told any more, the process
            stands still as a whole, and others have to end it.
    """

    def __init__(
        self, limit_s: float, on_hang: Callable[[], None], on_move: Callable[[], None]
    ) -> None:
        self._limit = limit_s
        self._on_hang = on_hang
        self._on_move = on_move
        self._seen = time.monotonic()
        self._training = False
        self._asked = threading.Event()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: self.pause())
        threading.Thread(target=self._look, name="watch", daemon=True).start()

    def __call__(self) -> bool:
        """A training is about to do an iteration; whether it should pause instead."""
        self._seen = time.monotonic()
        return self._asked.is_set()

    @property
    def asked(self) -> bool:
        """Whether the trainings were asked to pause."""
        return self._asked.is_set()

    def pause(self) -> None:
        """Ask all trainings to pause; there is no way back."""
        self._asked.set()

    @contextmanager
    def training(self) -> Iterator[None]:
        """While the trainings are expected to move."""
        self._seen = time.monotonic()
        self._training = True
        try:
            yield
        finally:
            self._training = False

    def _look(self) -> None:
        while True:
            time.sleep(min(5.0, self._limit / 10))
            if self._training and time.monotonic() - self._seen > self._limit:
                faulthandler.dump_traceback(sys.__stderr__ or 2)
                self._on_hang()
                os._exit(1)
            self._on_move()
