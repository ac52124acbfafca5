"""`synrep reproduce`: the paper's tables and figures from your poses."""

# ruff: noqa: D301 - in click's help \b is the backspace character: keep these lines as they are

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synrep.errors import InputError
from synrep_search.reproduce.tables import MEASURES, OPTIONS, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from synrep.config import TrainConfig
    from synrep_search.paths import SearchPaths
    from synrep_search.reproduce.models import Models
    from synrep_search.reproduce.tables import Role, Row, Table

FIGURES = ("figure5", "figure6")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
STORE = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("what", type=click.Choice([*TABLES, *FIGURES]))
@click.option("--poses", type=STORE, help="Pose store with true 2D poses.")
@click.option("--detections", type=STORE, help="The same with a detector's 2D poses.")
@click.option("--mpi", type=STORE, help="Pose store of MPI-INF-3DHP.")
@click.option("--keypoints", type=FILE, help="2D poses for figure6, e.g. of MPII.")
@click.option("--out", type=FOLDER, required=True, help="Folder of the trainings and the table.")
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Trainings of each row, each with its own seed.",
)
@click.option(
    "-o",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a field of every training's configuration; repeatable.",
)
@click.option("--address", help="Ray cluster, e.g. auto; Ray is started here if omitted.")
@click.option("--local", is_flag=True, help="Without Ray: one training after another, here.")
@click.pass_context
def reproduce(
    context: click.Context,
    /,
    what: str,
    keypoints: Path | None,
    out: Path,
    seeds: int,
    options: tuple[str, ...],
    address: str | None,
    local: bool,
    **stores: Path | None,
) -> None:
    """Train what a table or figure of the paper needs, and write it beside the paper's numbers.

    Rows whose poses are not given are left out. The paper's numbers stand beside yours where the
    poses are those of the paper. Stop it as you like: run again, it goes on, and no training
    is done twice. `benchmark` is not in the paper: the model beside references and baselines.

    \b
    Examples:
      synrep reproduce table5 --poses poses/cmu --seeds 5 --out reproduced/ablation \\
          -o iterations=4000 -o generator.width=256 -o reprojection_network.width=256
      synrep reproduce table1 --poses poses/h36m --detections poses/h36m-sh --out reproduced/h36m
      synrep reproduce figure6 --poses poses/h36m --keypoints mpii.npz --out reproduced/h36m
    """
    from synrep.cli.options import read_config
    from synrep_search.reproduce.cells import search_content, train_cells

    config = read_config(None, options)  # all mistakes in the options at once
    settings = dict(_parsed(option) for option in options)
    given = {role: str(folder.absolute()) for role in OPTIONS if (folder := stores[role])}
    _check_keypoints(what, keypoints)
    chosen = TABLES.get(what, TABLES["table1"])
    rows = _possible(chosen, given, {"poses"} if what in FIGURES else set(OPTIONS))
    trained = {
        search: train_cells(
            context,
            search_content(chosen, search, given[search[0]], seeds, settings),
            out,
            address=address,
            local=local,
        )
        for search in dict.fromkeys(row.search for row in rows if row.trainer)
    }
    if what in TABLES:
        _write(chosen, rows, trained, given, config, out)
    else:
        _draw(what, trained["poses", "synrep"], given["poses"], keypoints, out)


def _check_keypoints(what: str, keypoints: Path | None) -> None:
    """Raise if figure 6 has none, or anything else has some."""
    if what == "figure6" and keypoints is None:
        raise InputError(what, "has no 2D poses", "give --keypoints")
    if what != "figure6" and keypoints is not None:
        raise InputError("--keypoints", f"{what} shows none", "leave it out, or make figure6")


def _draw(what: str, trained: SearchPaths, poses: str, keypoints: Path | None, out: Path) -> None:
    from synrep_search.reproduce.figures import figure5, figure6
    from synrep_search.reproduce.models import Models

    model = Models(trained).first()
    if what == "figure5":
        path = figure5(model, poses, out)
    else:
        assert keypoints is not None, "figure 6 is not begun without"
        path = figure6(model, keypoints, out)
    click.echo(f"written to {path}")


