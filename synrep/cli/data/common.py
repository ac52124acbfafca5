"""Helpers of the commands that create pose stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from synrep.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from synrep.datasets.store.store import PoseStore


def split_names(subjects: str | None) -> list[str]:
    """Split a comma-separated list of names."""
    return [part.strip() for part in (subjects or "").split(",") if part.strip()]


def progress_bar() -> Any:
    """Return a progress bar, which is disabled if stderr is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def print_notes(notes: Iterable[str]) -> None:
    """Print notes to stderr, escaped because names in them come from the files that were read."""
    for note in notes:
        click.echo(printable(note), err=True)


def print_summary(store: PoseStore) -> None:
    """Print the number of poses in each split of a new store."""
    counts = ", ".join(f"{split} {store.header.splits[split]}" for split in store.splits)
    click.echo(f"{store.folder}: {counts} poses")
