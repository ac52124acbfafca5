"""Commands that start searches, go on with them and end them."""

# ruff: noqa: D301 - in click's help \b is the backspace character: keep these lines as they are

from __future__ import annotations

import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from synrep_search.cli.common import (
    FILE,
    KINDS,
    home_option,
    make_console,
    name_argument,
    open_ledger,
    search_paths,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from synrep_search.paths import SearchPaths
    from synrep_search.search.loop import Runner, Search
    from synrep_search.workers.on_ray.cluster import Cluster

set_option = click.option(
    "-o", "overrides", multiple=True, metavar="KEY=VALUE", help="Override the file; repeatable."
)
search_name_option = click.option("--name", help="Name of the search; the file's own if omitted.")
address_option = click.option(
    "--address", help="Ray cluster, e.g. auto; Ray is started here if omitted."
)
local_option = click.option(
    "--local", is_flag=True, help="Without Ray: one trial after another, here."
)


@click.command(epilog=KINDS)
@click.argument("file", type=FILE)
@search_name_option
@set_option
def plan(file: Path, name: str | None, overrides: tuple[str, ...]) -> None:
    """Check a search file and show what it would run.

    \b
    Examples:
      synrep-search plan search_spaces/paper.yaml
      synrep-search plan search_spaces/paper.yaml -o search.trials=24
    """
    from synrep_search.search_file import load_spec
    from synrep_search.terminal.plan import plan_table

    make_console().print(plan_table(load_spec(file, overrides, name)))


@click.command()
@click.argument("file", type=FILE)
@search_name_option
@home_option
@address_option
@local_option
@set_option
@click.option("--yes", is_flag=True, help="Do not ask before starting.")
def launch(
    file: Path,
    name: str | None,
    home: Path | None,
    address: str | None,
    local: bool,
    overrides: tuple[str, ...],
    yes: bool,
) -> None:
    """Start a search and show it until it ends.

    Ctrl-C ends it cleanly; `resume` goes on. Exit codes: 0, all trials have ended; 1, and none has
    a value; 2, a mistake in what was given; 3, it stopped before its target and can be resumed.

    \b
    Examples:
      synrep-search launch search_spaces/quickstart.yaml
      synrep-search launch search_spaces/paper.yaml -o data.poses=poses/cmu -o search.trials=24
      synrep-search launch mine.yaml --name second --address auto
    """
    from synrep_search.search_file import load_spec

    spec = load_spec(file, overrides, name)
    paths = search_paths(spec.name, home)
    _refuse_existing(paths)
    if not yes and sys.stdin.isatty():
        from synrep_search.terminal.plan import plan_table

        make_console().print(plan_table(spec))
        click.confirm("Start?", default=True, abort=True)
    with _cluster(address, local=local) as cluster:
        from synrep_search.provenance import provenance

        origin = provenance(spec)
        from synrep_search.durability.ledger import Ledger

        with paths.begun():
            paths.check_storage(spec)
            if spec.ledger:  # first: a search that is made can be found
                paths.note_ledger(spec)
            Ledger.create(paths.ledger_url(spec), spec, origin).close()
        _run(paths, cluster)


@click.command()
@name_argument
@click.option("--trials", type=click.IntRange(1), help="New total number of trials.")
@click.option("--file", type=FILE, help="A changed search file.")
@set_option
@click.option("--accept-changes", is_flag=True, help="Take the changes of --file.")
@home_option
@address_option
@local_option
def resume(
    name: str,
    trials: int | None,
    file: Path | None,
    overrides: tuple[str, ...],
    accept_changes: bool,
    home: Path | None,
    address: str | None,
    local: bool,
) -> None:
    """Go on with a search, wherever its driver ended.

    NAME is a search of this home, or the storage URI of one: then its ledger is taken from the
    copy there. Exit codes are those of `launch`: 3 if it stopped before its target again, 1 if no
    trial has a value, 2 for a mistake.

    \b
    Examples:
      synrep-search resume paper
      synrep-search resume paper --trials 200
      synrep-search resume paper --file changed.yaml -o budget.hours=8 --accept-changes
      synrep-search resume s3://bucket/searches/paper
    """
    if file is None and (overrides or accept_changes):
        raise click.UsageError("-o and --accept-changes go with --file")
    from synrep_search.durability.restore import restore_copy
    from synrep_search.paths import SearchPaths, home_dir

    known = home_dir(home)
    paths = restore_copy(name, known) if "/" in name else SearchPaths(known, name)
    finished = _change(paths, trials, file, overrides, accept=accept_changes)
    with _cluster(address, local=local or finished) as cluster:
        _run(paths, cluster)


@click.command()
@name_argument
@home_option
@click.option("--wait/--no-wait", default=True, show_default=True, help="Until it has ended.")
def stop(name: str, home: Path | None, wait: bool) -> None:
    """End a running search cleanly; it can be resumed.

    \b
    Examples:
      synrep-search stop paper
    """
    paths = search_paths(name, home)
    ledger = open_ledger(paths)
    if not ledger.lease.request_stop():
        click.echo(f"search {name!r} is not running")
        return
    click.echo(f"search {name!r} was asked to stop")
    while wait and ledger.lease.held():
        time.sleep(1)
    if wait:
        click.echo(f"it has ended; go on with: synrep-search resume {paths.typed}")


def _change(
    paths: SearchPaths,
    trials: int | None,
    file: Path | None,
    overrides: tuple[str, ...],
    *,
    accept: bool,
) -> bool:
    """Change a search as `resume` was asked to; whether nothing is left to be trained."""
    from synrep_search.durability.restore import changed_spec
    from synrep_search.durability.study.storage import lost_as_error
    from synrep_search.errors import LedgerError
    from synrep_search.provenance import data_fingerprint
    from synrep_search.search_file.samplers import Task, require

    with lost_as_error(paths.typed), closing(open_ledger(paths)) as ledger, ledger.lease:
        if file is not None:
            after = changed_spec(ledger.spec, file, overrides, accept=accept)
            if data_fingerprint(after) != ledger.provenance["data"]:
                raise LedgerError("the file names other poses: results on them can't be compared")
            ledger.replace_spec(after)
        if trials is not None:
            spec = ledger.spec
            require(spec.search.sampler, Task(spec.space, trials, spec.start_from))
            ledger.set_target(trials)
        return ledger.target_met


@contextmanager
def _cluster(address: str | None, *, local: bool) -> Iterator[Cluster | None]:
    """Ray, which starts while the search is made ready; None if it is to run without."""
    if local:
        yield None
        return
    from synrep_search.workers.on_ray.cluster import Cluster

    with closing(Cluster(address)) as cluster:
        yield cluster


def _run(paths: SearchPaths, cluster: Cluster | None) -> None:
    """Run a search, say how it ended, and exit accordingly."""
    from synrep_search.durability.restore import when_back
    from synrep_search.errors import LedgerLost
    from synrep_search.search.driver import run_search
    from synrep_search.terminal.progress import ProgressDisplay

    console = make_console()
    view = ProgressDisplay(console)
    ledger = open_ledger(paths)  # by nobody else: it is big, and comes anew if its database fails
    while True:
        try:
            search = run_search(ledger, paths, _runner(cluster), view)
            break
        except LedgerLost as lost:
            # What fails in a file, as a full disk, takes somebody to mend it.
            if ledger.is_file or lost.stopping:
                view.say(str(lost))
                sys.exit(3)
            view.say(f"{lost}; waiting for it")
        try:
            ledger = when_back(ledger, view.say)
        except KeyboardInterrupt:
            sys.exit(3)
        view.say("the ledger is back")
    _conclusion(console, search, paths)
    if not search.ledger.target_met:
        sys.exit(3)
    if search.ledger.index.first() is None:
        sys.exit(1)


def _runner(cluster: Cluster | None) -> Runner:
    if cluster is None:
        from synrep_search.workers.local import run

        return run
    from synrep_search.workers.on_ray.runner import RayRunner

    return RayRunner(cluster)


def _conclusion(console: Console, search: Search, paths: SearchPaths) -> None:
    """The table of trials, what was exported, memory, and what to type next."""
    import resource

    from synrep_search.terminal.progress import TrialTable, summary

    console.print(TrialTable(search.ledger))
    console.print(summary(search), highlight=False, soft_wrap=True)
    driver_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.print(
        f"peak memory: driver {driver_mb:.0f} MB, largest trial process "
        f"{search.trial_memory_mb:.0f} MB",
        highlight=False,
    )
    if paths.best.exists():
        console.print(f"best generator: {paths.best}", highlight=False, soft_wrap=True)
    if not search.ledger.target_met:
        console.print(f"stopped ({search.stopping}); go on with: ", end="", highlight=False)
        console.print(f"synrep-search resume {paths.typed}", highlight=False, soft_wrap=True)
    console.print(f"MLflow: synrep-search ui {paths.typed}", highlight=False, soft_wrap=True)


def _refuse_existing(paths: SearchPaths) -> None:
    """Raise if the home has a search of this name, other than one whose launch was cut off."""
    from synrep_search.errors import LedgerError, NoSearch
    from synrep_search.paths import names

    if paths.name not in names(paths.home):
        return
    from synrep_search.durability.ledger import EXISTS

    try:
        open_ledger(paths).close()
    except NoSearch:
        return
    raise LedgerError(EXISTS.format(name=paths.name))
