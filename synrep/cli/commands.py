"""A group of commands that ends in one message and an exit code where a user can mend something."""

from __future__ import annotations

import sys
from typing import Any

import click

from synrep.errors import Diverged, SynrepError, printable


class Commands(click.Group):
    """Prints errors that a user can mend as one message, without a traceback.

    It exits with 2 on a mistake of the user's, as click does, and with 1 if a training diverged.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        code = 2
        try:
            return super().invoke(ctx)
        except SynrepError as error:
            message = str(error)
            code = 1 if isinstance(error, Diverged) else 2
        except OSError as error:
            if error.filename is None:  # nothing that a user named
                raise
            message = printable(f"{error.filename}: {error.strerror}")
        click.echo(f"Error: {message}", err=True)
        sys.exit(code)
