"""Commands that plan, start, resume and stop searches."""

# ruff: noqa: D301 - in click's help \b is the backspace character: keep these lines as they are

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from synrep.cli.listing import ListingCommand
from synrep_search.cli.common import (
    FILE,
    early_stopping_rules,
    home_option,
    name_argument,
    samplers,
    search_paths,
    trainers,
)

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from synrep_search.paths import SearchPaths
    from synrep_search.search.loop import Search
    from synrep_search.workers.on_ray.cluster import Cluster

set_option = click.option(
    "-o", "overrides", multiple=True, metavar="KEY=VALUE", help="Override the file; repeatable."
)
search_name_option = click.option("--name", help="Name of the search; the file's name if omitted.")
address_option = click.option(
    "--address", help="Ray cluster, e.g. auto; Ray is started on this machine if omitted."
)
local_option = click.option(
    "--local", is_flag=True, help="Run trials one after another on this machine, without Ray."
)


@click.command(
    cls=ListingCommand,
    lists={"Samplers": samplers, "Early stopping": early_stopping_rules, "Trainers": trainers},
)
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
    from synrep_search.terminal.console import make_console
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
    """Start a search and show its progress until it ends.

    Ctrl-C stops the search cleanly; `resume` continues it. Exit codes: 0, all trials have ended;
    1, all trials have ended, but none has a value; 2, invalid input; 3, the search stopped before
    its target and can be resumed.

    \b
    Examples:
      synrep-search launch search_spaces/quickstart.yaml
      synrep-search launch search_spaces/paper.yaml -o data.poses=poses/cmu -o search.trials=24
      synrep-search launch mine.yaml --name second --address auto
    """
    from synrep_search.launching import create_search, ray_cluster, refuse_existing
    from synrep_search.search_file import load_spec

    spec = load_spec(file, overrides, name)
    paths = search_paths(spec.name, home)
    refuse_existing(paths)
    if not yes and sys.stdin.isatty():
        from synrep_search.terminal.console import make_console
        from synrep_search.terminal.plan import plan_table

        make_console().print(plan_table(spec))
        click.confirm("Start?", default=True, abort=True)
    with ray_cluster(address, local=local) as cluster:
        create_search(spec, paths, cluster)
        _run(paths, cluster)


@click.command()
@name_argument
@click.option("--trials", type=click.IntRange(1), help="New total number of trials.")
@click.option("--file", type=FILE, help="Changed search file.")
@set_option
@click.option("--accept-changes", is_flag=True, help="Apply the changes of --file.")
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
    """Resume a search from where its driver ended.

    NAME is the name of a search in this home, or the storage URI of a search, whose ledger is then
    restored from the copy in the storage. Exit codes are those of `launch`: 1, no trial has a
    value; 2, invalid input; 3, the search stopped before its target again.

    \b
    Examples:
      synrep-search resume paper
      synrep-search resume paper --trials 200
      synrep-search resume paper --file changed.yaml -o budget.hours=8 --accept-changes
      synrep-search resume s3://bucket/searches/paper
    """
    if file is None and (overrides or accept_changes):
        raise click.UsageError("-o and --accept-changes go with --file")
    from synrep_search.launching import change_search, find_search, ray_cluster

    paths = find_search(name, home)
    finished = change_search(paths, trials, file, overrides, accept=accept_changes)
    with ray_cluster(address, local=local or finished) as cluster:
        _run(paths, cluster)


@click.command()
@name_argument
@home_option
@click.option(
    "--wait/--no-wait", default=True, show_default=True, help="Wait until the search has ended."
)
def stop(name: str, home: Path | None, wait: bool) -> None:
    """Stop a running search cleanly; it can be resumed.

    \b
    Examples:
      synrep-search stop paper
    """
    from synrep_search.api import open_search

    search = open_search(name, home)
    if not search.stop(wait=False):
        click.echo(f"search {name!r} is not running")
        return
    click.echo(f"search {name!r} was asked to stop")
    if wait:
        search.wait()
        click.echo(f"it has ended; resume with: synrep-search resume {search.paths.typed}")


def _run(paths: SearchPaths, cluster: Cluster | None) -> None:
    """Run a search, print its conclusion, and exit with the code that `launch` documents."""
    from synrep_search.errors import LedgerLost
    from synrep_search.launching import run_to_end
    from synrep_search.terminal.console import make_console
    from synrep_search.terminal.progress import ProgressDisplay

    console = make_console()
    display = ProgressDisplay(console)
    try:
        search = run_to_end(paths, cluster, display)
    except LedgerLost as lost:
        display.say(str(lost))
        sys.exit(3)
    _conclusion(console, search, paths)
    if not search.ledger.target_met:
        sys.exit(3)
    if search.ledger.index.first() is None:
        sys.exit(1)


def _conclusion(console: Console, search: Search, paths: SearchPaths) -> None:
    """Print the table of trials, a summary, peak memory, the export, and the next commands."""
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
        console.print(f"stopped ({search.stopping}); resume with: ", end="", highlight=False)
        console.print(f"synrep-search resume {paths.typed}", highlight=False, soft_wrap=True)
    console.print(f"MLflow: synrep-search ui {paths.typed}", highlight=False, soft_wrap=True)
