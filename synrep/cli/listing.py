"""Commands whose help lists what a registry holds, loaded only when somebody asks for help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Rows = Iterable[tuple[str, str]]


class ListingCommand(click.Command):
    """A command with lists of names and what they mean below the options.

    Args:
        lists: for each title, a function that gives the rows: a name and a line about it.
        attributes: those of every command.
    """

    def __init__(
        self, *attributes: Any, lists: Mapping[str, Callable[[], Rows]], **named: Any
    ) -> None:
        super().__init__(*attributes, **named)
        self.lists = lists

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options, then the lists."""
        super().format_options(ctx, formatter)
        for title, rows in self.lists.items():
            with formatter.section(title):
                formatter.write_dl(list(rows()))


def keypoint_formats() -> Rows:
    """File formats of 2D keypoints."""
    from synrep.inference.keypoints.formats import FORMATS

    return [(entry.name, entry.help) for entry in FORMATS]


def keypoint_sets() -> Rows:
    """Sets of 2D keypoints, with their short names."""
    from synrep.keypoint_sets import KEYPOINT_SETS

    return [
        (", ".join([entry.name, *entry.short_names]), entry.help)
        for entry in KEYPOINT_SETS.values()
    ]


def joint_maps() -> Rows:
    """Joint maps of motion capture."""
    from synrep.datasets.mocap.joint_maps import JOINT_MAPS

    return [(entry.name, entry.help) for entry in JOINT_MAPS.values()]
