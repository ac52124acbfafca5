"""`python -m faults`: runs the matrix, or the part of it that is wanted."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from synrep_search.provenance import code_version

from .cells import Cells, possible
from .matrix import cells, fast
from .recording import Record, listing
from .soak import Soak
from .world import World

if TYPE_CHECKING:
    from .matrix import Cell

SHOWN = (
    "minutes", "faults", "drivers", "trials_lost", "trials_doubled", "runs_wrong", "over_allowed",
    "end_equal", "kept",
)  # fmt: skip
OUT = Path("docs/reliability.json")
out_option = click.option(
    "--out", type=click.Path(path_type=Path), default=OUT, show_default=True, help="Results."
)
seed_option = click.option("--seed", default=0, show_default=True, help="Of all that is drawn.")


@click.group(invoke_without_command=True)
@click.option(
    "--only",
    multiple=True,
    metavar="FAULT[/MOMENT[/TRAINER]]",
    help="Cells below this; repeatable.",
)
@click.option("--fast", "sample", is_flag=True, help="A sample of each kind, as the tests run it.")
@click.option("--keep", is_flag=True, help="Keep results of other versions of the code, too.")
@click.option("--list", "shown", is_flag=True, help="Say what is run, and what is left out.")
@out_option
@seed_option
@click.pass_context
def main(context: click.Context, /, out: Path, seed: int, **wanted: Any) -> None:
    """Inject faults into searches, and prove that nothing is lost.

    Goes on where it was interrupted: cells whose results are in the file are not run again.
    """
    if context.invoked_subcommand is not None:
        return
    if wanted["shown"]:
        click.echo(listing())
        return
    code, record = code_version(), Record(out)
    missing = [
        cell
        for cell in (fast() if wanted["sample"] else cells(*wanted["only"]))
        if not record.has(cell.id, None if wanted["keep"] else code)
    ]
    if missing:
        _run(missing, record, seed, code)
    failed = sum(not entry["kept"] for entry in record.cells)
    click.echo(f"{len(record.cells)} cells, {failed} of them with a promise that was not kept")
    sys.exit(1 if failed else 0)


@main.command()
@click.option("--trials", default=2000, show_default=True, help="Trials in all.")
@click.option("--minutes", default=30.0, show_default=True, help="For how long there are faults.")
@click.option("--every", default=20.0, show_default=True, help="Seconds between faults.")
@out_option
@seed_option
def soak(trials: int, minutes: float, every: float, out: Path, seed: int) -> None:
    """Run one long search with a random fault every few seconds."""
    with World() as world:
        entry = Soak(trials, minutes, every, seed)(world)
    Record(out).put_soak({**entry, "code": code_version()})
    click.echo(json.dumps({name: value for name, value in entry.items() if name in SHOWN}))
    sys.exit(0 if entry["kept"] else 1)


def _run(missing: list[Cell], record: Record, seed: int, code: str) -> None:
    with World() as world:
        running = Cells(world, seed)
        for number, cell in enumerate(missing, start=1):
            click.echo(f"{number}/{len(missing)} {cell.id} ", nl=False)
            if not possible(cell):
                click.echo("left out: no disk of its own can be mounted here")
                continue
            entry = running.run(cell)
            record.put({**entry, "code": code})
            word = "kept" if entry["kept"] else "NOT KEPT"
            faults, seconds = entry["faults"], entry["seconds"]
            click.echo(f"{word}, {faults} faults, {seconds} s {entry['note']}")


if __name__ == "__main__":
    # So that nothing that was started stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
