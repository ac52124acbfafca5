"""Plots of poses, rendered without a display; right limbs are red, left limbs blue.

Axes: F frames, J joints. Camera frame: x right, y down, z away.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from synrep.skeleton import Skeleton

ROWS = 4
"""Largest number of frames in one plot, evenly spaced over the given ones."""

RIGHT, LEFT, MIDDLE = "#c8102e", "#0057b8", "#3a3a3a"

PANEL_INCHES = 3.7

VIEWPOINTS = (
    (-45, "from 45° to the camera's left", "right and towards the camera"),
    (45, "from 45° to the camera's right", "right and away"),
)
"""Viewpoints of 3D poses: angle in degrees, title, and direction of the horizontal axis."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The content of a plot or an animation: one person over a number of frames.

    Attributes:
        skeleton: skeleton of all poses.
        keypoints: (F, J, 2) 2D input of the lifter, y down.
        predicted: (F, J, 3) predicted poses relative to the first joint, in the camera frame.
        frames: frame numbers.
        true: (F, J, 3) ground-truth poses in the same form, if known.
        names: captions of the frames, instead of their numbers.
        keypoint_units: unit of the keypoints, for the axis labels.
        units: unit of the poses, for the axis labels.
        note: a line below the plot, for example on how the scale was determined.
        fps: frames per second of an animation.
    """

    skeleton: Skeleton
    keypoints: NDArray[Any]
    predicted: NDArray[Any]
    frames: Sequence[int]
    true: NDArray[Any] | None = None
    names: Sequence[str] | None = None
    keypoint_units: str = "px"
    units: str = "mm"
    note: str = ""
    fps: float = 25.0

    def caption(self, row: int) -> str:
        """Return the caption of a frame, with its error (P1) if the ground truth is known."""
        name = f"frame {self.frames[row]}" if self.names is None else self.names[row]
        if self.true is None:
            return name
        error = np.linalg.norm(self.predicted[row] - self.true[row], axis=-1).mean()
        return f"{name}: P1 {error:.0f} {self.units}"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One column of a plot, with points in plot coordinates.

    Attributes:
        title: title of the panel.
        x_label: label of the horizontal axis.
        y_label: label of the vertical axis.
        points: (F, J, 2) joints as (right, up).
        depth: (F, J) distance from the viewer; near bones are drawn over far ones.
        bounds: (F, M, 2) points that the axis limits must include.
        y_down: whether the tick labels of the vertical axis increase downwards, as in an image.
    """

    title: str
    x_label: str
    y_label: str
    points: NDArray[Any]
    depth: NDArray[Any]
    bounds: NDArray[Any]
    y_down: bool = False


def panels(scene: Scene) -> list[Panel]:
    """Return the panels: the 2D input, then prediction and ground truth from each viewpoint."""
    image = scene.keypoints * np.array([1, -1])
    units = scene.keypoint_units
    columns = [
        Panel(
            title="2D input",
            x_label=f"right in {units}",
            y_label=f"down in {units}",
            points=image,
            depth=np.zeros(image.shape[:2]),
            bounds=image,
            y_down=True,
        )
    ]
    shown = {"prediction": scene.predicted}
    if scene.true is not None:
        shown["truth"] = scene.true
    for degrees, viewpoint, direction in VIEWPOINTS:
        projections = {name: project(poses, degrees) for name, poses in shown.items()}
        bounds = np.concatenate([points for points, _ in projections.values()], axis=1)
        columns += [
            Panel(
                title=f"{name},\n{viewpoint}",
                x_label=f"{direction} in {scene.units}",
                y_label=f"up in {scene.units}",
                points=points,
                depth=depth,
                bounds=bounds,
            )
            for name, (points, depth) in projections.items()
        ]
    return columns


