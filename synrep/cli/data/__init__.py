"""`synrep data`: create, describe and verify pose stores."""

# ruff: noqa: D301 - in click's help \b is the backspace character: keep these lines as they are

from __future__ import annotations

import click

from synrep.cli.data.human36m import human36m
from synrep.cli.data.mpi import mpi_inf_3dhp, mpii
from synrep.cli.data.prepare import asf_amc, bvh, prepare, synthetic
from synrep.cli.data.show import info, verify


@click.group()
def data() -> None:
    """Create, describe and verify pose stores.

    \b
    Examples:
      synrep data prepare bvh --root mocap/cmu --out poses/cmu
      synrep data verify poses/cmu
    """


for command in (prepare, info, verify):
    data.add_command(command)
for source in (asf_amc, bvh, human36m, mpi_inf_3dhp, mpii, synthetic):
    prepare.add_command(source)
