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
from synrep.errors import InputError, SynrepError, faults

if TYPE_CHECKING:
    from synrep.config import TrainConfig

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
ANY = click.Path(exists=True, path_type=Path)


class Commands(click.Group):
    """Prints errors that a user can mend as one message, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command; exit with 2 on a mistake of the user's."""
        try:
            return super().invoke(ctx)
        except SynrepError as error:
            message = str(error)
        except OSError as error:
            if error.filename is None:  # nothing that a user named
                raise
            message = f"{error.filename}: {error.strerror}"
        click.echo(f"Error: {message}", err=True)
        sys.exit(2)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="synrep")
def main() -> None:
    """A synchronized reprojection-based model for 3D human pose estimation."""


main.add_command(data)


def configure(file: Path | None, options: tuple[str, ...]) -> TrainConfig:
    """A configuration from a JSON file and `dotted.key=value` options; defaults elsewhere.

    A value is JSON, or a plain word.

    Raises:
        InputError: the file or an option breaks a rule; names every field that does.
    """
    from pydantic import ValidationError

    from synrep.config import TrainConfig, set_dotted

    content = {} if file is None else read_object(file)
    for option in options:
        key, equals, text = option.partition("=")
        if not equals:
            raise InputError(f"-o {option}", "has no '='", "write -o dotted.key=value")
        set_dotted(content, key, _value(text))
    try:
        return TrainConfig.model_validate_json(json.dumps(content))
    except ValidationError as error:
        place = " with ".join([str(file)] * bool(file) + ["-o"] * bool(options))
        remedy = "docs/model.md lists the fields"
        raise InputError(place, faults(error, TrainConfig), remedy) from None


def read_object(file: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        InputError: it holds something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(str(file), f"not JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(str(file), "no JSON object", 'write {"name": value, ...}')
    return content


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


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
    from synrep.show import qualify, report_line

    folder = RunFolder(out)
    if resume:
        if config or options:
            raise click.UsageError("--resume goes on with the folder's own configuration")
        training = folder.resume(device=device, threads=threads)
    else:
        training = folder.create(configure(config, options), device=device, threads=threads)
    click.echo(qualify(training.config, training.validation, "validation"))
    folder.train(training, lambda at, metrics: click.echo(report_line(at, metrics)))
    best = training.best
    click.echo(f"best: P1 {best.value:.1f} mm on validation subjects at iteration {best.iteration}")
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
@click.option(
    "--skeleton",
    help="Joints of the keypoints, if the file does not name them: human36m-17, human36m-16, "
    "mpii-16, coco-17 or openpose-25.",
)
@click.option(
    "--scale",
    default="bone_length",
    show_default=True,
    type=click.Choice(["bone_length", "constant", "radii"]),
    help="How the poses get their size: all bones add up to the training poses' mean, every "
    "radius is that mean, or none.",
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

    numbers = read_object(metrics) if metrics else None
    click.echo(f"exported to {export_generator(model_path(model), folder, numbers)}")


def model_path(model: Path) -> Path:
    """The checkpoint or export that a user means: a training's folder stands for its newest."""
    from synrep.run_folder import CHECKPOINTS, RunFolder

    return RunFolder(model).newest() if (model / CHECKPOINTS).is_dir() else model


if __name__ == "__main__":
    main()
