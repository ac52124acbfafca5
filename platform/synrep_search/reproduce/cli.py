"""The command `synrep reproduce`: tables and figures of the paper, computed on given poses."""

# ruff: noqa: D301 - in click's help texts \b is the backspace character: don't rewrap the lines

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
@click.option("--poses", type=STORE, help="Pose store with ground-truth 2D poses.")
@click.option("--detections", type=STORE, help="The same pose store with detected 2D poses.")
@click.option("--mpi", type=STORE, help="Pose store of MPI-INF-3DHP.")
@click.option("--keypoints", type=FILE, help="2D poses for figure6, e.g. from MPII.")
@click.option("--out", type=FOLDER, required=True, help="Output folder for searches and tables.")
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Number of training runs (seeds) per row.",
)
@click.option(
    "-o",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a configuration field of all training runs; repeatable.",
)
@click.option(
    "--address", help="Address of a Ray cluster, e.g. auto. Default: start Ray on this machine."
)
@click.option(
    "--local", is_flag=True, help="Run without Ray: one training run after another in this process."
)
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
    """Train the models that a table or figure of the paper needs, and evaluate them.

    Rows whose pose stores are not given are omitted. The table shows the paper's values if the
    poses are of the same data set as the paper's. The command can be interrupted and run again:
    it resumes, and no training run is repeated. `benchmark` is a table that is not in the paper;
    it compares the model with reference predictors and baselines.

    \b
    Examples:
      synrep reproduce table5 --poses poses/cmu --seeds 5 --out reproduced/ablation \\
          -o iterations=4000 -o generator.width=256 -o reprojection_network.width=256
      synrep reproduce table1 --poses poses/h36m --detections poses/h36m-sh --out reproduced/h36m
      synrep reproduce figure6 --poses poses/h36m --keypoints mpii.npz --out reproduced/h36m
    """
    from synrep.cli.options import read_config
    from synrep_search.reproduce.cells import search_content, train_cells

    # Reports all mistakes in the options at once, but for fields that the table may give an effect.
    config = read_config(None, options, complete=False)
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
    """Raise InputError if `--keypoints` is missing for figure 6, or given for anything else."""
    if what == "figure6" and keypoints is None:
        raise InputError(what, "needs 2D poses", "give --keypoints")
    if what != "figure6" and keypoints is not None:
        raise InputError("--keypoints", f"not used by {what}", "omit it, or reproduce figure6")


def _draw(what: str, trained: SearchPaths, poses: str, keypoints: Path | None, out: Path) -> None:
    from synrep_search.reproduce.figures import figure5, figure6
    from synrep_search.reproduce.models import Models

    model = Models(trained).first()
    if what == "figure5":
        path = figure5(model, poses, out)
    else:
        assert keypoints is not None, "checked by _check_keypoints"
        path = figure6(model, keypoints, out)
    click.echo(f"written to {path}")


def _parsed(option: str) -> tuple[str, Any]:
    key, _, text = option.partition("=")
    try:
        return key, json.loads(text)
    except ValueError:
        return key, text


def _possible(table: Table, given: Mapping[Role, str], roles: set[Role]) -> list[Row]:
    """Return the rows that can be computed from the given pose stores.

    Args:
        table: the table.
        given: pose stores by role.
        roles: roles that the rows may use.

    Raises:
        InputError: no row can be computed.
    """
    allowed = [row for row in table.rows if row.roles <= roles]
    rows = [row for row in allowed if row.roles <= set(given)]
    if not rows:
        names = sorted({OPTIONS[role] for row in allowed for role in row.roles})
        raise InputError(
            table.name, "no row can be computed from the given poses", f"give {' or '.join(names)}"
        )
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
        row_models = (
            models[row.search].of(row.settings)
            if row.trainer
            else [untrained(row, data, config.evaluation)]
        )
        if row_models:
            scored.append(score_row(row, row_models, given[row.tested or row.trained]))
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
    """Describe which generator of a training run is evaluated."""
    held_out = {part.held_out for part in models.values()}
    best = "each generator is the best of its training run on the validation subjects"
    last = "each generator is the last of its training run, as there are no validation subjects"
    return "; ".join([best] * (True in held_out) + [last] * (False in held_out))


def _notes(
    table: Table,
    rows: list[Row],
    models: Mapping[tuple[Role, str], Models],
    names: Mapping[Role, str],
    config: TrainConfig,
) -> Iterator[str]:
    """Yield the notes below a table: settings, diverged training runs and omitted rows."""
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
        "mean ± standard error over seeds, which are derived from the search's seed 0; a row "
        "averages over actions, unweighted, or over all frames, as the official score of "
        "MPI-INF-3DHP does; only rows under the same conditions are compared"
    )
    for (role, trainer), part in models.items():
        if part.diverged:
            runs = f"{part.diverged} training runs of {trainer} on {names[role]}"
            yield f"{runs} diverged; their seeds are omitted"
    omitted: dict[str, list[str]] = {}
    for row in table.rows:
        if row not in rows:
            missing = " and ".join(sorted(OPTIONS[role] for role in row.roles - set(names)))
            omitted.setdefault(missing, []).append(f"{row.label} ({MEASURES[row.measure]})")
    for missing, labels in omitted.items():
        yield f"omitted without {missing}: {'; '.join(labels)}"
