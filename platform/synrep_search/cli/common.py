"""What the commands share: options, and the ways to a search's folder, ledger and terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from synrep_search.durability.ledger import Ledger
    from synrep_search.paths import SearchPaths

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(path_type=Path)


KINDS = (
    "Samplers: tpe, random, gp, cmaes, qmc, grid. Early stopping: asha, median. "
    "Trainers: synrep, repnet, kudo, supervised, scripted."
)
"""What a search file can name. As text: the registries load more than a help page should."""
home_option = click.option(
    "--home", type=FOLDER, help="Folder of all searches; $SYNREP_HOME or ./searches if omitted."
)
name_argument = click.argument("name")


def search_paths(name: str, home: Path | None) -> SearchPaths:
    """The folder of a search."""
    from synrep_search.paths import SearchPaths, home_dir

    return SearchPaths(home_dir(home), name)


def open_ledger(paths: SearchPaths) -> Ledger:
    """The ledger of a search.

    Raises:
        LedgerError: there is no such search, or its database can't be used.
    """
    url = paths.ledger_url()
    from synrep_search.durability.ledger import Ledger

    return Ledger.open(url, paths.name)


def make_console() -> Console:
    """Where tables and progress go."""
    from rich.console import Console

    # A file or a pipe has no width of its own; $COLUMNS sets one.
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 110
    # Names come from files of others: none of them is markup.
    return Console(width=wide, soft_wrap=False, markup=False, emoji=False)
