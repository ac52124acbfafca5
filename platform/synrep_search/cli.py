"""`synrep-search`: plan, launch, watch, resume, stop and use searches."""

# ruff: noqa: D301 - in click's help \b is the backspace character: keep these lines as they are

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synrep.errors import SynrepError
from synrep_search import __version__

if TYPE_CHECKING:
    from rich.console import Console

    from synrep_search.ledger.ledger import Ledger
    from synrep_search.paths import SearchPaths
    from synrep_search.search import Runner, Search

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(path_type=Path)

home_option = click.option(
    "--home", type=FOLDER, help="Folder of all searches; $SYNREP_HOME or ./searches if omitted."
)
set_option = click.option(
    "-o", "overrides", multiple=True, metavar="KEY=VALUE", help="Override the file; repeatable."
)
name_argument = click.argument("name")


class Commands(click.Group):
    """Prints the project's own errors as one message, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command; exit with 2 on a mistake of the user's."""
        try:
            return super().invoke(ctx)
        except SynrepError as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(2)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="synrep-search")
def main() -> None:
    """Search configurations of 2D-to-3D pose GANs, on one machine or a cluster."""


@main.command()
@click.argument("file", type=FILE)
@set_option
def plan(file: Path, overrides: tuple[str, ...]) -> None:
    """Check a search file and show what it would run.

    \b
    Examples:
      synrep-search plan search_spaces/paper.yaml
      synrep-search plan search_spaces/paper.yaml -o search.trials=24
    """
    from synrep_search.plan import plan_table
    from synrep_search.spec import load_spec

    _console().print(plan_table(load_spec(file, overrides)))


@main.command()
@click.argument("file", type=FILE)
@click.option("--name", help="Name of the search; the file's own if omitted.")
@home_option
@click.option("--address", help="Ray cluster, e.g. auto; Ray is started here if omitted.")
@click.option("--local", is_flag=True, help="Without Ray: one trial after another, here.")
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

    Ctrl-C ends it cleanly; `resume` goes on.

    \b
    Examples:
      synrep-search launch search_spaces/quickstart.yaml
      synrep-search launch search_spaces/paper.yaml -o data.poses=poses/cmu -o search.trials=24
      synrep-search launch mine.yaml --name second --address auto
    """
    from synrep_search.spec import load_spec

    spec = load_spec(file, overrides, name)
    paths = _paths(spec.name, home)
    paths.refuse_existing()
    from synrep_search.provenance import provenance

    origin = provenance(spec)
    if not yes and sys.stdin.isatty():
        from synrep_search.plan import plan_table

        _console().print(plan_table(spec))
        click.confirm("Start?", default=True, abort=True)
    from synrep_search.ledger.ledger import Ledger

    with paths.begun():
        ledger = Ledger.create(paths.ledger_url(spec), spec, origin)
        if spec.ledger:
            paths.note_ledger(spec.ledger)
    _run(ledger, paths, address, local=local)


@main.command()
@name_argument
@click.option("--trials", type=click.IntRange(1), help="New total number of trials.")
@click.option("--file", type=FILE, help="A changed search file.")
@set_option
@click.option("--accept-changes", is_flag=True, help="Take the changes of --file.")
@home_option
@click.option("--address", help="Ray cluster, e.g. auto; Ray is started here if omitted.")
@click.option("--local", is_flag=True, help="Without Ray: one trial after another, here.")
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
    copy there.

    \b
    Examples:
      synrep-search resume paper
      synrep-search resume paper --trials 200
      synrep-search resume s3://bucket/searches/paper
    """
    from synrep_search.paths import SearchPaths, home_dir
    from synrep_search.restore import changed_spec, restore_copy

    known = home_dir(home)
    paths = restore_copy(name, known) if "/" in name else SearchPaths(known, name)
    ledger = _open(paths)
    if ledger.lease.held():
        ledger.lease.acquire()  # says who holds it
    if file is not None:
        ledger.replace_spec(changed_spec(ledger.spec, file, overrides, accept=accept_changes))
    if trials is not None:
        ledger.set_target(trials)
    _run(ledger, paths, address, local=local)


@main.command()
@name_argument
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--watch", is_flag=True, help="Repeat every 5 seconds until the search ends.")
def status(name: str, home: Path | None, as_json: bool, watch: bool) -> None:
    """Show how a search stands.

    \b
    Examples:
      synrep-search status paper
      synrep-search status paper --watch
      synrep-search status paper --json
    """
    from synrep_search.status import shown
    from synrep_search.status import status as status_of

    paths = _paths(name, home)
    while True:
        ledger = _open(paths)
        found = status_of(ledger, paths)
        if as_json:
            click.echo(json.dumps(found))
        else:
            _console().print(shown(found, ledger))
        ledger.close()
        if not watch or found["state"] != "running":
            return
        time.sleep(5)


