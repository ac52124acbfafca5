"""`synrep`: the command line of the model library."""

from synrep.cli.main import main

__all__ = ["main"]
