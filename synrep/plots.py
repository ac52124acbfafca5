"""Pictures of poses, drawn without a display: right red, left blue.

Axes: F frames, J joints. Camera frame: x right, y down, z away.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from synrep.skeleton import Skeleton

ROWS = 4
"""Frames in one picture, evenly spaced over those given."""

RIGHT, LEFT, MIDDLE = "#c8102e", "#0057b8", "#3a3a3a"

ROW_INCHES = 3.7

VIEWS = (
    (45, "3D, from 45° to the camera's right", "to the right and away"),
    (90, "3D, from 90° to the camera's right", "away from the camera"),
)
"""Where the two looks at a 3D pose are taken from in degrees, their titles, their right."""


def draw(
    skeleton: Skeleton,
    keypoints_px: NDArray[Any],
    predicted: NDArray[Any],
    *,
    units: str = "mm",
    note: str = "",
) -> bytes:
    """A PNG: a row a frame with the 2D input and the 3D pose seen from two sides.

    Args:
        skeleton: joints of all poses.
        keypoints_px: (F, J, 2) what was lifted.
        predicted: (F, J, 3) poses, relative to the first joint.
        units: of the poses, for the axes.
        note: a line below the picture, such as how the scale was found.
    """
    count = min(ROWS, len(predicted))
    height = ROW_INCHES * count + 1
    figure = Figure(figsize=(10.5, height))
    # Fixed margins: finding them takes matplotlib longer than drawing.
    figure.subplots_adjust(0.08, 0.8 / height, 0.98, 1 - 0.7 / height, wspace=0.28, hspace=0.32)
    grid: Any = figure.subplots(count, 1 + len(VIEWS), squeeze=False)
    chosen = np.linspace(0, len(predicted) - 1, count).round().astype(int)
    for row, frame in zip(grid, chosen, strict=True):
        image = keypoints_px[frame] * np.array([1, -1])
        _bones(row[0], skeleton, image, np.zeros(len(image)))
        _dress(row[0], image, "2D input", "right in px", f"frame {frame}\nup in px")
        for axes, (degrees, title, right) in zip(row[1:], VIEWS, strict=True):
            seen, depth = _look(predicted[frame], degrees)
            _bones(axes, skeleton, seen, depth)
            _dress(axes, seen, title, f"{right} in {units}", f"up in {units}")
    _legend(figure, note)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, facecolor="white")
    return buffer.getvalue()


def colour(skeleton: Skeleton, joint: int) -> str:
    """Colour of a joint and of the bone that ends there."""
    if joint in {left for left, _ in skeleton.pairs}:
        return LEFT
    return RIGHT if joint in {right for _, right in skeleton.pairs} else MIDDLE


def _look(pose: NDArray[Any], degrees: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """What is right and up, (J, 2), and how far away, (J,), from beside the camera."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y, z = pose.T
    return np.stack([cos * x + sin * z, -y], axis=1), cos * z - sin * x


def _bones(axes: Axes, skeleton: Skeleton, points: NDArray[Any], depth: NDArray[Any]) -> None:
    """Far bones first, so that near ones cover them."""
    far_first = sorted(skeleton.bones, key=lambda bone: -float(depth[list(bone)].sum()))
    segments = [points[[parent, child]] for parent, child in far_first for _ in range(2)]
    colours = [c for _, child in far_first for c in ("white", colour(skeleton, child))]
    axes.add_collection(
        LineCollection(
            segments, colors=colours, linewidths=[4, 2.6] * len(far_first), capstyle="round"
        )
    )
    shades = [colour(skeleton, joint) for joint in range(len(points))]
    axes.scatter(points[:, 0], points[:, 1], c=shades, s=20, zorder=3)


def _dress(axes: Axes, points: NDArray[Any], title: str, right: str, up: str) -> None:
    """A square window around the points, in equal units."""
    low, high = points.min(0), points.max(0)
    half = max(float((high - low).max()) * 0.56, 1e-3)
    centre = (low + high) / 2
    axes.set_xlim(centre[0] - half, centre[0] + half)
    axes.set_ylim(centre[1] - half, centre[1] + half)
    axes.set_aspect("equal")
    axes.locator_params(nbins=6)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(right, fontsize=9)
    axes.set_ylabel(up, fontsize=9)
    if right.endswith("px"):
        axes.yaxis.set_major_formatter(lambda value, _: f"{-value:g}")
        axes.set_ylabel(up.replace("up", "down"), fontsize=9)


def _legend(figure: Figure, note: str) -> None:
    lines = [
        Line2D([], [], color=RIGHT, linewidth=2.6, label="right"),
        Line2D([], [], color=LEFT, linewidth=2.6, label="left"),
    ]
    figure.legend(handles=lines, loc="upper center", ncols=len(lines), frameon=False)
    if note:
        figure.text(0.5, 0.012, f"scale: {note}", ha="center", fontsize=9)
