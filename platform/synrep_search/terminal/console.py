"""Where tables and progress go."""

from __future__ import annotations

import os
import sys

from rich.console import Console


def make_console() -> Console:
    """Standard output, as wide as it is, or as $COLUMNS says."""
    # A file or a pipe has no width of its own; $COLUMNS sets one.
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 110
    # Names come from files of others: none of them is markup.
    return Console(width=wide, soft_wrap=False, markup=False, emoji=False)
