"""`synrep`: train, evaluate and use one model; prepare poses."""

# ruff: noqa: D301 - in click's help \b is the backspace character: keep these lines as they are

from __future__ import annotations

import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

import synrep
from synrep.cli.commands import Commands
from synrep.cli.data import data
from synrep.cli.listing import keypoint_formats, keypoint_sets
from synrep.cli.options import read_config, read_object
from synrep.cli.reading import LiftCommand, warnings_as_lines

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
ANY = click.Path(exists=True, path_type=Path)
SPLITS = ["train", "validation", "test"]


PLUGINS = "synrep.commands"
"""Entry points under which other packages add commands: this one knows nothing of searches."""


class Extensible(Commands):
    """Has the commands of other packages beside our own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of our own commands and of those that others add."""
        return sorted({*super().list_commands(ctx), *entry_points(group=PLUGINS).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command; that of another package is loaded now."""
        for added in entry_points(group=PLUGINS, name=cmd_name):
            command: click.Command = added.load()
            return command
        return super().get_command(ctx, cmd_name)


@click.group(cls=Extensible, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(synrep.__version__, prog_name="synrep")
def main() -> None:
    """A synchronized reprojection-based model for 3D human pose estimation.

    \b
    Examples:
      synrep train --out runs/first -o iterations=2000 -o generator.width=256
      synrep evaluate runs/first --references
    """


main.add_command(data)


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

    With --resume, `-o iterations=N` makes a training longer: reports, and the decay of learning
    rates if there is one, then follow the new length.

    Exit code: 0 if it went to its end, 1 if it diverged, 2 if what was given is wrong.

    \b
    Examples:
      synrep train --out runs/first -o iterations=2000 -o generator.width=256
      synrep train --out runs/cmu -o data.poses=poses/cmu -o loss.lambda_angle=0.3 -o seed=1
      synrep train --out runs/cmu --resume
      synrep train --out runs/cmu --resume -o iterations=200000
    """
    from synrep.cli.printing import UNKNOWN_POSES, qualify, report_line
    from synrep.training.run_folder import RunFolder

    folder = RunFolder(out)
    if resume:
        longer = _new_length(config, options)
        training = folder.resume(device=device, threads=threads, iterations=longer)
    else:
        training = folder.create(read_config(config, options), device=device, threads=threads)
    scored = training.training_data.scored
    if training.origin is None:
        click.echo(UNKNOWN_POSES, err=True)
    click.echo(qualify(training.config, training.validation, scored))
    folder.train(training, lambda at, metrics: click.echo(report_line(at, metrics, scored)))
    best = training.best
    click.echo(
        f"best: P1 {best.value:.1f} mm on validation subjects at iteration {best.iteration}"
        if training.training_data.held_out
        else "no validation subjects, so nothing was chosen: the last generator is the result"
    )
    click.echo(f"test it: synrep evaluate {out}")


def _new_length(config: Path | None, options: tuple[str, ...]) -> int | None:
    """The iterations that are given with --resume, which takes nothing else."""
    if config or any(option.partition("=")[0] != "iterations" for option in options):
        rule = "--resume goes on with the folder's own configuration; only -o iterations=N fits"
        raise click.UsageError(rule)
    return read_config(None, options).iterations if options else None


@main.command()
@click.argument("model", type=ANY)
@click.option(
    "--split",
    default="test",
    show_default=True,
    type=click.Choice(["test", "validation"]),
    help="Whose subjects score the model.",
)
@click.option("--poses", help="Another pose store than the one the model was trained on.")
@click.option(
    "--references",
    is_flag=True,
    help="Also: mean depth, perfect depth, and supervised, which is trained on the CPU for as many "
    "iterations as the model was.",
)
@click.option(
    "--allow-seen",
    is_flag=True,
    help="Score also subjects that the model has seen.",
)
@click.option("--stride", type=click.IntRange(1), help="Score every n-th frame only.")
@click.option("--views", type=click.IntRange(1), help="Score at most so many views, evenly spaced.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def evaluate(model: Path, split: str, as_json: bool, **options: Any) -> None:
    """Score a model on subjects it was not trained on.

    Subjects that the model has seen are refused, also in another store of the same people.

    MODEL is a folder of `synrep train`, an exported generator, or a checkpoint file, also of a
    baseline that a search has trained.

    \b
    Examples:
      synrep evaluate runs/first
      synrep evaluate runs/first --references
      synrep evaluate runs/first --poses poses/cmu
      synrep evaluate searches/first/best --split validation --json
    """
    from synrep.cli.printing import evaluation_table, reference_progress

    with reference_progress(shown=options["references"]) as on_reference:
        found = synrep.evaluate(model, split, on_reference=on_reference, **options)
    click.echo(json.dumps(found, indent=2) if as_json else evaluation_table(found), nl=as_json)


@main.command(
    cls=LiftCommand,
    lists={"Formats of KEYPOINTS": keypoint_formats, "Joints for --skeleton": keypoint_sets},
)
@click.argument("model", type=ANY)
@click.argument("keypoints", type=ANY)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help=".npz, .json, .csv or .png"
)
@click.option(
    "--skeleton",
    help="Joints of the keypoints, if KEYPOINTS does not name them: one of those below.",
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
@click.option("--skip-missing", is_flag=True, help="Leave out frames that lack a needed joint.")
@click.option(
    "--person",
    metavar="N",
    help="Whom to lift, where there are several: a track id, or else the position in the first "
    "frame with so many, from 0.",
)
@click.option(
    "--image-size",
    type=(click.FloatRange(1), click.FloatRange(1)),
    metavar="W H",
    help="Size of the images in pixels, for coordinates from 0 to 1 or -1 to 1; also WxH.",
)
@click.option(
    "--min-confidence",
    type=click.FloatRange(0),
    default=0.0,
    metavar="C",
    help="Joints whose confidence is below C are missing. By default, only 0 is.",
)
def lift(model: Path, keypoints: Path, out: Path, skip_missing: bool, **how: Any) -> None:
    """Lift 2D keypoints of one person to 3D poses.

    KEYPOINTS is a file or folder in one of the formats below. Joints at (0, 0) are missing.

    \b
    Examples:
      synrep lift runs/first keypoints.json --skeleton coco --out poses.npz
      synrep lift exports/best openpose_folder --skip-missing --out poses.csv
      synrep lift exports/best keypoints.csv --skeleton mpii --out poses.png
      synrep lift exports/best yolo_labels --image-size 1920 1080 --person 3 --out poses.npz
    """
    from synrep.inference.lift_file import lift_file

    how["skip_missing_joints"] = skip_missing
    with warnings_as_lines():
        lifted = lift_file(model, keypoints, out, **how)
    for frame, joints in lifted.left_out.items():
        click.echo(f"left out frame {frame}: no {', '.join(joints)}", err=True)
    if lifted.estimated:
        names = ", ".join(lifted.estimated)
        click.echo(f"estimated joints, which the keypoints lack: {names}", err=True)
    click.echo(f"{len(lifted.poses)} poses in {out}: {lifted.units}, {lifted.scale}")


@main.command()
@click.argument("model", type=ANY)
@click.option("--to", "folder", type=FOLDER, required=True, help="New folder.")
@click.option("--metrics", type=FILE, help="JSON of further numbers to keep with the generator.")
def export(model: Path, folder: Path, metrics: Path | None) -> None:
    """Export the best generator of a training: safetensors, ONNX, TorchScript, JSON, README.

    \b
    Examples:
      synrep export runs/first --to exports/first
    """
    numbers = read_object(metrics) if metrics else None
    click.echo(f"exported to {synrep.export(model, folder, numbers)}")


@main.command()
@click.argument("source", type=ANY)
@click.option("--out", type=click.Path(path_type=Path), required=True, help=".png, .gif or .html")
@click.option(
    "--split",
    default="test",
    show_default=True,
    type=click.Choice(SPLITS),
    help="Whose subjects are drawn.",
)
@click.option("--poses", help="Another pose store than the one the model was trained on.")
@click.option("--action", help="What is done; any if omitted.")
@click.option("--subject", help="Who does it; anybody if omitted.")
@click.option(
    "--camera", type=click.IntRange(0), default=0, show_default=True, help="Number of the camera."
)
@click.option("--start", type=click.IntRange(0), default=0, show_default=True, help="First frame.")
@click.option(
    "--frames", type=click.IntRange(1), default=100, show_default=True, help="Draw at most so many."
)
@click.option(
    "--fps", type=click.FloatRange(1, 100), help="Frames a second; those of the poses if omitted."
)
@click.pass_context
def draw(
    context: click.Context,
    /,
    source: Path,
    out: Path,
    start: int,
    frames: int,
    fps: float | None,
    **choice: Any,
) -> None:
    """Draw 2D input and 3D poses: a PNG of four frames, or all as GIF or HTML.

    SOURCE is an npz file of `synrep lift`, or a model: a folder of `synrep train`, an export, a
    checkpoint. A model is shown on a clip of its poses, beside the truth; options that choose the
    clip are for a model alone.

    \b
    Examples:
      synrep draw poses.npz --out poses.png
      synrep draw runs/first --action walking --out clip.gif
      synrep draw runs/first --split validation --camera 2 --start 50 --out clip.html
    """
    from synrep.inference import scenes as drawing

    drawing.check_format(out)
    if source.suffix == ".npz":
        sources = {f"--{name}": context.get_parameter_source(name) for name in choice}
        given = [name for name, by in sources.items() if by is not ParameterSource.DEFAULT]
        if given:
            raise click.UsageError(
                f"{', '.join(given)}: for models alone, {source} is lifted poses"
            )
        scene = drawing.lifted_scene(source)
    else:
        scene = drawing.model_scene(source, drawing.Choice(**choice))
    scene = drawing.cut(scene, start, frames, fps)
    drawing.draw_scene(scene, out)
    click.echo(f"{out}: {len(scene.frames)} frames; {scene.note}")


if __name__ == "__main__":
    main()
