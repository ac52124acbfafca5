"""Pictures of poses, drawn without a display: right red, left blue.

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
"""Frames in one picture, evenly spaced over those given."""

RIGHT, LEFT, MIDDLE = "#c8102e", "#0057b8", "#3a3a3a"

PANEL_INCHES = 3.7

LOOKS = (
    (-45, "from 45° to the camera's left", "right and towards the camera"),
    (45, "from 45° to the camera's right", "right and away"),
)
"""Where 3D poses are looked at from in degrees, 90 apart; titles, and what is right there."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is drawn: a person over frames.

    Attributes:
        skeleton: joints of all poses.
        keypoints: (F, J, 2) what was lifted, y down.
        predicted: (F, J, 3) poses relative to the first joint, in the camera frame.
        true: (F, J, 3) likewise, where the truth is known.
        frames: numbers of the frames.
        names: what each frame shows, in the place of its number.
        keypoint_units: of the keypoints, for the axes.
        units: of the poses, likewise.
        note: a line below the picture, such as how the scale was found.
        fps: frames a second, for animations.
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
        """Name of a frame and, where the truth is known, its mean distance from it (P1)."""
        name = f"frame {self.frames[row]}" if self.names is None else self.names[row]
        if self.true is None:
            return name
        error = np.linalg.norm(self.predicted[row] - self.true[row], axis=-1).mean()
        return f"{name}: P1 {error:.0f} {self.units}"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One column of a picture: points as they lie on the page.

    Attributes:
        title: what is seen, and from where.
        right: what the axis to the right measures.
        up: what the other axis measures.
        points: (F, J, 2) right and up.
        depth: (F, J) how far away, so that near bones cover far ones.
        within: (F, M, 2) all points that the panel must have room for.
        downwards: numbers on the axis grow downwards, as in an image.
    """

    title: str
    right: str
    up: str
    points: NDArray[Any]
    depth: NDArray[Any]
    within: NDArray[Any]
    downwards: bool = False


def panels(scene: Scene) -> list[Panel]:
    """The columns: 2D input, then prediction and truth from one side, then from the other."""
    image = scene.keypoints * np.array([1, -1])
    units = scene.keypoint_units
    found = [
        Panel(
            title="2D input",
            right=f"right in {units}",
            up=f"down in {units}",
            points=image,
            depth=np.zeros(image.shape[:2]),
            within=image,
            downwards=True,
        )
    ]
    shown = {"prediction": scene.predicted}
    if scene.true is not None:
        shown["truth"] = scene.true
    for degrees, place, right in LOOKS:
        looks = {name: look(poses, degrees) for name, poses in shown.items()}
        within = np.concatenate([points for points, _ in looks.values()], axis=1)
        found += [
            Panel(
                title=f"{name},\n{place}",
                right=f"{right} in {scene.units}",
                up=f"up in {scene.units}",
                points=points,
                depth=depth,
                within=within,
            )
            for name, (points, depth) in looks.items()
        ]
    return found


def look(poses: NDArray[Any], degrees: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """What is right and up, (F, J, 2), and how far away, (F, J), from beside the camera.

    Args:
        poses: (F, J, 3) in the camera frame.
        degrees: how far around the person to the camera's right one stands.
    """
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y, z = np.moveaxis(poses, -1, 0)
    return np.stack([cos * x + sin * z, -y], axis=-1), cos * z - sin * x


def draw(scene: Scene) -> bytes:
    """A PNG: a row for each of up to four frames, evenly spaced, and a column for each panel."""
    chosen = np.linspace(0, len(scene.frames) - 1, min(ROWS, len(scene.frames))).round().astype(int)
    stage = Stage(scene, len(chosen))
    for row, frame in enumerate(chosen.tolist()):
        stage.show(row, frame, slice(frame, frame + 1))
    return stage.content("png")


class Stage:
    """A figure with a row of panels for each frame that is seen at once.

    Args:
        scene: what is drawn.
        rows: frames seen at once.
        dpi: pixels an inch.
    """

    def __init__(self, scene: Scene, rows: int, dpi: int = 100) -> None:
        self.scene = scene
        self.panels = panels(scene)
        width, height = PANEL_INCHES * len(self.panels), PANEL_INCHES * rows + 1.2
        self.figure = figure = Figure(figsize=(width, height), dpi=dpi, facecolor="white")
        # Fixed margins: finding them takes matplotlib longer than drawing.
        left, right = 0.9 / width, 1 - 0.25 / width
        figure.subplots_adjust(
            left, 0.85 / height, right, 1 - 0.9 / height, wspace=0.32, hspace=0.42
        )
        grid: Any = figure.subplots(rows, len(self.panels), squeeze=False)
        self.axes: list[list[Axes]] = [list(row) for row in grid]
        for row in self.axes:
            for axes, panel in zip(row, self.panels, strict=True):
                _dress(axes, panel)
        _legend(figure, scene.note)

    def show(self, row: int, frame: int, window: slice) -> None:
        """Put a frame into a row, seen through a window that has room for some frames."""
        for axes, panel in zip(self.axes[row], self.panels, strict=True):
            for artist in [*axes.collections]:
                artist.remove()
            _bones(axes, self.scene.skeleton, panel.points[frame], panel.depth[frame])
            _frame(axes, panel.within[window])
        self.axes[row][0].set_ylabel(
            f"{self.scene.caption(frame)}\n{self.panels[0].up}", fontsize=9, parse_math=False
        )

    def content(self, kind: str) -> bytes:
        """The picture as it stands, as a kind of file that matplotlib writes."""
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format=kind, dpi=self.figure.dpi)
        return buffer.getvalue()


def colour(skeleton: Skeleton, joint: int) -> str:
    """Colour of a joint and of the bone that ends there."""
    if joint in {left for left, _ in skeleton.pairs}:
        return LEFT
    return RIGHT if joint in {right for _, right in skeleton.pairs} else MIDDLE


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


def _frame(axes: Axes, points: NDArray[Any]) -> None:
    """A square window around all points (F, M, 2), in equal units."""
    low, high = points.min((0, 1)), points.max((0, 1))
    half = max(float((high - low).max()) * 0.56, 1e-3)
    centre = (low + high) / 2
    axes.set_xlim(centre[0] - half, centre[0] + half)
    axes.set_ylim(centre[1] - half, centre[1] + half)


def _dress(axes: Axes, panel: Panel) -> None:
    axes.set_aspect("equal")
    axes.locator_params(nbins=6)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.set_title(panel.title, fontsize=10, parse_math=False)
    axes.set_xlabel(panel.right, fontsize=9, parse_math=False)
    axes.set_ylabel(panel.up, fontsize=9, parse_math=False)
    if panel.downwards:
        axes.yaxis.set_major_formatter(lambda value, _: f"{0 - value:g}")


def _legend(figure: Figure, note: str) -> None:
    lines = [
        Line2D([], [], color=RIGHT, linewidth=2.6, label="right"),
        Line2D([], [], color=LEFT, linewidth=2.6, label="left"),
    ]
    figure.legend(handles=lines, loc="upper center", ncols=len(lines), frameon=False)
    # Names can hold anything: a dollar sign begins no formula.
    figure.text(0.5, 0.012, note, ha="center", fontsize=9, parse_math=False)
