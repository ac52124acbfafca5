"""The Python interface: launch, resume and inspect searches, running or ended."""

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
        local: run trials one after another in this process, without Ray.
        show: print the same progress as the command line. Otherwise nothing is printed, and
            messages go to the logger `synrep_search` at level INFO.
    """

    home: str | os.PathLike[str] | None
    address: str | None
    local: bool
    show: bool


class SearchHandle:
    """A handle of a launched search; see `open_search`.

    Every call opens the ledger, reads its current content and closes it. The search may be running
    at the same time, here or on another machine, and may have any number of handles.

    Args:
        paths: paths of the search.
    """

    def __init__(self, paths: SearchPaths) -> None:
        self.paths = paths
        self.name = paths.name

    def __repr__(self) -> str:
        return f"SearchHandle({self.name!r}, home={str(self.paths.home)!r})"

    @property
    def spec(self) -> SearchSpec:
        """The specification: the search file with all defaults resolved."""
        with self._ledger() as ledger:
            return ledger.spec

    def status(self) -> dict[str, Any]:
        """Return the status of the search: what `synrep-search status --json` prints."""
        from synrep_search.terminal.status import status

        with self._ledger() as ledger:
            return status(ledger, self.paths)

    def trials(self) -> pd.DataFrame:
        """Return all trials as a table with one row per trial, sorted by number.

        Columns: number, state, value (best value of the objective so far; NaN before the first
        report), best_iteration (iteration of that value; 0 before the first report), iteration (of
        the newest report), attempts (their number), seconds (duration of all attempts), cause (why
        the trial ended without success), seed, and `params.NAME` for each searched parameter, empty
        for trials without it.
        """
        import pandas as pd

        with self._ledger() as ledger:
            rows = [{**row, **row["params"]} for row in _rows(ledger, prefix="params.")]
        table = pd.DataFrame(rows, columns=[*COLUMNS, *_parameters(rows)])
        return table.astype({"value": float})

    def best(self) -> dict[str, Any] | None:
        """Return the best trial, or None before the first report.

        The keys are the columns of `trials`, with all parameters in a dictionary `params`.
        """
        with self._ledger() as ledger:
            first = ledger.index.first()
            return None if first is None else _rows(ledger)[first.number]

    def best_lifter(self) -> Lifter:
        """Load the best generator so far as a lifter; see `synrep.load_lifter`.

        Raises:
            LedgerError: the search trains no generators, or has no report yet.
        """
        from synrep_search.tracking.exports import trial_lifter

        with self._ledger() as ledger:
            return trial_lifter(ledger, self.paths)

    def export(self, to: str | os.PathLike[str], trial: int | None = None) -> Path:
        """Export the generator of a trial into a new folder.

        Args:
            to: the new folder.
            trial: number of the trial; the best one if omitted.

        Returns:
            The new folder.

        Raises:
            InputError: the folder already exists.
            LedgerError: there is no such trial, or nothing to export yet.
        """
        from synrep_search.tracking.exports import export_trial

        with self._ledger() as ledger:
            export_trial(ledger, self.paths, trial, Path(to))
        return Path(to)

    def stop(self, *, wait: bool = True) -> bool:
        """Stop the search cleanly, on whichever machine it runs; it can be resumed.

        Args:
            wait: return only when the search has ended.

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
        """Wait until no driver runs the search."""
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
    """Open a search that was launched, whether it is running or not.

    Args:
        name: name of the search.
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

    Ctrl-C or SIGTERM in the main thread, or `SearchHandle.stop` from any process, stops the search
    cleanly before its target: its state is then `interrupted`, and `resume` continues it.

    Args:
        search: a search file, or its content as a mapping.
        overrides: strings `dotted.key=value`, or a mapping of dotted keys to values.
        name: name of the search; the name in the file if omitted.
        where: options of `Where`.

    Returns:
        A handle of the search.

    Raises:
        SpecError: the search or an override is invalid; contains all problems.
        InputError: the poses, the storage or the cluster can't be used.
        LedgerError: the home has a search of this name, or the database can't be used.
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
    """Resume a search from where its driver ended, and return when it has ended; see `launch`.

    Args:
        name: name of a search in the home, or the storage URI of a search, whose ledger is then
            restored from the copy in the storage.
        search: the changed search, as a file or a mapping, if it is to change.
        overrides: overrides of `search`.
        trials: new total number of trials.
        accept_changes: apply the changes of `search`; otherwise an error lists them.
        where: options of `Where`.

    Returns:
        A handle of the search.

    Raises:
        LeaseHeld: another driver is running the search.
        InputError, SpecError, LedgerError, LedgerLost: as for `launch`.
    """
    if search is None and (overrides or accept_changes):
        rule = "changes need the search that they apply to"
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
"""Columns of `SearchHandle.trials`, before those of the parameters."""


def _rows(ledger: Ledger, prefix: str = "") -> list[dict[str, Any]]:
    """Return a row for each trial, with a prefix before the names of its parameters."""
    from synrep_search.terminal.status import trials

    return [
        {**row, **_more(trial), "params": {f"{prefix}{k}": v for k, v in trial.params.items()}}
        for row, trial in zip(trials(ledger), ledger.index.trials(), strict=True)
    ]


def _more(trial: Trial) -> dict[str, int]:
    return {"best_iteration": trial.best_iteration, "seed": trial.record.seed}


def _parameters(rows: list[dict[str, Any]]) -> list[str]:
    """Return the parameter names of all rows, in the order of their first appearance."""
    return list(dict.fromkeys(name for row in rows for name in row["params"]))


def _display(*, show: bool) -> Display:
    from synrep_search.terminal.console import make_console
    from synrep_search.terminal.progress import LogDisplay, ProgressDisplay

    return ProgressDisplay(make_console()) if show else LogDisplay()