def project(poses: NDArray[Any], degrees: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Project poses orthographically from a viewpoint beside the camera.

    Args:
        poses: (F, J, 3) poses in the camera frame.
        degrees: angle by which the viewpoint is rotated around the person to the camera's right.

    Returns:
        The points (F, J, 2) as (right, up), and their distances (F, J) from the viewer.
    """
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y, z = np.moveaxis(poses, -1, 0)
    return np.stack([cos * x + sin * z, -y], axis=-1), cos * z - sin * x


def draw(scene: Scene) -> bytes:
    """Render a PNG with up to `ROWS` evenly spaced frames as rows and the panels as columns."""
    rows = np.linspace(0, len(scene.frames) - 1, min(ROWS, len(scene.frames))).round().astype(int)
    figure = SceneFigure(scene, len(rows))
    for row, frame in enumerate(rows.tolist()):
        figure.show(row, frame, slice(frame, frame + 1))
    return figure.content("png")


class SceneFigure:
    """A figure with one row of panels for each frame that is shown at the same time.

    Args:
        scene: content of the figure.
        rows: number of frames shown at the same time.
        dpi: resolution in pixels per inch.
    """

    def __init__(self, scene: Scene, rows: int, dpi: int = 100) -> None:
        self.scene = scene
        self.panels = panels(scene)
        width, height = PANEL_INCHES * len(self.panels), PANEL_INCHES * rows + 1.2
        self.figure = figure = Figure(figsize=(width, height), dpi=dpi, facecolor="white")
        # Fixed margins, because matplotlib's automatic layout takes longer than drawing.
        left, right = 0.9 / width, 1 - 0.25 / width
        figure.subplots_adjust(
            left, 0.85 / height, right, 1 - 0.9 / height, wspace=0.32, hspace=0.42
        )
        grid: Any = figure.subplots(rows, len(self.panels), squeeze=False)
        self.axes: list[list[Axes]] = [list(row) for row in grid]
        for row in self.axes:
            for axes, panel in zip(row, self.panels, strict=True):
                _style(axes, panel)
        _legend(figure, scene.note)

    def show(self, row: int, frame: int, window: slice) -> None:
        """Draw a frame in a row.

        Args:
            row: index of the row.
            frame: index of the frame.
            window: frames that the axis limits must include.
        """
        for axes, panel in zip(self.axes[row], self.panels, strict=True):
            for artist in [*axes.collections]:
                artist.remove()
            _bones(axes, self.scene.skeleton, panel.points[frame], panel.depth[frame])
            _set_limits(axes, panel.bounds[window])
        caption = f"{self.scene.caption(frame)}\n{self.panels[0].y_label}"
        self.axes[row][0].set_ylabel(caption, fontsize=9, parse_math=False)

    def content(self, kind: str) -> bytes:
        """Render the figure in a file format of matplotlib."""
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format=kind, dpi=self.figure.dpi)
        return buffer.getvalue()


def colour(skeleton: Skeleton, joint: int) -> str:
    """Return the colour of a joint and of the bone that ends there."""
    if joint in {left for left, _ in skeleton.pairs}:
        return LEFT
    return RIGHT if joint in {right for _, right in skeleton.pairs} else MIDDLE


def _bones(axes: Axes, skeleton: Skeleton, points: NDArray[Any], depth: NDArray[Any]) -> None:
    """Draw bones and joints, far bones first, so that near ones cover them."""
    far_first = sorted(skeleton.bones, key=lambda bone: -float(depth[list(bone)].sum()))
    segments = [points[[parent, child]] for parent, child in far_first for _ in range(2)]
    colours = [c for _, child in far_first for c in ("white", colour(skeleton, child))]
    axes.add_collection(
        LineCollection(
            segments, colors=colours, linewidths=[4, 2.6] * len(far_first), capstyle="round"
        )
    )
    joint_colours = [colour(skeleton, joint) for joint in range(len(points))]
    axes.scatter(points[:, 0], points[:, 1], c=joint_colours, s=20, zorder=3)


def _set_limits(axes: Axes, points: NDArray[Any]) -> None:
    """Set square axis limits around all points (F, M, 2)."""
    low, high = points.min((0, 1)), points.max((0, 1))
    half = max(float((high - low).max()) * 0.56, 1e-3)
    centre = (low + high) / 2
    axes.set_xlim(centre[0] - half, centre[0] + half)
    axes.set_ylim(centre[1] - half, centre[1] + half)


def _style(axes: Axes, panel: Panel) -> None:
    """Set the title, labels, ticks and grid of a panel."""
    axes.set_aspect("equal")
    axes.locator_params(nbins=6)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.set_title(panel.title, fontsize=10, parse_math=False)
    axes.set_xlabel(panel.x_label, fontsize=9, parse_math=False)
    axes.set_ylabel(panel.y_label, fontsize=9, parse_math=False)
    if panel.y_down:
        axes.yaxis.set_major_formatter(lambda value, _: f"{0 - value:g}")


def _legend(figure: Figure, note: str) -> None:
    """Add the legend above and the note below the panels."""
    lines = [
        Line2D([], [], color=RIGHT, linewidth=2.6, label="right"),
        Line2D([], [], color=LEFT, linewidth=2.6, label="left"),
    ]
    figure.legend(handles=lines, loc="upper center", ncols=len(lines), frameon=False)
    # Names can contain dollar signs, which must not start a formula.
    figure.text(0.5, 0.012, note, ha="center", fontsize=9, parse_math=False)
