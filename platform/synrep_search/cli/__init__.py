"""`synrep-search`: plan, launch, watch, resume, stop and use searches."""

# ruff: noqa: D301 - in click's help \b is the backspace character: keep these lines as they are

from __future__ import annotations

import click

from synrep.cli.commands import Commands
from synrep_search import __version__
from synrep_search.cli import run, show


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="synrep-search")
def main() -> None:
    """Search the hyper-parameters of 2D-to-3D pose GANs, on one machine or a cluster.

    \b
    Examples:
      synrep-search launch search_spaces/quickstart.yaml
      synrep-search status quickstart
      synrep-search ui quickstart
    """
    from synrep_search.terminal.console import open_standard_streams

    open_standard_streams()


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
