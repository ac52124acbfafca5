"""`synrep data info` and `synrep data verify`: describe and verify a pose store."""

# ruff: noqa: D301 - in click's help \b is the backspace character: keep these lines as they are

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synrep.errors import printable

if TYPE_CHECKING:
    from synrep.datasets.store.checks import Check
    from synrep.datasets.store.store import Poses, PoseStore


@click.command()
@click.argument("store")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(store: str, as_json: bool) -> None:
    """Describe STORE, which is a folder or `synthetic`.

    \b
    Examples:
      synrep data info poses/cmu
      synrep data info synthetic --json
    """
    from synrep.datasets import open_poses

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
        "notes": list(header.notes),
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
        if key not in {"splits", "notes"} and value != "":
            click.echo(printable(f"{key:16}{value}"))
    for note in content["notes"]:
        click.echo(printable(f"{'note':16}{note}"))
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


@click.command()
@click.argument("store")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def verify(context: click.Context, store: str, as_json: bool) -> None:
    """Check all of STORE; exit code 1 if a check fails.

    \b
    Checks checksums, columns, missing joints, and that no two splits share a
    subject; for all poses, for each subject or for each clip: units, axes and
    their signs, bone lengths, left and right, L_angle of the true poses, and
    their reprojection; and the published counts of Human3.6M and MPI-INF-3DHP.
    \b
    Example:
      synrep data verify poses/cmu
    """
    from synrep.datasets import open_poses

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
    found = printable(f"{place}: {check.name}: {check.detail}{remedy}")
    click.echo(click.style(f"{check.status:8}", fg=colour) + found)