def _parsed(option: str) -> tuple[str, Any]:
    key, _, text = option.partition("=")
    try:
        return key, json.loads(text)
    except ValueError:
        return key, text


def _possible(table: Table, given: Mapping[Role, str], roles: set[Role]) -> list[Row]:
    """The rows for which the poses are there, on stores of some roles."""
    wanted = [row for row in table.rows if row.roles <= roles]
    rows = [row for row in wanted if row.roles <= set(given)]
    if not rows:
        names = sorted({OPTIONS[role] for row in wanted for role in row.roles})
        raise InputError(table.name, "no row has its poses", f"give {' or '.join(names)}")
    return rows


def _write(
    table: Table,
    rows: list[Row],
    trained: Mapping[tuple[Role, str], SearchPaths],
    given: Mapping[Role, str],
    config: TrainConfig,
    out: Path,
) -> None:
    from synrep.datasets import open_poses
    from synrep.storage import Storage
    from synrep_search.reproduce import render
    from synrep_search.reproduce.models import Models, untrained
    from synrep_search.reproduce.scores import score_row

    models = {search: Models(paths) for search, paths in trained.items()}
    scored = []
    for row in rows:
        data = config.data.model_copy(update={"poses": given[row.trained]})
        found = (
            models[row.search].of(row.settings)
            if row.trainer
            else [untrained(row, data, config.evaluation)]
        )
        if found:
            scored.append(score_row(row, found, given[row.tested or row.trained]))
    names: dict[Role, str] = {role: open_poses(poses).header.name for role, poses in given.items()}
    short = render.summary(scored, names, list(_notes(table, rows, models, names, config)))
    whole = [f"# {table.title}", "", *short, *render.by_action(scored, names)]
    for suffix, content in (
        (".md", "\n".join(whole) + "\n"),
        (".csv", render.as_csv(scored, names)),
    ):
        Storage.at(out).write(f"{table.name}{suffix}", content.encode())
    click.echo("\n".join(short))
    click.echo(f"written to {out / table.name}.md and .csv")


def _result(models: Mapping[tuple[Role, str], Models]) -> str:
    """Which generator of a training is measured."""
    held_out = {part.held_out for part in models.values()}
    chosen = "each generator is the one that was best on validation subjects"
    last = "each generator is the last of its training, on poses without validation subjects"
    return "; ".join([chosen] * (True in held_out) + [last] * (False in held_out))


def _notes(
    table: Table,
    rows: list[Row],
    models: Mapping[tuple[Role, str], Models],
    names: Mapping[Role, str],
    config: TrainConfig,
) -> Iterator[str]:
    """What the numbers depend on, and what was left out."""
    from synrep.config import SCALES

    evaluation = config.evaluation
    yield (
        f"test subjects of {', '.join(sorted(set(names.values())))}; {SCALES[evaluation.scale]}; "
        f"P2 after {evaluation.alignment} alignment; human36m-{config.data.joints}"
    )
    yield (
        f"{config.iterations} iterations, width {config.generator.width}, batch "
        f"{config.batch_size}; {_result(models)}"
    )
    yield (
        "mean ± standard error over seeds, which are drawn from the search's seed 0; averages are "
        "plain means over the actions"
    )
    for (role, trainer), part in models.items():
        if part.diverged:
            what = f"{part.diverged} trainings by {trainer} on {names[role]}"
            yield f"{what} diverged; their seeds are left out"
    left_out: dict[str, list[str]] = {}
    for row in table.rows:
        if row not in rows:
            lacking = " and ".join(sorted(OPTIONS[role] for role in row.roles - set(names)))
            left_out.setdefault(lacking, []).append(f"{row.label} ({MEASURES[row.measure]})")
    for lacking, labels in left_out.items():
        yield f"left out without {lacking}: {'; '.join(labels)}"
