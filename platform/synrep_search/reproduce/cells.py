"""The search that trains a table's cells: its file, its launch, and going on with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from synrep.datasets import open_poses
from synrep.errors import InputError
from synrep_search.cli.run import launch, resume
from synrep_search.launching import open_ledger
from synrep_search.paths import SearchPaths, home_dir, names
from synrep_search.search_file.fields import leaves
from synrep_search.trainers import trainer_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import click

    from synrep_search.reproduce.tables import Role, Table

BASELINE_NAMES = {"generator.width": "width"}
"""Settings of the model that RepNet and Kudo have by another name."""


def search_content(
    table: Table, search: tuple[Role, str], poses: str, seeds: int, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """A search file whose trials are the cells of a table that one trainer trains on one store.

    Args:
        table: of the paper.
        search: role of the store, and name of the trainer.
        poses: folder of the store.
        seeds: trainings of each cell.
        settings: of all trainings, by dotted name; a baseline takes those that it has.
    """
    role, trainer = search
    scored = "validation" if "validation" in open_poses(poses).splits else "training"
    known = leaves(trainer_named(trainer).config_model())
    cells = table.cells(role, trainer)
    columns = {name: [cell[name] for cell in cells] for name in cells[0]}
    varied = [name for name, values in columns.items() if values != values[:1] * len(cells)]
    fixed = {name: values[0] for name, values in columns.items() if name not in varied}
    settings = {**{BASELINE_NAMES.get(k, k): v for k, v in settings.items()}, **settings, **fixed}
    settings = {name: value for name, value in settings.items() if name in known}
    data = {k.removeprefix("data."): v for k, v in settings.items() if k.startswith("data.")}
    return {
        "name": "-".join([table.trainings, role, *([trainer] if trainer != "synrep" else [])]),
        "trainer": trainer,
        "data": {"poses": poses, **data},
        "train": {k: v for k, v in settings.items() if not k.startswith("data.")},
        "space": {name: _distribution(columns[name]) for name in varied},
        "search": {
            "minimize": f"{scored}/mpjpe_mm",
            "trials": len(cells) * seeds,
            "sampler": {"random": {}},
        },
        # Seeds of one cell beside each other: they can share a program where other cells can't.
        "start_from": [{k: cell[k] for k in varied} for cell in cells for _ in range(seeds)],
        "tracking": {"keep_best": 0},
    }


def _distribution(values: Sequence[Any]) -> dict[str, Any]:
    if isinstance(values[0], dict):
        return {"one_of": {value["family"]: {} for value in values}}
    return {"choice": list(dict.fromkeys(values))}


def train_cells(
    context: click.Context, content: dict[str, Any], out: Path, *, address: str | None, local: bool
) -> SearchPaths:
    """Train what is not trained yet; the paths of the search.

    Args:
        context: of the command, whose `launch` or `resume` this calls.
        content: of the search file.
        out: folder of the table; the search lives in it.
        address: Ray cluster.
        local: without Ray.

    Raises:
        InputError: the folder holds the same search with other settings.
    """
    file = out / f"{content['name']}.yaml"
    text = json.dumps(content, indent=2) + "\n"  # JSON is YAML
    if file.exists() and file.read_text(encoding="utf-8") != text:
        raise InputError(
            str(file), "was made with other options", "give them again, or another --out"
        )
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    options: dict[str, Any] = {"home": out, "address": address, "local": local}
    if content["name"] in names(out.absolute()):
        if not _finished(content["name"], out):
            context.invoke(resume, name=content["name"], **options)
    else:
        context.invoke(launch, file=file, yes=True, **options)
    return SearchPaths(home_dir(out), content["name"])


def _finished(name: str, out: Path) -> bool:
    return open_ledger(SearchPaths(home_dir(out), name)).target_met
