"""`synrep`: train, evaluate and use one model; prepare poses."""

# ruff: noqa: D301 - in click's help \b is the backspace character: keep these lines as they are

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synrep import __version__
from synrep.data.cli import data
from synrep.errors import SynrepError

if TYPE_CHECKING:
    from synrep.config import TrainConfig

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
ANY = click.Path(exists=True, path_type=Path)


class Commands(click.Group):
    """Prints the project's own errors as one message, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command; exit with 2 on a mistake of the user's."""
        try:
            return super().invoke(ctx)
        except SynrepError as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(2)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="synrep")
def main() -> None:
    """A synchronized reprojection-based model for 3D human pose estimation."""


main.add_command(data)


def configure(file: Path | None, options: tuple[str, ...]) -> TrainConfig:
    """A configuration from a JSON file and `dotted.key=value` options.

    Raises:
        InputError: the file or an option breaks a rule.
    """
    from synrep.config import read_config

    return read_config(file, options)


@main.command()
@click.option("--out", type=FOLDER, required=True, help="Folder of the training.")
@click.option("--config", type=FILE, help="JSON configuration; the paper's settings if omitted.")
@click.option("-o", "options", multiple=True, metavar="KEY=VALUE", help="Set a field; repeatable.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --out.")
@click.option("--device", default="cpu", show_default=True, help="Where to train: cpu, cuda.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads; all if omitted.")
def train(
    out: Path,
    config: Path | None,
    options: tuple[str, ...],
    resume: bool,
    device: str,
    threads: int | None,
) -> None:
    """Train one model.

    \b
    Examples:
      synrep train --out runs/first -o iterations=2000 -o generator.width=256
      synrep train --out runs/cmu -o data.poses=poses/cmu -o loss.lambda_angle=0.3 -o seed=1
      synrep train --out runs/cmu --resume
    """
    from synrep.run_folder import RunFolder
    from synrep.show import report_line

    folder = RunFolder(out)
    if resume:
        if config or options:
            raise click.UsageError("--resume goes on with the folder's own configuration")
        training = folder.resume(device=device, threads=threads)
    else:
        training = folder.create(configure(config, options), device=device, threads=threads)
    folder.train(training, lambda at, metrics: click.echo(report_line(at, metrics)))
    best = training.best
    click.echo(f"best: {best.value:.1f} mm on validation subjects at iteration {best.iteration}")
    click.echo(f"test it: synrep evaluate {out}")


@main.command()
@click.argument("model", type=ANY)
@click.option(
    "--split", default="test", show_default=True, type=click.Choice(["test", "validation"])
)
@click.option("--poses", help="Another pose store than the one the model was trained on.")
@click.option("--references", is_flag=True, help="Also: mean depth, perfect depth, supervised.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def evaluate(model: Path, split: str, poses: str | None, references: bool, as_json: bool) -> None:
    """Score a model on subjects it was not trained on.

    MODEL is a folder of `synrep train`, an exported generator, or a checkpoint file.

    \b
    Examples:
      synrep evaluate runs/first
      synrep evaluate runs/first --references
      synrep evaluate searches/first/best --split validation --json
    """
    from synrep.show import evaluation_table
    from synrep.trained_evaluation import evaluate_model

    found = evaluate_model(model_path(model), split, poses=poses, references=references)
    click.echo(json.dumps(found, indent=2) if as_json else evaluation_table(found), nl=as_json)


@main.command()
@click.argument("model", type=ANY)
@click.argument("keypoints", type=ANY)
@click.option("--out", type=click.Path(path_type=Path), required=True, help=".npz, .json or .png")
@click.option("--skeleton", help="Joints of the keypoints, if the file does not name them.")
@click.option(
    "--scale",
    default="bone_length",
    show_default=True,
    type=click.Choice(["bone_length", "constant", "radii"]),
    help="How the poses get their size.",
)
@click.option("--height-mm", type=click.FloatRange(500, 2500), help="The person's height.")
def lift(
    model: Path, keypoints: Path, out: Path, skeleton: str | None, scale: Any, height_mm: float
) -> None:
    """Lift 2D keypoints to 3D poses.

    \b
    Examples:
      synrep lift runs/first keypoints.json --skeleton coco-17 --out poses.npz
      synrep lift exports/best keypoints.npz --skeleton human36m-17 --out poses.png
    """
    from synrep.lift import lift_file

    lifted = lift_file(
        model_path(model), keypoints, out, skeleton=skeleton, scale=scale, height_mm=height_mm
    )
    click.echo(f"{len(lifted.poses)} poses in {out}: {lifted.units}, {lifted.scale}")


@main.command()
@click.argument("model", type=ANY)
@click.option("--to", "folder", type=FOLDER, required=True, help="New folder.")
@click.option("--metrics", type=FILE, help="JSON of further numbers to keep with the generator.")
def export(model: Path, folder: Path, metrics: Path | None) -> None:
    """Export the best generator of a training: safetensors, ONNX, JSON, README.

    \b
    Examples:
      synrep export runs/first --to exports/first
    """
    from synrep.export import export_generator

    numbers = json.loads(metrics.read_text(encoding="utf-8")) if metrics else None
    click.echo(f"exported to {export_generator(model_path(model), folder, numbers)}")


def model_path(model: Path) -> Path:
    """The checkpoint or export that a user means: a training's folder stands for its newest."""
    from synrep.run_folder import CHECKPOINTS, RunFolder

    return RunFolder(model).newest() if (model / CHECKPOINTS).is_dir() else model


if __name__ == "__main__":
    main()
