"""`synrep data`: make, describe and check pose stores."""

# ruff: noqa: D301 - in click's help \b is the backspace character: keep these lines as they are

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synrep.data.checks import Check
    from synrep.data.header import Split
    from synrep.data.store import Poses, PoseStore


@click.group()
def data() -> None:
    """Make, describe and check pose stores."""


@data.group()
def prepare() -> None:
    """Make a pose store from a source.

    \b
    Examples:
      synrep data prepare synthetic --out poses/synthetic
      synrep data prepare bvh --root mocap/cmu --out poses/cmu
    """


@prepare.command()
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

    _report(write_store(out, description(), generate(seed, clip_s)))


@prepare.command()
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
    with _progress() as progress:
        task = progress.add_task("reading", total=None)
        poses, notes = read_bvh_folder(
            root, options, lambda done, total: progress.update(task, completed=done, total=total)
        )
    for note in notes:
        click.echo(note, err=True)
    named = {"train": train, "validation": validation, "test": test}
    chosen: Mapping[Split, list[str]] = (
        {split: _listed(named[split]) for split in ("train", "validation", "test")}
        if any(named.values())
        else draw_subjects(poses, seed)
    )
    about = Description(
        name=name or Path(out).resolve().name,
        skeleton=HUMAN36M_17.name,
        fps=poses.fps,
        licence=licence,
    )
    _report(write_store(out, about, split_by_subject(poses, chosen)))


def _listed(subjects: str | None) -> list[str]:
    return [part.strip() for part in (subjects or "").split(",") if part.strip()]


def _progress() -> Any:
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


def _report(store: PoseStore) -> None:
    counts = ", ".join(f"{split} {store.header.splits[split]}" for split in store.splits)
    click.echo(f"{store.folder}: {counts} poses")


@data.command()
@click.argument("store")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(store: str, as_json: bool) -> None:
    """What is in STORE: a folder, or `synthetic`.

    \b
    Examples:
      synrep data info poses/cmu
      synrep data info synthetic --json
    """
    from synrep.data import open_poses

    opened = open_poses(store)
    content = _description(opened)
    if as_json:
        click.echo(json.dumps(content, indent=2))
        return
    _print_info(content)


def _description(store: PoseStore) -> dict[str, Any]:
    header = store.header
    return {
        "name": header.name,
        "folder": str(store.folder),
        "skeleton": header.skeleton,
        "frame": header.frame,
        "up": header.up,
        "units": header.units,
        "fps": header.fps,
        "fingerprint": store.fingerprint,
        "licence": header.licence,
        "acknowledgement": header.acknowledgement,
        "splits": {split: _split_summary(store.read(split), store) for split in store.splits},
    }


def _split_summary(poses: Poses, store: PoseStore) -> dict[str, Any]:
    import numpy as np

    head, root = store.skeleton.indices("Head", "Hip")
    height = np.linalg.norm(poses.joints_mm[:, head] - poses.joints_mm[:, root], axis=1)
    actions, counts = np.unique(poses.action, return_counts=True)
    return {
        "poses": len(poses),
        "minutes": round(len(poses) / poses.fps / 60, 1),
        "clips": len(np.unique(poses.clip)),
        "subjects": np.unique(poses.subject).tolist(),
        "hip_to_head_mm": round(float(np.median(height))),
        "actions": dict(sorted(zip(actions.tolist(), counts.tolist(), strict=True))),
    }


def _print_info(content: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    for key, value in content.items():
        if key != "splits" and value != "":
            click.echo(f"{key:16}{value}")
    table = Table()
    titles = ("split", "poses", "minutes", "clips", "subjects", "actions", "hip to head")
    for title in titles:
        table.add_column(title, justify="left" if title == "split" else "right")
    for split, part in content["splits"].items():
        table.add_row(
            split,
            *(str(part[title]) for title in ("poses", "minutes", "clips")),
            *(str(len(part[title])) for title in ("subjects", "actions")),
            f"{part['hip_to_head_mm']} mm",
        )
    Console().print(table)


@data.command()
@click.argument("store")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def verify(context: click.Context, store: str, as_json: bool) -> None:
    """Check all of STORE; exit code 1 if a check fails.

    \b
    Looks at checksums, columns, missing joints, units, up axis, bone lengths,
    left and right, and that no two splits share a subject.
    \b
    Example:
      synrep data verify poses/cmu
    """
    from synrep.data import open_poses

    opened = open_poses(store)
    outcomes = []
    for check in opened.checks():
        outcomes.append(check)
        if not as_json:
            _print_check(check)
    failed = sum(check.status == "failed" for check in outcomes)
    warned = sum(check.status == "warning" for check in outcomes)
    if as_json:
        content = {"passed": not failed, "checks": [check.model_dump() for check in outcomes]}
        click.echo(json.dumps(content, indent=2))
    else:
        click.echo(f"{len(outcomes)} checks, {failed} failed, {warned} warnings")
    context.exit(1 if failed else 0)


def _print_check(check: Check) -> None:
    colour = {"passed": "green", "warning": "yellow", "failed": "red"}[check.status]
    remedy = f" ({check.remedy})" if check.remedy else ""
    place = Path(check.place).name
    click.echo(
        f"{click.style(f'{check.status:8}', fg=colour)}{place}: {check.name}: "
        f"{check.detail}{remedy}"
    )
