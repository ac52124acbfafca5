"""Delivers the outbox to MLflow from a thread of its own, again and again until it arrives.

Training never waits for it. Every step can be repeated: runs are found by their tags before they
are made, and a metric that is logged twice with the same step and time is one metric. MLflow can
even lose the runs: what is missing is made anew from the ledger, which forgets nothing.
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
"""Kinds of events about the generator of a trial."""
logger = logging.getLogger(__name__)


class Delivery:
    """The thread.

    Args:
        ledger: whose outbox is delivered; its database may be used from several threads.
        uri: tracking server or database.
        say: told, in one line each, when MLflow can't be used and why, when it is back, and
            what it refuses for good.
        exports: of the search, which makes the generators that MLflow gets.
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
        """Events about generators that can't be exported at present: the next flush, or the next
        driver, tries again."""
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._failures = 0
        self._said = ""
        self._progress = threading.Condition()
        self._begun = 0
        self._settled = 0
        """The last round that left nothing to do, or failed."""
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def flush(self, timeout_s: float) -> int:
        """Deliver what there is now: until all has arrived, an attempt fails, or time is up.

        Returns:
            Number of events that are still undelivered.
        """
        with self._progress:
            mine = self._begun + 1  # a round under way may have looked before the last event
            self._waiting.clear()
            self._wake.set()
            self._progress.wait_for(lambda: self._settled >= mine, timeout_s)
        return self._outbox.depth()

    def stop(self) -> None:
        """End the thread; what is undelivered stays in the outbox."""
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
            except Exception as error:  # noqa: BLE001 - stores of artifacts raise anything
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
        """Deliver up to one batch; whether there may be more."""
        pending = self._pending()
        if not pending:
            return False
        runs = self._runs
        if runs is None:
            runs = self._runs = self._open()
            pending = self._pending()  # with what was put back
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
        found = experiment_id(client, self.uri, ledger.spec.tracking.experiment)
        identity, parent = ledger.provenance["id"], ledger.mlflow.get("parent")
        runs = Runs(client, found, ledger.name, identity, self._say, parent)
        if not len(runs) and ledger.mlflow:
            self._say(f"MLflow has nothing of {ledger.name!r} any more: all of it is sent again")
            self._outbox.redeliver()
        return runs

    def _with_files(self, pending: list[Event]) -> Iterator[Event]:
        """Events whose files can be stored now, those about a generator with its folder.

        The generators that are not there are exported. Events of those that can't be are left out,
        for now or, if nothing can help them, for good.
        """
        yield from (event for event in pending if event.kind not in GENERATORS)
        told = [event for event in pending if event.kind in GENERATORS]
        found = self._exports.make(event.trial for event in told)
        for event in told:
            outcome = found[event.trial]
            if outcome.folder:
                made = {"folder": outcome.folder, "checkpoint": outcome.sha256}
                measured = standard(self._ledger.spec, self._ledger.provenance["data"])
                yield replace(event, payload=made | measured)
            elif outcome.lasting:
                self._outbox.mark([event.id])
                if event.kind == "artifacts":
                    self._say(f"MLflow does without the generator of {named(event.trial)}")
            else:
                self._waiting.add(event.id)

    def _note(self, runs: Runs) -> None:
        """Remember where MLflow has the search."""
        parent = runs.parent
        if parent is not None and self._ledger.mlflow.get("parent") != parent:
            self._ledger.note_runs(runs.experiment, parent)

    def _again(self, trial: int, pending: list[Event]) -> None:
        """A run was deleted: make it anew; that of a trial only once."""
        self._runs = None
        if trial in self._remade and trial != SEARCH_ITSELF:
            self._say(f"the run of {named(trial)} was deleted again: it is left alone from now on")
            self._outbox.mark([event.id for event in pending if event.trial == trial])
            return
        self._remade.add(trial)
        self._say(f"the run of {named(trial)} is not in MLflow any more: it is made anew")
        self._outbox.redeliver(trial)

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
        if isinstance(error, UNREACHABLE):  # the outbox, which is the driver's trouble
            return
        trouble = _trouble(error, self.uri)
        line = f"MLflow at {masked(self.uri)} {trouble}; training goes on, events are kept"
        if line != self._said:
            self._say(line)
        self._said = line

    def _succeeded(self) -> None:
        if self._said:
            self._say(f"MLflow at {masked(self.uri)} is back")
        self._failures = 0
        self._said = ""


def _trouble(error: Exception, uri: str) -> str:
    """What is wrong, in words."""
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
