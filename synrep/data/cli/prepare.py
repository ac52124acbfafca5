"""`synrep data prepare`: pose stores from built-in motion and from motion capture."""

# ruff: noqa: D301 - in click's help \b is the backspace character: keep these lines as they are

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synrep.data.cli.common import listed, progress_bar, report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synrep.data.header import Split


@click.group()
def prepare() -> None:
    """Make a pose store from a source.

    \b
    Examples:
      synrep data prepare synthetic --out poses/synthetic
      synrep data prepare bvh --root mocap/cmu --out poses/cmu
    """


@click.command()
@click.option("--out", required=True, help="Folder of the new store.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of bodies and motions.",
)
@click.option(
    "--clip-s", default=7.0, show_default=True, help="Seconds of each clip; 7 gives 20160 poses."
)
def synthetic(out: str, seed: int, clip_s: float) -> None:
    """Built-in motion of jointed bodies; equal for equal options.

    \b
    Example:
      synrep data prepare synthetic --out poses/synthetic --seed 1
    """
    from synrep.data.store import write_store
    from synrep.data.synthetic import description, generate

    report(write_store(out, description(), generate(seed, clip_s)))


@click.command()
@click.option("--root", required=True, help="Folder with .bvh files; subfolders count.")
@click.option("--out", required=True, help="Folder of the new store.")
@click.option(
    "--joint-map",
    default="auto",
    show_default=True,
    help="cmu, lafan1, xsens, a .json file of your own, or auto: by the joints' names.",
)
@click.option(
    "--unit",
    type=click.Choice(["auto", "mm", "cm", "m", "inch", "cmu"]),
    default="auto",
    show_default=True,
    help="Unit of length in the files; cmu is 1/0.45 inch.",
)
@click.option(
    "--up",
    type=click.Choice(["auto", "+x", "-x", "+y", "-y", "+z", "-z"]),
    default="auto",
    show_default=True,
    help="Axis that points up in the files.",
)
@click.option(
    "--fps",
    type=click.FloatRange(min=0, min_open=True),
    default=25.0,
    show_default=True,
    help="Wanted frame rate; every n-th frame is kept, with the n that comes nearest.",
)
@click.option(
    "--path",
    default="",
    help="Regular expression of a file's path below ROOT, without suffix, with the groups "
    "(?P<subject>...) and (?P<action>...). Default: that of the joint map.",
)
@click.option("--train", help="Subjects to train on, comma-separated. Default: drawn by --seed.")
@click.option("--validation", help="Subjects to validate on.")
@click.option("--test", help="Subjects to test on.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of a split that is drawn.",
)
@click.option("--name", help="Name in the header. Default: that of the folder.")
@click.option(
    "--licence", default="not stated", show_default=True, help="Terms of use, for the header."
)
def bvh(
    *,
    root: str,
    out: str,
    train: str | None,
    validation: str | None,
    test: str | None,
    seed: int,
    name: str | None,
    licence: str,
    **reading: Any,
) -> None:
    """Motion capture in BVH files.

    \b
    Examples:
      synrep data prepare bvh --root mocap/cmu --out poses/cmu
      synrep data prepare bvh --root lafan1 --out poses/lafan1 --unit cm \\
          --train subject1,subject2,subject3 --validation subject4 --test subject5
    """
    from synrep.data.bvh import BvhOptions, read_bvh_folder
    from synrep.data.splitting import draw_subjects, split_by_subject
    from synrep.data.store import Description, write_store
    from synrep.skeleton import HUMAN36M_17

    options = BvhOptions.checked(**reading)
    with progress_bar() as progress:
        task = progress.add_task("reading", total=None)
        poses, notes = read_bvh_folder(
            root, options, lambda done, total: progress.update(task, completed=done, total=total)
        )
    for note in notes:
        click.echo(note, err=True)
    named = {"train": train, "validation": validation, "test": test}
    chosen: Mapping[Split, list[str]] = (
        {split: listed(named[split]) for split in ("train", "validation", "test")}
        if any(named.values())
        else draw_subjects(poses, seed)
    )
    about = Description(
        name=name or Path(out).resolve().name,
        skeleton=HUMAN36M_17.name,
        fps=poses.fps,
        licence=licence,
    )
    report(write_store(out, about, split_by_subject(poses, chosen)))