@main.command("list")
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_searches(home: Path | None, as_json: bool) -> None:
    """List the searches of a home.

    \b
    Examples:
      synrep-search list
      synrep-search list --home /data/searches --json
    """
    from synrep_search.paths import home_dir, names
    from synrep_search.status import list_table
    from synrep_search.status import status as status_of

    found = []
    for name in names(home_dir(home)):
        paths = _paths(name, home)
        ledger = _open(paths)
        found.append(status_of(ledger, paths))
        ledger.close()
    if as_json:
        click.echo(json.dumps(found))
    elif found:
        _console().print(list_table(found))
    else:
        click.echo(f"no searches in {home_dir(home)}")


@main.command()
@name_argument
@home_option
@click.option("--wait/--no-wait", default=True, show_default=True, help="Until it has ended.")
def stop(name: str, home: Path | None, wait: bool) -> None:
    """End a running search cleanly; it can be resumed.

    \b
    Examples:
      synrep-search stop paper
    """
    ledger = _open(_paths(name, home))
    if not ledger.lease.request_stop():
        click.echo(f"search {name!r} is not running")
        return
    click.echo(f"search {name!r} was asked to stop")
    while wait and ledger.lease.held():
        time.sleep(1)
    if wait:
        click.echo(f"it has ended; go on with: synrep-search resume {name}")


@main.command()
@name_argument
@click.option("--to", "folder", type=FOLDER, required=True, help="New folder.")
@click.option("--trial", type=click.IntRange(0), help="Number of the trial; the best if omitted.")
@home_option
def export(name: str, folder: Path, trial: int | None, home: Path | None) -> None:
    """Export a generator: safetensors, ONNX, JSON, and a README with its numbers.

    \b
    Examples:
      synrep-search export paper --to exports/best
      synrep-search export paper --trial 0 --to exports/paper-settings
    """
    from synrep_search.export import export_trial

    paths = _paths(name, home)
    ledger = _open(paths)
    number = export_trial(ledger, paths, trial, folder)
    click.echo(f"the generator of trial {number} is in {folder}")


@main.command()
@click.argument("name", required=False)
@home_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=5000, show_default=True, help="Another is taken if it is in use.")
def ui(name: str | None, home: Path | None, host: str, port: int) -> None:
    """Serve MLflow's pages on the searches of a home; Ctrl-C ends it.

    \b
    Examples:
      synrep-search ui
      synrep-search ui paper --port 5001
    """
    from synrep_search.paths import home_dir
    from synrep_search.tracking.ui import free_port, serve

    uri = f"sqlite:///{home_dir(home) / 'mlflow.db'}"
    if name is not None:
        paths = _paths(name, home)
        uri = paths.tracking_uri(_open(paths).spec)
    if not uri.startswith("sqlite:///"):
        click.echo(f"this search is tracked by a server that is running already: {uri}")
        return
    chosen = free_port(host, port)
    click.echo(f"MLflow on http://{host}:{chosen} (Ctrl-C ends it)")
    serve(uri, host, chosen)


def _run(ledger: Ledger, paths: SearchPaths, address: str | None, *, local: bool) -> None:
    """Run a search, say how it ended, and exit accordingly."""
    from synrep_search.driver import run_search
    from synrep_search.view import SearchView

    console = _console()
    search = run_search(ledger, paths, _runner(address, local=local), SearchView(console))
    _conclusion(console, search, paths)
    if not search.ledger.target_met:
        sys.exit(3)
    if ledger.index.first() is None:
        sys.exit(1)


def _runner(address: str | None, *, local: bool) -> Runner:
    if local:
        from synrep_search.local import run

        return run
    from synrep_search.tune.runner import RayRunner

    return RayRunner(address)


def _conclusion(console: Console, search: Search, paths: SearchPaths) -> None:
    """The table of trials, what was exported, memory, and what to type next."""
    import resource

    from synrep_search.view import TrialTable, summary

    console.print(TrialTable(search.ledger))
    console.print(summary(search), highlight=False, soft_wrap=True)
    driver_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.print(
        f"peak memory: driver {driver_mb:.0f} MB, largest trial process "
        f"{search.trial_memory_mb:.0f} MB",
        highlight=False,
    )
    where = "" if paths.home.name == "searches" else f" --home {paths.home}"
    if paths.best.exists():
        console.print(f"best generator: {paths.best}", highlight=False, soft_wrap=True)
    if not search.ledger.target_met:
        console.print(f"stopped ({search.stopping}); go on with: ", end="", highlight=False)
        console.print(f"synrep-search resume {paths.name}{where}", highlight=False, soft_wrap=True)
    console.print(f"MLflow: synrep-search ui {paths.name}{where}", highlight=False, soft_wrap=True)


def _paths(name: str, home: Path | None) -> SearchPaths:
    from synrep_search.paths import SearchPaths, home_dir

    return SearchPaths(home_dir(home), name)


def _open(paths: SearchPaths) -> Ledger:
    url = paths.ledger_url()
    from synrep_search.ledger.ledger import Ledger

    return Ledger.open(url, paths.name)


def _console() -> Console:
    from rich.console import Console

    # A file or a pipe has no width of its own; $COLUMNS sets one.
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 110
    return Console(width=wide, soft_wrap=False)


if __name__ == "__main__":
    main()
