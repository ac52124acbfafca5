"""The console for tables and progress."""

from __future__ import annotations

import os
import sys

from rich.console import Console


def make_console() -> Console:
    """Return a console on standard output, with the width of the terminal or of $COLUMNS."""
    # A file or a pipe has no width; 110 columns unless $COLUMNS sets one (rich reads it).
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 110
    # Names may come from other people's files: they must not be interpreted as markup.
    return Console(width=width, soft_wrap=False, markup=False, emoji=False)
