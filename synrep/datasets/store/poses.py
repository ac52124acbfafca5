"""Poses in memory: the arrays that readers of data sets produce and pose stores return.

Axes: N poses, J joints.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Poses:
    """Poses of one split with their labels.

    Rows are ordered by clip and, within a clip, by frame.
    """

    joints_mm: NDArray[np.float32]
    """(N, J, 3) joint positions in millimetres, in the world or in a camera frame."""
    subject: NDArray[np.str_]
    """(N,) name of the subject; splits share no subject."""
    action: NDArray[np.str_]
    """(N,) name of the action."""
    clip: NDArray[np.str_]
    """(N,) name of the clip, the recording that a pose is from."""
    frame: NDArray[np.int32]
    """(N,) frame number in the clip, in steps of 1 / fps; gaps are allowed."""
    fps: float
    """Frames per second."""
    camera: NDArray[np.str_] | None = None
    """(N,) name of the camera, for poses in camera coordinates."""
    keypoints_px: NDArray[np.float32] | None = None
    """(N, J, 2) 2D joints in the image in pixels, if the source provides them."""

    def __post_init__(self) -> None:
        if self.joints_mm.ndim != 3 or self.joints_mm.shape[2] != 3:
            raise ValueError(f"joints_mm is (N, J, 3), got {self.joints_mm.shape}")
        for name, values in self._columns().items():
            if len(values) != len(self.joints_mm):
                raise ValueError(f"{name} has {len(values)} rows for {len(self)} poses")

    def __len__(self) -> int:
        return len(self.joints_mm)

    def _columns(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that are not None, by field name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Poses:
        """Return the poses in the given rows, in that order."""
        return Poses(**{name: v[rows] for name, v in self._columns().items()}, fps=self.fps)

    @staticmethod
    def concatenate(parts: Sequence[Poses]) -> Poses:
        """Concatenate poses.

        Raises:
            ValueError: the parts differ in columns or frame rate, or there are none.
        """
        columns = [part._columns() for part in parts]  # noqa: SLF001 - our own class
        if len({(part.fps, *names) for part, names in zip(parts, columns, strict=True)}) != 1:
            raise ValueError("parts differ in frame rate or columns, or there are none")
        joined = {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
        return Poses(**joined, fps=parts[0].fps)
