"""What `synrep train` and `synrep evaluate` print: a line for each report, tables of errors."""

from __future__ import annotations

import io
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from synrep.cli.data.common import progress_bar
from synrep.config import SCALES
from synrep.errors import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from synrep.config import TrainConfig
    from synrep.datasets.views import Views

COLUMNS = {
    "mpjpe_mm": "P1",
    "p_mpjpe_mm": "P2",
    "rigid_mpjpe_mm": "P2 rigid",
    "reflected_mpjpe_mm": "P2 refl.",
    "n_mpjpe_mm": "N-MPJPE",
    "z_mm": "-z",
    "only_z_mm": "only z",
    "pck": "3DPCK",
    "auc": "AUC",
}
"""Titles of the errors of a table."""


UNKNOWN_POSES = (
    "an earlier version began this training, whose checkpoint does not name its poses: whether "
    "these are the same is unknown"
)
"""What `synrep train --resume` says of such a training."""


@contextmanager
def reference_progress(*, shown: bool) -> Iterator[Callable[[int, int], None]]:
    """Tell on stderr that a reference is trained, and show how far it is on a terminal.

    Args:
        shown: whether references are wanted at all.
    """
    with progress_bar() as progress:
        task = progress.add_task("training", total=None)
        told = not shown

        def on_reference(done: int, total: int) -> None:
            nonlocal told
            if not told:
                click.echo(
                    f"training the supervised reference on the CPU: {total} iterations", err=True
                )
                told = True
            progress.update(task, completed=done, total=total)

        yield on_reference


def qualify(config: TrainConfig, views: Views, scored: str) -> str:
    """What the reports of a training are measured with: one line above them.

    Args:
        config: of the training.
        views: that are scored.
        scored: whose they are: 'validation', or 'training' where nobody is held out.
    """
    evaluation = config.evaluation
    return (
        f"mm; {SCALES[evaluation.scale]}; P2 after {evaluation.alignment} alignment; "
        f"{views.skeleton.name}; {len(views)} views of the {scored} subjects; seed {config.seed}"
    )


def report_line(iteration: int, metrics: Mapping[str, float], scored: str) -> str:
    """One line for a report of a training.

    Args:
        iteration: of the report.
        metrics: of the report.
        scored: whose errors they hold: 'validation', or 'training' where nobody is held out.
    """
    return (
        f"{iteration:>8} iterations  {scored} P1 {metrics[f'{scored}/mpjpe_mm']:6.1f} mm"
        f"  P2 {metrics[f'{scored}/p_mpjpe_mm']:6.1f} mm"
        f"  N-MPJPE {metrics[f'{scored}/n_mpjpe_mm']:6.1f} mm"
        f"  critic {metrics['train/critic_loss']:+.3f}"
        f"  L_angle {metrics['train/angle_loss']:.4f}"
    )


def evaluation_table(found: Mapping[str, Any]) -> str:
    """The model's errors by action, the averages of model and references, and what they depend on.

    Args:
        found: by `synrep.inference.evaluate.evaluate`.
    """
    table = Table()
    table.add_column("")
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    for action, row in found["model"]["errors"].items():
        if action == "mean of actions":
            table.add_section()
        table.add_row(printable(action), *(f"{row[name]:.1f}" for name in COLUMNS))
    table.add_section()
    for name, part in found.items():
        if name != "model" and isinstance(part, dict) and "errors" in part:
            row = part["errors"]["mean of frames"]
            table.add_row(f"{name}, mean of frames", *(f"{row[column]:.1f}" for column in COLUMNS))
    console = Console(file=(text := io.StringIO()), width=120, markup=False, emoji=False)
    console.print(table)
    return text.getvalue() + "".join(f"{line}\n" for line in _qualify(found))


def _qualify(found: Mapping[str, Any]) -> Iterator[str]:
    """Everything that a number of the table can't be compared without."""
    model = found["model"]
    trained, tested = (PurePath(found[name]).name for name in ("trained_on", "tested_on"))
    subjects = f"{model['views']} views of the {found['split']} subjects"
    yield f"{found['trainer']}, seed {found['seed']}, trained on {trained}"
    yield f"tested on {tested}: {subjects}"
    yield from _provenance(found)
    if count := model["damaged_views"]:
        yield f"{count} of these views are damaged (all joints in one point) and count like others"
    alignment = f"P2 after {model['alignment']} alignment"
    yield f"mm; {SCALES[model['scale']]}; {alignment}; {model['skeleton']}"
    yield "P2 rigid: without scale; P2 refl.: a similarity that may also mirror the prediction"
    yield f"the average that counts on these poses: {found['average']}"
    yield "3DPCK at 150 mm and AUC in percent, at that scale, over MPI-INF-3DHP's 14 joints"


def _provenance(found: Mapping[str, Any]) -> Iterator[str]:
    """Whether the scored subjects were new to the model."""
    if found["trained_poses"] is None:
        yield (
            "WARNING: an earlier version made this model, which does not say what it was trained "
            "on: whether it has seen these subjects is unknown"
        )
    for split, done in (("train", "trained"), ("validation", "selected")):
        if seen := found["seen_subjects"][split]:
            names = ", ".join(map(printable, seen))
            yield f"NOT HELD OUT: this model was {done} on {names}"
