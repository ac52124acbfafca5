"""`synrep data prepare`: create pose stores from built-in motion and from motion capture."""

# ruff: noqa: D301 - in click's help \b is the backspace character: keep these lines as they are

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synrep.cli.data.common import print_notes, print_summary, progress_bar, split_names
from synrep.cli.listing import ListingCommand, joint_maps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from synrep.datasets.store.header import Split
    from synrep.datasets.store.poses import Poses


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
    """Generate synthetic motion of articulated bodies; equal for equal options.

    \b
    Example:
      synrep data prepare synthetic --out poses/synthetic --seed 1
    """
    from synrep.datasets.store.store import write_store
    from synrep.datasets.synthetic.generate import description, generate

    print_summary(write_store(out, description(), generate(seed, clip_s)))


MOCAP_OPTIONS = (
    click.option("--out", required=True, help="Folder of the new store."),
    click.option(
        "--joint-map",
        default="auto",
        show_default=True,
        help="Which joints make which of Human3.6M's: one of those below, a .json file of your "
        "own, or auto, which detects it from the skeleton.",
    ),
    click.option(
        "--unit",
        type=click.Choice(["auto", "mm", "cm", "m", "inch", "cmu"]),
        default="auto",
        show_default=True,
        help="Unit of length in the files; cmu is 1/0.45 inch.",
    ),
    click.option(
        "--up",
        type=click.Choice(["auto", "+x", "-x", "+y", "-y", "+z", "-z"]),
        default="auto",
        show_default=True,
        help="Axis that points up in the files.",
    ),
    click.option(
        "--fps",
        type=click.FloatRange(min=0, min_open=True),
        default=25.0,
        show_default=True,
        help="Target frame rate; every n-th frame is kept, with n chosen to come nearest.",
    ),
    click.option(
        "--path",
        default="",
        help="Regular expression of a file's path below ROOT, without suffix, with the "
        "groups (?P<subject>...) and (?P<action>...). Default: that of the joint map.",
    ),
    click.option(
        "--first-frame",
        type=click.Choice(["auto", "keep", "drop"]),
        default="auto",
        show_default=True,
        help="Keep or drop the first frame of each file; auto drops the T-pose that CMU's BVH "
        "files have before the motion.",
    ),
    click.option(
        "--skip-bad",
        is_flag=True,
        help="Leave out files that can't be read, and list them at the end.",
    ),
    click.option(
        "--train", help="Subjects to train on, comma-separated. Default: drawn with --seed."
    ),
    click.option("--validation", help="Subjects to validate on."),
    click.option("--test", help="Subjects to test on."),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Seed of a random split.",
    ),
    click.option("--name", help="Name in the header. Default: that of the folder."),
    click.option(
        "--licence",
        default="not stated",
        show_default=True,
        help="Terms of use, for the header.",
    ),
)
"""Options of all commands that read motion capture."""

MOCAP_LISTS = {"Names for --joint-map": joint_maps}
"""What the help of these commands lists."""


def mocap_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options in `MOCAP_OPTIONS` to a command."""
    for option in reversed(MOCAP_OPTIONS):
        command = option(command)
    return command


@click.command(cls=ListingCommand, lists=MOCAP_LISTS)
@click.option(
    "--root", required=True, help="Folder with .bvh files; subfolders count, also below links."
)
@mocap_options
def bvh(*, root: str, **given: Any) -> None:
    """Make a pose store from motion capture in BVH files.

    Files of the data sets below are detected by their joints; subject and action are read from
    their paths. Where paths name no actor, the style is the subject.

    \b
    Examples:
      synrep data prepare bvh --root mocap/cmu --out poses/cmu
      synrep data prepare bvh --root 100STYLE --joint-map 100style --out poses/100style
      synrep data prepare bvh --root lafan1 --out poses/lafan1 --unit cm \\
          --train subject1,subject2,subject3 --validation subject4 --test subject5
    """
    from synrep.datasets.mocap.bvh import BvhOptions, read_bvh_folder

    reading = {name: given.pop(name) for name in READING}
    options = BvhOptions.checked(**reading)
    _convert(lambda on_file: read_bvh_folder(root, options, on_file), **given)


@click.command("asf-amc", cls=ListingCommand, lists=MOCAP_LISTS)
@click.option(
    "--root",
    required=True,
    help="Folder with .asf and .amc files; subfolders count, also below links.",
)
@click.option(
    "--recorded-fps",
    type=click.FloatRange(min=0, min_open=True),
    default=120.0,
    show_default=True,
    help="Frame rate of the recordings, which the files don't state.",
)
@mocap_options
def asf_amc(*, root: str, recorded_fps: float, **given: Any) -> None:
    """Make a pose store from motion capture in ASF and AMC files, CMU's native format.

    \b
    Each motion 01_02.amc needs its skeleton 01.asf in the same folder, whose
    name '01' becomes the subject; HDM05's HDM_mm_x_019_120.amc needs HDM_mm.asf.

    \b
    Examples:
      synrep data prepare asf-amc --root cmu/subjects --out poses/cmu
      synrep data prepare asf-amc --root cmu/subjects --out poses/cmu --unit cmu --up +y
    """
    from synrep.datasets.mocap.asf_amc import AsfAmcOptions, read_asf_amc_folder

    reading = {name: given.pop(name) for name in READING}
    options = AsfAmcOptions.checked(recorded_fps=recorded_fps, **reading)
    _convert(lambda on_file: read_asf_amc_folder(root, options, on_file), **given)


READING = ("joint_map", "unit", "up", "fps", "path", "first_frame", "skip_bad")
"""Options of the readers; the others concern the split and the header of the store."""


def _convert(
    read: Callable[[Callable[[int, int], None]], tuple[Poses, list[str]]],
    *,
    out: str,
    seed: int,
    name: str | None,
    licence: str,
    **named: str | None,
) -> None:
    """Read poses, print what was detected, split them by subject and write the store."""
    from synrep.datasets.store.splitting import draw_subjects, split_by_subject
    from synrep.datasets.store.store import Description, write_store
    from synrep.skeleton import HUMAN36M_17

    with progress_bar() as progress:
        task = progress.add_task("reading", total=None)
        poses, notes = read(lambda done, total: progress.update(task, completed=done, total=total))
    print_notes(notes)
    chosen: Mapping[Split, list[str]] = (
        {split: split_names(named[split]) for split in ("train", "validation", "test")}
        if any(named.values())
        else draw_subjects(poses, seed)
    )
    about = Description(
        name=name or Path(out).resolve().name,
        skeleton=HUMAN36M_17.name,
        fps=poses.fps,
        licence=licence,
        notes=tuple(notes),
    )
    print_summary(write_store(out, about, split_by_subject(poses, chosen)))
