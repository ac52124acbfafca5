"""`synrep data prepare human36m`: create a pose store from a local copy of Human3.6M."""

# ruff: noqa: D301 - in click's help \b is the backspace character: keep these lines as they are

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from synrep.cli.data.common import print_notes, print_summary


@click.command()
@click.option("--root", required=True, help="Folder with Human3.6M in one of the layouts.")
@click.option("--out", required=True, help="Folder of the new store.")
@click.option(
    "--layout",
    type=click.Choice(["auto", "videopose3d", "martinez", "official", "mmpose"]),
    default="auto",
    show_default=True,
    help="Layout of the files; auto detects it.",
)
@click.option(
    "--keypoints",
    type=click.Choice(["gt", "cpn", "detectron", "sh", "sh-ft"]),
    default="gt",
    show_default=True,
    help="2D joints: gt projects the poses; a detector's are read from files beside the poses.",
)
@click.option(
    "--drop-damaged",
    is_flag=True,
    help="Leave out S9's Greeting, SittingDown 1 and Waiting 1, shifted against the images.",
)
@click.option(
    "--train-on-s8",
    is_flag=True,
    help="Train on S8 too, with no validation split: for a final training after all choices.",
)
@click.option(
    "--test-only",
    is_flag=True,
    help="Read S9 and S11 alone, for a store to evaluate on.",
)
@click.option(
    "--sh-map",
    type=click.Choice(["auto", "fitted", "geometric", "kudo"]),
    default="auto",
    show_default=True,
    help="How MPII's joints of sh and sh-ft become Human3.6M's (row 35): auto is fitted for sh, "
    "geometric for sh-ft.",
)
def human36m(*, root: str, out: str, **given: Any) -> None:
    """Make a pose store from Human3.6M, which you must obtain from its authors.

    \b
    Train S1 S5 S6 S7, validation S8, test S9 S11. Layouts and their files:
      videopose3d  data_3d_h36m.npz (and data_2d_h36m_*.npz)
      martinez     S1/MyPoses/3D_positions/*.h5, cameras.h5 (and S1/StackedHourglass/*.h5)
      official     S1/MyPoseFeatures/D3_Positions/*.cdf, metadata.xml
      mmpose       annotation_body3d/fps50/h36m_train.npz and h36m_test.npz
    Without metadata.xml or cameras.h5 the published cameras are used.

    \b
    Examples:
      synrep data prepare human36m --root h36m --out poses/human36m
      synrep data prepare human36m --root VideoPose3D/data --out poses/human36m-cpn \\
          --keypoints cpn
    """
    from synrep.datasets.human36m.options import Human36MOptions
    from synrep.datasets.human36m.reading import read_human36m
    from synrep.datasets.store.store import write_store

    options = Human36MOptions.checked(**given)
    about, splits, notes = read_human36m(Path(root), options)
    print_notes(notes)
    print_summary(write_store(out, about, splits))
