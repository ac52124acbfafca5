"""Options and look-ups that the commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from synrep.cli.listing import Rows
    from synrep_search.paths import SearchPaths

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(path_type=Path)

home_option = click.option(
    "--home", type=FOLDER, help="Folder of all searches; $SYNREP_HOME or ./searches if omitted."
)
name_argument = click.argument("name")


def search_paths(name: str, home: Path | None) -> SearchPaths:
    """Return the paths of a search."""
    from synrep_search.paths import SearchPaths, home_dir

    return SearchPaths(home_dir(home), name)


def samplers() -> Rows:
    """Return the name and summary of each sampler for the help text."""
    from synrep_search.search_file.samplers import SAMPLERS

    return [(name, _summary(options)) for name, options in SAMPLERS.items()]


def early_stopping_rules() -> Rows:
    """Return the name and summary of each early-stopping rule for the help text."""
    from synrep_search.search_file.early_stopping import RULES

    return [(name, _summary(options)) for name, options in RULES.items()]


def trainers() -> Rows:
    """Return the name and summary of each trainer for the help text."""
    from synrep_search.trainers import TRAINERS

    return [(name, trainer.help) for name, trainer in TRAINERS.items()]


def _summary(options: type) -> str:
    return (options.__doc__ or "").partition("\n\n")[0]
