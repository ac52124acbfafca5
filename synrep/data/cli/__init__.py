"""`synrep data`: make, describe and check pose stores."""

from __future__ import annotations

import click

from synrep.data.cli.prepare import bvh, prepare, synthetic
from synrep.data.cli.show import info, verify


@click.group()
def data() -> None:
    """Make, describe and check pose stores."""


for command in (prepare, info, verify):
    data.add_command(command)
for source in (bvh, synthetic):
    prepare.add_command(source)
