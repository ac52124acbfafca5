"""What the commands that make pose stores share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from synrep.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from synrep.datasets.store.store import PoseStore


def listed(subjects: str | None) -> list[str]:
    """Names that a user separated by commas."""
    return [part.strip() for part in (subjects or "").split(",") if part.strip()]


def progress_bar() -> Any:
    """A bar on the terminal; nothing where there is none."""
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


def tell(notes: Iterable[str]) -> None:
    """Print notes beside the output; names in them come from the files that were read."""
    for note in notes:
        click.echo(printable(note), err=True)


def report(store: PoseStore) -> None:
    """Say what a new store holds."""
    counts = ", ".join(f"{split} {store.header.splits[split]}" for split in store.splits)
    click.echo(f"{store.folder}: {counts} poses")
