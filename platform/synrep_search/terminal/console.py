"""Where tables and progress go, also if nobody reads them."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import IO, Any, cast

from rich.console import Console


def open_standard_streams() -> None:
    """Open what this process was started without: input, output or errors (`<&-`, `>&-`).

    Otherwise the next file that is opened, perhaps a database, would take the place of standard
    output, and all that is printed there would be written into it.
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(opened, True)
    os.close(opened)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123


class _Output:
    """Standard output; when its reader has gone (`| head`, a closed terminal), it goes nowhere."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stdout, name)

    def write(self, text: str) -> int:
        """Write, if anybody reads."""
        try:
            return sys.stdout.write(text)
        except OSError:
            _discard_output()
            return len(text)

    def flush(self) -> None:
        """Flush, if anybody reads."""
        try:
            sys.stdout.flush()
        except OSError:
            _discard_output()


def _discard_output() -> None:
    """Send all further output, also what is buffered, to the null device."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def make_console() -> Console:
    """Standard output, as wide as it is, or as $COLUMNS says."""
    # A file or a pipe has no width of its own; $COLUMNS sets one.
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 110
    # Names come from files of others: none of them is markup.
    output = cast("IO[str]", _Output())
    return Console(file=output, width=wide, soft_wrap=False, markup=False, emoji=False)
