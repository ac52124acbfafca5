"""Deliver the outbox to MLflow in a background thread, with retries until every event arrives.

Training never waits for the delivery. Every step is idempotent: the delivery looks up runs by their
tags before it creates them, and MLflow stores a metric that is logged twice with the same step and
time once. If MLflow loses runs, the delivery recreates them from the ledger, which has all events.
"""

from __future__ import annotations

import logging
import random
import threading
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from mlflow.exceptions import MlflowException

from synrep.storage import masked
from synrep_search.durability.database import SEARCH_ITSELF
from synrep_search.durability.study.storage import UNREACHABLE
from synrep_search.tracking.client import UNAVAILABLE, experiment_id, open_client, reason
from synrep_search.tracking.registry import standard
from synrep_search.tracking.runs import RunGone, Runs, named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from synrep_search.durability.ledger import Ledger
    from synrep_search.durability.outbox import Event
    from synrep_search.tracking.exports import Exports

PERIOD_S = 2.0
LONGEST_WAIT_S = 30.0
GENERATORS = ("artifacts", "champion")
"""Kinds of events that deliver the generator of a trial."""
logger = logging.getLogger(__name__)


class Delivery:
    """The background thread that delivers the outbox of one search.

    Args:
        ledger: the ledger whose outbox is delivered; its database may be used from several threads.
        uri: MLflow tracking server or database.
        say: called with one line each time MLflow becomes unavailable (with the reason), is back,
            or rejects something permanently.
        exports: exports the generators that are uploaded to MLflow.
    """

    def __init__(
        self, ledger: Ledger, uri: str, say: Callable[[str], None], exports: Exports
    ) -> None:
        self.uri = uri
        self._ledger = ledger
        self._say = say
        self._exports = exports
        self._outbox = ledger.outbox
        self._runs: Runs | None = None
        self._remade: set[int] = set()
        self._waiting: set[int] = set()
        """Events whose generator can't be exported at present; the next flush or driver retries."""
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._failures = 0
        self._said = ""
        self._progress = threading.Condition()
        self._begun = 0
        self._settled = 0
        """Number of the last round that left nothing to deliver or failed."""
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def flush(self, timeout_s: float) -> int:
        """Wait until all present events are delivered, an attempt fails, or the time is up.

        Args:
            timeout_s: longest wait in seconds.

        Returns:
            Number of events that are still undelivered.
        """
        with self._progress:
            # A round that is running may have read the outbox before the last event was written.
            mine = self._begun + 1
            self._waiting.clear()
            self._wake.set()
            self._progress.wait_for(lambda: self._settled >= mine, timeout_s)
        return self._outbox.depth()

    def stop(self) -> None:
        """Stop the thread; undelivered events stay in the outbox."""
        self._stopped.set()
        self._wake.set()
        self._exports.stop()
        self._thread.join(timeout=15)

    def _run(self) -> None:
        while not self._stopped.is_set():
            with self._progress:
                self._begun += 1
            try:
                settled = not self._round()
            except Exception as error:  # noqa: BLE001 - artifact stores raise all kinds of errors
                self._failed(error)
                settled = True
            else:
                self._succeeded()
            if settled:
                with self._progress:
                    self._settled = self._begun
                    self._progress.notify_all()
                self._wake.wait(self._pause())
                self._wake.clear()

    def _round(self) -> bool:
        """Deliver at most one batch of events; return whether more may be pending."""
        pending = self._pending()
        if not pending:
            return False
        runs = self._runs
        if runs is None:
            runs = self._runs = self._open()
            pending = self._pending()  # includes events that `_open` marked as undelivered
        runs.look_up(event.trial for event in pending)
        while runs.doubled:
            self._outbox.redeliver(runs.doubled.pop())
        try:
            for done in runs.deliver(pending, self._with_files):
                self._note(runs)
                self._outbox.mark(done)
                if self._stopped.is_set():
                    break
        except RunGone as gone:
            self._again(gone.trial, pending)
        return True

    def _pending(self) -> list[Event]:
        return self._outbox.pending(besides=list(self._waiting))

    def _open(self) -> Runs:
        """Find the runs of the search, and put back what MLflow has lost of it."""
        client = open_client(self.uri, self._say)
        ledger = self._ledger
        experiment = experiment_id(client, self.uri, ledger.spec.tracking.experiment)
        identity, parent = ledger.provenance["id"], ledger.mlflow.get("parent")
        runs = Runs(client, experiment, ledger.name, identity, self._say, parent)
        if not len(runs) and ledger.mlflow:
            self._say(f"MLflow has lost all runs of {ledger.name!r}; they are being recreated")
            self._outbox.redeliver()
        return runs

    def _with_files(self, pending: list[Event]) -> Iterator[Event]:
        """Yield the events whose files can be uploaded now, with the folder of each generator.

        Missing generators are exported first. If that fails, the event is skipped: until the next
        flush, or permanently if the trial has no usable checkpoint.
        """
        yield from (event for event in pending if event.kind not in GENERATORS)
        generators = [event for event in pending if event.kind in GENERATORS]
        outcomes = self._exports.make(event.trial for event in generators)
        for event in generators:
            outcome = outcomes[event.trial]
            if outcome.folder:
                made = {"folder": outcome.folder, "checkpoint": outcome.sha256}
                measured = standard(self._ledger.spec, self._ledger.provenance["data"])
                yield replace(event, payload=made | measured)
            elif outcome.lasting:
                self._outbox.mark([event.id])
                if event.kind == "artifacts":
                    self._say(f"MLflow will not show the generator of {named(event.trial)}")
            else:
                self._waiting.add(event.id)

    def _note(self, runs: Runs) -> None:
        """Record the experiment and parent run of the search in the ledger."""
        parent = runs.parent
        if parent is not None and self._ledger.mlflow.get("parent") != parent:
            self._ledger.note_runs(runs.experiment, parent)

    def _again(self, trial: int, pending: list[Event]) -> None:
        """Mark the events of a deleted run undelivered; recreate the run of a trial only once."""
        self._runs = None
        if trial in self._remade and trial != SEARCH_ITSELF:
            self._say(f"the run of {named(trial)} was deleted again; it will not be recreated")
            self._outbox.mark([event.id for event in pending if event.trial == trial])
            return
        self._remade.add(trial)
        self._say(f"the run of {named(trial)} is no longer in MLflow; it is being recreated")
        self._outbox.redeliver(trial)

    def _pause(self) -> float:
        if not self._failures:
            return PERIOD_S
        longest = min(LONGEST_WAIT_S, PERIOD_S * 2**self._failures)
        # Jitter keeps drivers that lost the same server from reconnecting all at once.
        return random.uniform(PERIOD_S, longest)  # noqa: S311 - jitter, not cryptography

    def _failed(self, error: Exception) -> None:
        logger.debug("delivery failed", exc_info=error)
        self._failures += 1
        self._runs = None
        if isinstance(error, UNREACHABLE):  # the ledger's database failed: the driver handles it
            return
        trouble = _trouble(error, self.uri)
        line = f"MLflow at {masked(self.uri)} {trouble}; training continues, events are kept"
        if line != self._said:
            self._say(line)
        self._said = line

    def _succeeded(self) -> None:
        if self._said:
            self._say(f"MLflow at {masked(self.uri)} is back")
        self._failures = 0
        self._said = ""


def _trouble(error: Exception, uri: str) -> str:
    """Describe an error of MLflow for the user."""
    if isinstance(error, MlflowException):
        if error.error_code not in UNAVAILABLE:
            return f"refuses: {reason(error)}"
        if uri.startswith("http"):
            return f"does not answer{_through(uri)}"
    return f"can't be used: {reason(error)}"


def _through(uri: str) -> str:
    """The proxy that a request to a server takes, in words; empty if it takes none."""
    parts = urlsplit(uri)
    proxy = getproxies().get(parts.scheme)
    if not proxy or not parts.hostname or proxy_bypass(parts.hostname):
        return ""
    remedy = f"if it needs none, add {parts.hostname} to $no_proxy"
    return f" through the proxy {masked(proxy)} of ${parts.scheme}_proxy ({remedy})"
