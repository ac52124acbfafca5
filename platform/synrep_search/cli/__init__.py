"""`synrep-search`: plan, launch, watch, resume, stop and use searches."""

from __future__ import annotations

import sys
from typing import Any

import click

from synrep.errors import SynrepError
from synrep_search import __version__
from synrep_search.cli import run, show


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


for _command in (
    run.plan,
    run.launch,
    run.resume,
    show.status,
    show.list_searches,
    run.stop,
    show.export,
    show.ui,
):
    main.add_command(_command)
