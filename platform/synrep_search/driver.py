"""The driver of a search: lease, heartbeat, delivery to MLflow, signals, and the end."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from sqlalchemy.exc import SQLAlchemyError

from synrep_search.errors import LedgerError
from synrep_search.export import export_best
from synrep_search.ledger.database import SEARCH_ITSELF
from synrep_search.ledger.outbox import Event
from synrep_search.paths import LEDGER_FILE
from synrep_search.search import Search

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from synrep_search.ledger.ledger import Ledger
    from synrep_search.paths import SearchPaths
    from synrep_search.search import Runner
    from synrep_search.tracking.delivery import Delivery
    from synrep_search.view import SearchView

HEARTBEAT_S = 5.0
COPY_S = 30.0
"""A ledger on a machine that can vanish is copied to the storage this often."""
GRACE_S = 30.0
"""Time for running trials to reach a report after the first signal."""
FLUSH_S = 60.0
"""Time to deliver what is left at the end; the rest is delivered by the next `resume`."""


def run_search(ledger: Ledger, paths: SearchPaths, runner: Runner, view: SearchView) -> Search:
    """Run a search to its target, or until it is asked to stop.

    Args:
        ledger: just created, or one whose driver ended or died.
        paths: of the search.
        runner: where trials run.
        view: where the search is shown.

    Returns:
        The search as it ended: `target_met`, or `stopping` says why not.

    Raises:
        LeaseHeld: another driver runs it.
        LedgerError: another driver took it over, e.g. because this machine slept.
    """
    from synrep_search.tracking.delivery import Delivery  # noqa: PLC0415 - loads mlflow

    ledger.lease.acquire()
    try:
        lost = ledger.reconcile()
        if lost:
            view.say(f"going on with {len(lost)} interrupted trials: {_listed(lost)}")
        search = Search(ledger, paths, view)
        delivery = Delivery(ledger, paths.tracking_uri(ledger.spec), view.say)
        delivery.start()
        _open_parent(ledger)
        try:
            with _Heartbeat(search, paths) as heart, _signals(search):
                with view.showing(search):
                    _drive(search, runner, heart)
                _conclude(search, paths, view, delivery)
        finally:
            delivery.stop()
        _copy(search, paths)
    finally:
        ledger.lease.release()
    return search


def _drive(search: Search, runner: Runner, heart: _Heartbeat) -> None:
    try:
        if not search.ledger.target_met:
            runner(search)
    except KeyboardInterrupt:
        search.view.say("stopped at once")
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        name = search.ledger.name
        raise LedgerError(
            f"the ledger failed ({cause}); when it is back: synrep-search resume {name}"
        ) from None
    heart.check()
    search.abandon()


def _conclude(search: Search, paths: SearchPaths, view: SearchView, delivery: Delivery) -> None:
    """Export the best generators and let MLflow catch up; a signal cuts this short."""
    ledger = search.ledger
    search.tell_best()  # if the driver before died between the last end and this
    state = "finished" if ledger.target_met else "interrupted"
    _tell_state(ledger, {"state": state, "cause": search.stopping})
    left = ledger.outbox.depth()
    try:
        if ledger.target_met:
            export_best(ledger, paths, view)
        left = delivery.flush(FLUSH_S)
    except KeyboardInterrupt:
        view.say("the end was cut short; what was not exported or delivered is kept")
    if left:
        view.say(
            f"{left} events for MLflow are kept: `synrep-search resume {paths.typed}` sends them"
        )


def _open_parent(ledger: Ledger) -> None:
    spec = ledger.spec.model_dump(mode="json")
    tags = {f"synrep.{name}": value for name, value in ledger.provenance.items()}
    payload = {"params": {}, "tags": tags | {"synrep.goal": ledger.spec.search.metric}}
    payload["spec"] = spec
    step = ledger.outbox.next_step(SEARCH_ITSELF, "start")  # a resume may have changed the file
    ledger.outbox.put(Event(trial=SEARCH_ITSELF, kind="start", step=step, payload=payload))
    _tell_state(ledger, {"state": "running"})


def _tell_state(ledger: Ledger, payload: dict[str, str]) -> None:
    step = ledger.outbox.next_step(SEARCH_ITSELF, "state")
    ledger.outbox.put(Event(trial=SEARCH_ITSELF, kind="state", step=step, payload=payload))


class _Heartbeat:
    """A thread that keeps the lease, copies the ledger and notices requests to stop."""

    def __init__(self, search: Search, paths: SearchPaths) -> None:
        self._search = search
        self._paths = paths
        self._ended = threading.Event()
        self._lost = ""
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def check(self) -> None:
        """Raise if the lease was lost: from then on nothing may be written."""
        if self._lost:
            raise LedgerError(self._lost)

    def _run(self) -> None:
        hours = self._search.spec.budget.hours
        copied, stopping = time.monotonic(), 0.0
        while not self._ended.wait(HEARTBEAT_S):
            try:
                if self._search.ledger.lease.heartbeat():
                    self._search.stop("asked by `synrep-search stop`")
            except LedgerError as error:
                self._lost = str(error)
                self._search.stop(self._lost)
                os.kill(os.getpid(), signal.SIGINT)
                return
            now = time.monotonic()
            if hours is not None and now - self._search.started > hours * 3600:
                self._search.stop(f"the budget of {hours:g} hours is used up")
            if now - copied > COPY_S:
                _copy(self._search, self._paths)
                copied = now
            if self._search.stopping:
                stopping = stopping or now
                if now - stopping > GRACE_S:
                    os.kill(os.getpid(), signal.SIGINT)  # as a second Ctrl-C


def _copy(search: Search, paths: SearchPaths) -> None:
    """Copy a SQLite ledger to the search's storage, if that is somewhere else."""
    if search.checkpoints.local_path == paths.folder or not paths.ledger_file.exists():
        return
    local = paths.folder / f"{LEDGER_FILE}.copy"
    search.ledger.backup(local)
    search.checkpoints.write(LEDGER_FILE, local.read_bytes())
    local.unlink()


@contextmanager
def _signals(search: Search) -> Iterator[None]:
    """The first SIGINT or SIGTERM ends the search at the next reports, the second at once."""

    def handle(number: int, _frame: FrameType | None) -> None:
        if search.stopping or search.finished:
            raise KeyboardInterrupt
        search.stop(signal.Signals(number).name)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:10])) + (", ..." if len(numbers) > 10 else "")
