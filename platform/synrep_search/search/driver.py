"""The driver of a search: its lease, threads, signals and final steps."""

from __future__ import annotations

import gc
import signal
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from synrep_search.durability.backup import LedgerBackup
from synrep_search.durability.file_system import network_warning
from synrep_search.durability.study.storage import UNREACHABLE, lost_as_error
from synrep_search.errors import LedgerLost
from synrep_search.paths import LEDGER_FILE, sqlite_file
from synrep_search.search.heartbeat import LeaseHeartbeat, renewed
from synrep_search.search.loop import Search
from synrep_search.tracking.exports import Exports
from synrep_search.tracking.lifecycle import LifecycleEvents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from synrep_search.durability.ledger import Ledger
    from synrep_search.paths import SearchPaths
    from synrep_search.search.loop import Display, Runner
    from synrep_search.tracking.delivery import Delivery

TOGETHER_S = 1.0
"""Different signals within this time are one request to stop."""
FLUSH_S = 60.0
"""Time to deliver the remaining events at the end; the next `resume` delivers the rest."""


def run_search(ledger: Ledger, paths: SearchPaths, runner: Runner, display: Display) -> Search:
    """Run a search to its target, or until it is requested to stop.

    Args:
        ledger: a new ledger, or one whose driver ended or died.
        paths: paths of the search.
        runner: runs the trials.
        display: shows the progress.

    Returns:
        The search after it ended. If its ledger's `target_met` is False, `stopping` is the reason.

    Raises:
        LeaseHeld: another driver is running the search.
        LedgerLost: the ledger's database failed; `stopping` is set if the search was about to end.
        LedgerError: another driver took over the search, e.g. because this machine was suspended.
    """
    search: Search | None = None
    try:
        with lost_as_error(paths.typed):
            ledger.lease.acquire()
            try:
                with renewed(ledger.lease):
                    search = _open_search(ledger, paths, display)
                _run_search(search, paths, runner, display)
            finally:
                with suppress(*UNREACHABLE):  # without heartbeats, others can take over the lease
                    ledger.lease.release()
    except LedgerLost as lost:
        lost.stopping = search.stopping if search is not None else ""
        raise
    return search


def _open_search(ledger: Ledger, paths: SearchPaths, display: Display) -> Search:
    """Return the search in a ledger. Trials that an earlier driver left running become waiting."""
    # Loads mlflow, which _freeze_loaded_objects must cover.
    import synrep_search.tracking.delivery  # noqa: F401, PLC0415

    _freeze_loaded_objects()
    _warn_of_network(ledger, paths, display)
    interrupted = ledger.reconcile()
    if interrupted:
        display.say(f"resuming {len(interrupted)} interrupted trials: {_listed(interrupted)}")
    if not ledger.is_file:  # other machines can't read a file; they use its copy
        _share_note(ledger, paths, display)
    return Search(ledger, paths, display)


def _warn_of_network(ledger: Ledger, paths: SearchPaths, display: Display) -> None:
    ours = [paths.ledger_file if ledger.is_file else None]
    ours.append(sqlite_file(paths.tracking_uri(ledger.spec)))
    warnings = [warning for file in ours if file and (warning := network_warning(file))]
    for warning in warnings[:1]:  # the remedies are the same
        display.say(warning)


def _share_note(ledger: Ledger, paths: SearchPaths, display: Display) -> None:
    try:
        paths.share_note(ledger.spec)
    except OSError as error:
        display.say(f"the location of the ledger can't be written to the storage yet ({error})")


def _run_search(search: Search, paths: SearchPaths, runner: Runner, display: Display) -> None:
    from synrep_search.tracking.delivery import Delivery  # noqa: PLC0415 - loads mlflow

    ledger = search.ledger
    exports = Exports(ledger, paths, display.say)
    delivery = Delivery(ledger, paths.tracking_uri(ledger.spec), display.say, exports)
    with ledger_backup(search, paths) as backup:
        delivery.start()
        try:
            LifecycleEvents(ledger).search_started()
            with LeaseHeartbeat(search) as heartbeat, _signals(search):
                with display.showing(search):
                    _run_trials(search, runner, heartbeat)
                _conclude(search, paths, exports, delivery, backup)
        finally:
            delivery.stop()
        backup.last()


def ledger_backup(search: Search, paths: SearchPaths) -> LedgerBackup:
    """Return the backup thread that copies the ledger of a search to its storage."""
    return LedgerBackup(
        search.ledger,
        search.checkpoints,
        paths.folder / f"{LEDGER_FILE}.copy",
        say=search.display.say,
        stop=search.stop,
        enabled=search.copied,
    )


def _freeze_loaded_objects() -> None:
    """Collect the remains of an earlier `run_search`, and freeze all loaded objects.

    Python runs a full collection only when new objects amount to a quarter of the existing ones.
    If the modules loaded by now were counted, that much more garbage would accumulate.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _run_trials(search: Search, runner: Runner, heartbeat: LeaseHeartbeat) -> None:
    try:
        if not search.ledger.target_met:
            runner(search)
    except KeyboardInterrupt:
        search.display.say("stopped at once")
    heartbeat.check()
    search.abandon()


def _conclude(
    search: Search,
    paths: SearchPaths,
    exports: Exports,
    delivery: Delivery,
    backup: LedgerBackup,
) -> None:
    """Export the best generators and deliver the remaining events, unless a signal interrupts."""
    ledger, say = search.ledger, search.display.say
    events = LifecycleEvents(ledger)
    events.best()  # a previous driver may have died after the last trial and before this event
    events.search_state("finished" if ledger.target_met else "interrupted", search.stopping)
    left = ledger.outbox.depth()
    try:
        if ledger.target_met:
            exports.keep_best()
        backup.last()
        left = delivery.flush(FLUSH_S)
    except KeyboardInterrupt:
        say("interrupted during the final steps; remaining exports and events are kept")
    if left:
        say(
            f"{left} events for MLflow are pending: deliver them with "
            f"`synrep-search resume {paths.typed}`"
        )


@contextmanager
def _signals(search: Search) -> Iterator[None]:
    """Handle SIGINT, SIGTERM and SIGHUP: the first stops the search gracefully, the next at once.

    A terminal that is closed may send SIGHUP more than once, which never counts as the next. Under
    nohup, SIGHUP stays ignored. Python delivers signals to the main thread only; in other threads
    they are left to the program.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    first: tuple[int, float] | None = None

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        if not search.stopping and not search.finished:
            first = number, time.monotonic()
            search.stop(signal.Signals(number).name)
        elif number != signal.SIGHUP and not _belongs(number, first):
            raise KeyboardInterrupt

    handled = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handled.append(signal.SIGHUP)
    previous = {number: signal.signal(number, handle) for number in handled}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _belongs(number: int, first: tuple[int, float] | None) -> bool:
    """Whether a signal came with the first, a different one: services send SIGTERM and SIGHUP."""
    return first is not None and number != first[0] and time.monotonic() - first[1] < TOGETHER_S


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:10])) + (", ..." if len(numbers) > 10 else "")
