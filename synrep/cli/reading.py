"""How `synrep lift` takes the size of images, and how warnings about an input are shown."""

from __future__ import annotations

import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from synrep.cli.listing import ListingCommand
from synrep.errors import InputWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = "--image-size"
WIDTH_X_HEIGHT = re.compile(r"(\d+(?:\.\d+)?)[xX×](\d+(?:\.\d+)?)")  # noqa: RUF001 - as people type it


class LiftCommand(ListingCommand):
    """A command whose `--image-size` takes '1920 1080' as well as '1920x1080'."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Split a size in one word into the two that the option takes."""
        words: list[str] = []
        for word in args:
            name, equals, size = word.partition("=")
            if equals and name == SIZE:
                words.append(SIZE)
                word = size  # noqa: PLW2901 - what is left of it
            found = WIDTH_X_HEIGHT.fullmatch(word) if words[-1:] == [SIZE] else None
            words += found.groups() if found else [word]
        return super().parse_args(ctx, words)


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Show each `InputWarning` as a line on stderr, once."""
    shown: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
        if not issubclass(category, InputWarning):
            before(message, category, *rest, **named)
        elif str(message) not in shown:
            shown.add(str(message))
            click.echo(f"Warning: {message}", err=True)

    with warnings.catch_warnings():
        before = warnings.showwarning
        warnings.simplefilter("always", InputWarning)
        warnings.showwarning = show
        yield
