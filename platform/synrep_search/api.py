"""Searches from Python: launched, resumed, and read while they run or when they have ended."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from synrep.errors import InputError
from synrep_search.launching import (
    change_search,
    create_search,
    find_search,
    open_ledger,
    ray_cluster,
    refuse_existing,
    run_to_end,
)
from synrep_search.paths import SearchPaths, home_dir

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import pandas as pd

    from synrep.inference.lifter import Lifter
    from synrep_search.durability.ledger import Ledger
    from synrep_search.durability.records import Trial
    from synrep_search.search.loop import Display
    from synrep_search.search_file import Overrides, SearchSource, SearchSpec


class Where(TypedDict, total=False):
    """Options of `launch` and `resume`.

    Attributes:
        home: folder of all searches; $SYNREP_HOME or ./searches if omitted.
        address: Ray cluster, e.g. auto; Ray is started on this machine if omitted.
        local: without Ray: one trial after another, in this process.
        show: print what the command line prints while a search runs. Else nothing is printed, and
            what is worth knowing goes to the logger `synrep_search`, at the level INFO.
    """

    home: str | os.PathLike[str] | None
    address: str | None
    local: bool
    show: bool


class SearchHandle:
    """A search of a home; see `open_search`.

    Every call reads the ledger as it is then, and holds nothing open: the search may run meanwhile,
    here or on another machine, and have any number of handles.

    Args:
        paths: of the search.
    """

    def __init__(self, paths: SearchPaths) -> None:
        self.paths = paths
        self.name = paths.name

    def __repr__(self) -> str:
        return f"SearchHandle({self.name!r}, home={str(self.paths.home)!r})"

    @property
    def spec(self) -> SearchSpec:
        """What is searched, with nothing left open."""
        with self._ledger() as ledger:
            return ledger.spec

    def status(self) -> dict[str, Any]:
        """How it stands: what `synrep-search status --json` prints."""
        from synrep_search.terminal.status import status

        with self._ledger() as ledger:
            return status(ledger, self.paths)

    def trials(self) -> pd.DataFrame:
        """All trials, one a row, by number.

        Columns: number, state, value (the best so far of the search's metric; NaN before the first
        report), best_iteration (of that value; 0 before), iteration (of the newest report),
        attempts, seconds (of all attempts), cause (why it ended without success), seed, and
        `params.NAME` for each searched parameter, empty where a trial does not have it.
        """
        import pandas as pd

        with self._ledger() as ledger:
            rows = [{**row, **row["params"]} for row in _rows(ledger, prefix="params.")]
        table = pd.DataFrame(rows, columns=[*COLUMNS, *_parameters(rows)])
        return table.astype({"value": float})

    def best(self) -> dict[str, Any] | None:
        """The best trial, as a row of `trials` with its parameters under `params`; None if none."""
        with self._ledger() as ledger:
            first = ledger.index.first()
            return None if first is None else _rows(ledger)[first.number]

    def best_lifter(self) -> Lifter:
        """The best generator so far, ready to lift poses; see `synrep.load_lifter`.

        Raises:
            LedgerError: the search trains something else, or has no report yet.
        """
        from synrep_search.tracking.exports import trial_lifter

        with self._ledger() as ledger:
            return trial_lifter(ledger, self.paths)

    def export(self, to: str | os.PathLike[str], trial: int | None = None) -> Path:
        """Export the generator of a trial, or of the best one, into a new folder; that folder.

        Raises:
            InputError: the folder exists.
            LedgerError: there is no such trial, or nothing to export yet.
        """
        from synrep_search.tracking.exports import export_trial

        with self._ledger() as ledger:
            export_trial(ledger, self.paths, trial, Path(to))
        return Path(to)

    def stop(self, *, wait: bool = True) -> bool:
        """End it cleanly where it runs; it can be resumed.

        Args:
            wait: return when it has ended.

        Returns:
            Whether it was running.

        Raises:
            LedgerError: its ledger can't be written.
        """
        with self._ledger() as ledger:
            running = ledger.lease.request_stop()
        if wait:
            self.wait()
        return running

    def wait(self) -> None:
        """Return when nothing runs it any more."""
        with self._ledger() as ledger:
            while ledger.lease.held():
                time.sleep(1)

    @contextmanager
    def _ledger(self) -> Iterator[Ledger]:
        ledger = open_ledger(self.paths)
        from synrep_search.durability.study.storage import lost_as_error

        with lost_as_error(self.paths.typed), closing(ledger):
            yield ledger


def open_search(name: str, home: str | os.PathLike[str] | None = None) -> SearchHandle:
    """A search that was launched, whether it runs or not.

    Args:
        name: of the search.
        home: folder of all searches; $SYNREP_HOME or ./searches if omitted.

    Raises:
        LedgerError: there is no such search, or its ledger can't be read.
    """
    paths = SearchPaths(home_dir(home), name)
    open_ledger(paths).close()
    return SearchHandle(paths)


def launch(
    search: SearchSource,
    overrides: Overrides = (),
    *,
    name: str | None = None,
    **where: Unpack[Where],
) -> SearchHandle:
    """Start a search and return when it has ended.

    Ctrl-C or SIGTERM in the main thread, and `SearchHandle.stop` anywhere, end it cleanly before
    its target: its state is then `interrupted`, and `resume` goes on.

    Args:
        search: a search file, or what it would hold, as a mapping.
        overrides: `dotted.key=value` each, or values by dotted key.
        name: of the search; the file's own if omitted.
        where: see `Where`.

    Raises:
        SpecError: the search or an override breaks rules; carries all of them.
        InputError: the poses, the storage or the cluster can't be used.
        LedgerError: the home has a search of that name, or the database can't be used.
        LedgerLost: the database failed while the search ran, and waiting does not help.
    """
    from synrep_search.search_file import load_spec

    spec = load_spec(search, overrides, name)
    paths = SearchPaths(home_dir(where.get("home")), spec.name)
    refuse_existing(paths)
    with ray_cluster(where.get("address"), local=where.get("local", False)) as cluster:
        create_search(spec, paths, cluster)
        run_to_end(paths, cluster, _display(show=where.get("show", False))).ledger.close()
    return SearchHandle(paths)


def resume(
    name: str,
    search: SearchSource | None = None,
    overrides: Overrides = (),
    *,
    trials: int | None = None,
    accept_changes: bool = False,
    **where: Unpack[Where],
) -> SearchHandle:
    """Go on with a search, wherever its driver ended, and return when it has ended; see `launch`.

    Args:
        name: a search of the home, or the storage URI of one: then its ledger is taken from the
            copy there.
        search: the search as it is from now on, if it is to change.
        overrides: of that.
        trials: new total number of trials.
        accept_changes: take the changes; else they are listed in an error.
        where: see `Where`.

    Raises:
        LeaseHeld: another driver runs it.
        InputError, SpecError, LedgerError, LedgerLost: as for `launch`.
    """
    if search is None and (overrides or accept_changes):
        rule = "changes need the search that they are of"
        raise InputError("overrides, accept_changes", rule, "give `search`, too")
    paths = find_search(name, where.get("home"))
    finished = change_search(paths, trials, search, overrides, accept=accept_changes)
    with ray_cluster(where.get("address"), local=where.get("local", False) or finished) as cluster:
        run_to_end(paths, cluster, _display(show=where.get("show", False))).ledger.close()
    return SearchHandle(paths)


COLUMNS = (
    *("number", "state", "value", "best_iteration", "iteration", "attempts", "seconds", "cause"),
    "seed",
)
"""What `SearchHandle.trials` tells of every trial, before its parameters."""


def _rows(ledger: Ledger, prefix: str = "") -> list[dict[str, Any]]:
    """What is told of each trial; a prefix goes before the names of its parameters."""
    from synrep_search.terminal.status import trials

    return [
        {**told, **_more(trial), "params": {f"{prefix}{k}": v for k, v in trial.params.items()}}
        for told, trial in zip(trials(ledger), ledger.index.trials(), strict=True)
    ]


def _more(trial: Trial) -> dict[str, int]:
    return {"best_iteration": trial.best_iteration, "seed": trial.record.seed}


def _parameters(rows: list[dict[str, Any]]) -> list[str]:
    """The parameters of all rows, in the order in which they first appear."""
    return list(dict.fromkeys(name for row in rows for name in row["params"]))


def _display(*, show: bool) -> Display:
    from synrep_search.terminal.console import make_console
    from synrep_search.terminal.progress import LogDisplay, ProgressDisplay

    return ProgressDisplay(make_console()) if show else LogDisplay()
