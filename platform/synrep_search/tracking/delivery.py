"""Delivers the outbox to MLflow from a thread of its own, again and again until it arrives.

Training never waits for it. Every step can be repeated: runs are found by their tags before they
are made, and a metric that is logged twice with the same step and time is one metric.
"""

from __future__ import annotations

import logging
import random
import threading
from typing import TYPE_CHECKING

import sqlalchemy as sa
from mlflow.exceptions import MlflowException

from synrep_search.tracking.client import experiment_id, open_client
from synrep_search.tracking.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from synrep_search.ledger.ledger import Ledger

PERIOD_S = 2.0
LONGEST_WAIT_S = 30.0
logger = logging.getLogger(__name__)


class Delivery:
    """The thread.

    Args:
        ledger: whose outbox is delivered; its database may be used from several threads.
        uri: tracking server or database.
        say: told, in one line each, when MLflow becomes unreachable and when it is back.
    """

    def __init__(self, ledger: Ledger, uri: str, say: Callable[[str], None]) -> None:
        self.uri = uri
        self._ledger = ledger
        self._say = say
        self._outbox = ledger.outbox
        self._runs: Runs | None = None
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._idle = threading.Event()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def flush(self, timeout_s: float) -> int:
        """Deliver what there is now, for at most some seconds.

        Returns:
            Number of events that are still undelivered.
        """
        self._idle.clear()
        self._wake.set()
        self._idle.wait(timeout_s)
        return self._outbox.depth()

    def stop(self) -> None:
        """End the thread; what is undelivered stays in the outbox."""
        self._stopped.set()
        self._wake.set()
        self._thread.join(timeout=15)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                if not self._round():
                    self._idle.set()
            except (MlflowException, OSError, sa.exc.SQLAlchemyError) as error:
                self._failed(error)
            else:
                self._succeeded()
            self._wake.wait(self._pause())
            self._wake.clear()

    def _round(self) -> int:
        """Deliver up to one batch; the number of events that it held."""
        pending = self._outbox.pending()
        if not pending:
            return 0
        if self._runs is None:
            client = open_client(self.uri)
            found = experiment_id(client, self.uri, self._ledger.spec.tracking.experiment)
            self._runs = Runs(client, found, self._ledger.name)
            self._ledger.note_runs(found, self._runs.parent())
        for done in self._runs.deliver(pending):
            self._outbox.mark(done)
            if self._stopped.is_set():
                break
        self._wake.set()
        return len(pending)

    def _pause(self) -> float:
        if not self._failures:
            return PERIOD_S
        longest = min(LONGEST_WAIT_S, PERIOD_S * 2**self._failures)
        # Drivers that lost the same server do not all return at once.
        return random.uniform(PERIOD_S, longest)  # noqa: S311 - spreads load, guards no secret

    def _failed(self, error: Exception) -> None:
        logger.debug("delivery failed", exc_info=error)
        self._failures += 1
        self._runs = None
        if self._failures == 1:
            self._say(f"MLflow at {self.uri} does not answer; training goes on, events are kept")

    def _succeeded(self) -> None:
        if self._failures:
            self._say(f"MLflow at {self.uri} is back")
        self._failures = 0
