"""Commands that show searches, export generators and serve MLflow's UI."""

# ruff: noqa: D301 - in click's help \b is the backspace character: keep these lines as they are

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import TYPE_CHECKING

import click

from synrep_search.cli.common import FOLDER, home_option, name_argument, search_paths

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@name_argument
@home_option
@click.option("--trials", "every", is_flag=True, help="Show all trials, and why they ended.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--watch", is_flag=True, help="Repeat every 5 seconds until the search ends.")
def status(name: str, home: Path | None, every: bool, as_json: bool, watch: bool) -> None:
    """Show the status of a search, or all of its trials.

    \b
    Examples:
      synrep-search status paper
      synrep-search status paper --watch
      synrep-search status paper --json
      synrep-search status paper --trials
      synrep-search status paper --trials --json
    """
    from synrep_search.launching import open_ledger
    from synrep_search.terminal.console import make_console
    from synrep_search.terminal.status import shown, trials
    from synrep_search.terminal.status import status as status_of

    paths = search_paths(name, home)
    while True:
        ledger = open_ledger(paths)
        current = status_of(ledger, paths)
        if as_json:
            click.echo(json.dumps(trials(ledger) if every else current))
        else:
            make_console().print(shown(current, ledger, paths, every=every), crop=False)
        ledger.close()
        if not watch or current["state"] != "running":
            return
        time.sleep(5)


@click.command("list")
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_searches(home: Path | None, as_json: bool) -> None:
    """List the searches of a home.

    \b
    Examples:
      synrep-search list
      synrep-search list --home /data/searches --json
    """
    from synrep_search.durability.study.storage import lost_as_error
    from synrep_search.errors import LedgerError
    from synrep_search.launching import open_ledger
    from synrep_search.paths import home_dir, names
    from synrep_search.terminal.console import make_console
    from synrep_search.terminal.status import list_table
    from synrep_search.terminal.status import status as status_of

    searches = []
    for name in names(home_dir(home)):
        paths = search_paths(name, home)
        try:
            with lost_as_error(paths.typed), closing(open_ledger(paths)) as ledger:
                searches.append(status_of(ledger, paths))
        except LedgerError as error:
            click.echo(f"{name}: {error}", err=True)  # the other searches are still listed
    if as_json:
        click.echo(json.dumps(searches))
    elif searches:
        make_console().print(list_table(searches))
    else:
        click.echo(f"no searches in {home_dir(home)}")


@click.command()
@name_argument
@click.option("--to", "folder", type=FOLDER, required=True, help="New folder for the export.")
@click.option("--trial", type=click.IntRange(0), help="Number of the trial; the best if omitted.")
@home_option
def export(name: str, folder: Path, trial: int | None, home: Path | None) -> None:
    """Export a generator: safetensors, ONNX, JSON, and a README with its metrics.

    \b
    Examples:
      synrep-search export paper --to exports/best
      synrep-search export paper --trial 0 --to exports/paper-settings
    """
    from synrep_search.launching import open_ledger
    from synrep_search.tracking.exports import export_trial

    paths = search_paths(name, home)
    ledger = open_ledger(paths)
    number = export_trial(ledger, paths, trial, folder)
    click.echo(f"the generator of trial {number} is in {folder}")


@click.command()
@click.argument("name", required=False)
@home_option
@click.option("--port", default=5000, show_default=True, help="If in use, another port is chosen.")
def ui(name: str | None, home: Path | None, port: int) -> None:
    """Serve MLflow's UI for the searches of a home, on this machine only; Ctrl-C ends it.

    \b
    Examples:
      synrep-search ui
      synrep-search ui paper --port 5001
    """
    from synrep_search.launching import open_ledger
    from synrep_search.paths import home_dir, sqlite_file, sqlite_url
    from synrep_search.tracking.ui import HOST, check_store, elsewhere, free_port, serve

    uri = sqlite_url(home_dir(home) / "mlflow.db")
    if name is not None:
        paths = search_paths(name, home)
        with closing(open_ledger(paths)) as ledger:
            uri = paths.tracking_uri(ledger.spec)
    file = sqlite_file(uri)
    if file is None:
        click.echo(elsewhere(uri))
        return
    check_store(file, home_dir(home), click.echo)
    chosen = free_port(port)
    click.echo(f"MLflow on http://{HOST}:{chosen} (Ctrl-C ends it)")
    serve(uri, chosen)
