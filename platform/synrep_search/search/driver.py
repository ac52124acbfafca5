"""The driver of a search: what runs beside it, signals, and the end."""

from __future__ import annotations

import gc
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from synrep_search.durability.backup import LedgerBackup
from synrep_search.durability.study.storage import UNREACHABLE, lost_as_error
from synrep_search.errors import LedgerLost
from synrep_search.paths import LEDGER_FILE
from synrep_search.search.heartbeat import LeaseHeartbeat
from synrep_search.search.loop import Search
from synrep_search.tracking.exports import export_best
from synrep_search.tracking.lifecycle import LifecycleEvents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from synrep_search.durability.ledger import Ledger
    from synrep_search.paths import SearchPaths
    from synrep_search.search.loop import Display, Runner
    from synrep_search.tracking.delivery import Delivery

FLUSH_S = 60.0
"""Time to deliver what is left at the end; the rest is delivered by the next `resume`."""


def run_search(ledger: Ledger, paths: SearchPaths, runner: Runner, display: Display) -> Search:
    """Run a search to its target, or until it is asked to stop.

    Args:
        ledger: just created, or one whose driver ended or died.
        paths: of the search.
        runner: where trials run.
        display: where the search is shown.

    Returns:
        The search as it ended: `target_met`, or `stopping` says why not.

    Raises:
        LeaseHeld: another driver runs it.
        LedgerLost: the ledger's database failed; it says whether the search was about to stop.
        LedgerError: another driver took it over, e.g. because this machine slept.
    """
    search: Search | None = None
    try:
        with lost_as_error(ledger.name):
            ledger.lease.acquire()
            try:
                search = _begun(ledger, paths, display)
                _run_search(search, paths, runner, display)
            finally:
                with suppress(*UNREACHABLE):  # it frees itself when its heartbeat stops
                    ledger.lease.release()
    except LedgerLost as lost:
        lost.stopping = search.stopping if search is not None else ""
        raise
    return search


def _begun(ledger: Ledger, paths: SearchPaths, display: Display) -> Search:
    """The search as its ledger has it; whatever an earlier driver left running waits."""
    import synrep_search.tracking.delivery  # noqa: F401, PLC0415 - loads mlflow, before all is tidy

    _tidy()
    lost = ledger.reconcile()
    if lost:
        display.say(f"going on with {len(lost)} interrupted trials: {_listed(lost)}")
    if not ledger.is_file:  # a file means nothing to other machines; they find its copy
        _share_note(ledger, paths, display)
    return Search(ledger, paths, display)


def _share_note(ledger: Ledger, paths: SearchPaths, display: Display) -> None:
    try:
        paths.share_note(ledger.spec)
    except OSError as error:
        display.say(f"the storage can't be told yet where the ledger is ({error})")


def _run_search(search: Search, paths: SearchPaths, runner: Runner, display: Display) -> None:
    from synrep_search.tracking.delivery import Delivery  # noqa: PLC0415 - loads mlflow

    ledger = search.ledger
    delivery = Delivery(ledger, paths.tracking_uri(ledger.spec), display.say)
    with ledger_backup(search, paths) as backup:
        delivery.start()
        try:
            LifecycleEvents(ledger).search_started()
            with LeaseHeartbeat(search) as heart, _signals(search):
                with display.showing(search):
                    _drive(search, runner, heart)
                _conclude(search, paths, display, delivery, backup)
        finally:
            delivery.stop()
        backup.last()


def ledger_backup(search: Search, paths: SearchPaths) -> LedgerBackup:
    """The thread that copies the ledger of a search to its storage."""
    return LedgerBackup(
        search.ledger,
        search.checkpoints,
        paths.folder / f"{LEDGER_FILE}.copy",
        say=search.display.say,
        stop=search.stop,
        enabled=search.copied,
    )


def _tidy() -> None:
    """Collect what is left of a search whose ledger failed, and see to it that less gathers.

    What is loaded by now stays. If it counted, garbage would pile up to a quarter of it before
    Python looks for more.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _drive(search: Search, runner: Runner, heart: LeaseHeartbeat) -> None:
    try:
        if not search.ledger.target_met:
            runner(search)
    except KeyboardInterrupt:
        search.display.say("stopped at once")
    heart.check()
    search.abandon()


def _conclude(
    search: Search,
    paths: SearchPaths,
    display: Display,
    delivery: Delivery,
    backup: LedgerBackup,
) -> None:
    """Export the best generators and let MLflow catch up; a signal cuts this short."""
    ledger = search.ledger
    telling = LifecycleEvents(ledger)
    telling.best()  # if the driver before died between the last end and this
    telling.search_state("finished" if ledger.target_met else "interrupted", search.stopping)
    left = ledger.outbox.depth()
    try:
        if ledger.target_met:
            export_best(ledger, paths, display.say)
        backup.last()
        left = delivery.flush(FLUSH_S)
    except KeyboardInterrupt:
        display.say("the end was cut short; what was not exported or delivered is kept")
    if left:
        display.say(
            f"{left} events for MLflow are kept: `synrep-search resume {paths.typed}` sends them"
        )


@contextmanager
def _signals(search: Search) -> Iterator[None]:
    """The first SIGINT or SIGTERM pauses the trials and ends the search, the second at once."""

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
