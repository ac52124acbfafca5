"""`synrep data prepare mpi-inf-3dhp` and `mpii`: data sets of the Max Planck Institutes."""

# ruff: noqa: D301 - in click's help \b is the backspace character: keep these lines as they are

from __future__ import annotations

from pathlib import Path

import click

from synrep.cli.data.common import print_notes, print_summary, progress_bar, split_names


@click.command("mpi-inf-3dhp")
@click.option(
    "--root", required=True, help="Folder with S1 to S8 and TS1 to TS6, or with P-STMO's .npz."
)
@click.option("--out", required=True, help="Folder of the new store.")
@click.option(
    "--poses",
    type=click.Choice(["univ", "annot3"]),
    default="univ",
    show_default=True,
    help="univ: univ_annot3, all people at one height, as in the official evaluation; annot3: each "
    "person's own size.",
)
@click.option(
    "--cameras",
    type=click.Choice(["chest-5", "chest-8", "all"]),
    default="chest-8",
    show_default=True,
    help="Cameras of the training sequences: 0, 2, 4, 7, 8; those with 1, 5, 6; or all 14.",
)
@click.option(
    "--validation",
    default="S8",
    show_default=True,
    help="Training subjects to hold out, comma-separated.",
)
@click.option("--name", help="Name in the header. Default: that of the folder.")
@click.option("--licence", help="Terms of use, for the header. Default: research only.")
def mpi_inf_3dhp(
    *,
    root: str,
    out: str,
    poses: str,
    cameras: str,
    validation: str,
    name: str | None,
    licence: str | None,
) -> None:
    """Make a pose store from MPI-INF-3DHP, which you must obtain from its authors.

    \b
    TS1 to TS6 become the test split, the subjects of --validation the
    validation split, and the other training subjects the train split.
    \b
    The folder contains what the data set's scripts download: S1/Seq1/annot.mat,
    optionally with camera.calibration beside it, and TS1/annot_data.mat; or
    data_train_3dhp.npz and data_test_3dhp.npz. Images are not read.
    \b
    Examples:
      synrep data prepare mpi-inf-3dhp --root mpi_inf_3dhp --out poses/3dhp
      synrep data prepare mpi-inf-3dhp --root motion3d --out poses/3dhp \\
          --cameras chest-5 --validation S7,S8
    """
    from synrep.datasets.mpi_inf_3dhp.reading import LICENCE, MpiInf3dhpOptions, read_mpi_inf_3dhp
    from synrep.datasets.store.store import write_store

    options = MpiInf3dhpOptions.checked(
        poses=poses, cameras=cameras, validation=tuple(split_names(validation))
    )
    with progress_bar() as progress:
        task = progress.add_task("reading", total=None)
        read = read_mpi_inf_3dhp(root, options, lambda _name: progress.advance(task))
    print_notes(read.notes)
    about = read.description(name or Path(out).resolve().name, licence or LICENCE)
    print_summary(write_store(out, about, read.splits))


@click.command()
@click.option("--root", required=True, help="mpii_human_pose_v1_u12_1.mat, or HRNet's .json file.")
@click.option("--out", required=True, help="The new .npz file of keypoints.")
@click.option(
    "--keep-incomplete",
    is_flag=True,
    help="Keep people with missing joints (NaN); `synrep lift` refuses them.",
)
def mpii(*, root: str, out: str, keep_incomplete: bool) -> None:
    """Convert MPII Human Pose to 2D keypoints for `synrep lift`.

    \b
    MPII has no 3D poses, so this makes no pose store.
    \b
    Examples:
      synrep data prepare mpii --root mpii_human_pose_v1_u12_1.mat --out mpii.npz
      synrep data prepare mpii --root annot/valid.json --out valid.npz
    """
    from synrep.datasets.mpii import read_mpii
    from synrep.errors import InputError
    from synrep.storage import Storage

    target = Path(out)
    if target.suffix != ".npz":
        raise InputError("--out", f"unknown kind of file {target.suffix!r}", "name a .npz file")
    if target.exists():
        raise InputError(str(target), "exists already", "name a new file or delete this one")
    people, notes = read_mpii(Path(root))
    print_notes(notes)
    kept = people if keep_incomplete else people.complete()
    if not len(kept):
        raise InputError(str(root), "nobody has all 16 joints", "use --keep-incomplete")
    if left_out := len(people) - len(kept):
        click.echo(f"{left_out} people with missing joints left out", err=True)
    Storage.at(target.parent).write(target.name, kept.npz())
    click.echo(f"{target}: {len(kept)} people")
