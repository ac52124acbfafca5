"""Options that commands share, and the way to a search's folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
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
