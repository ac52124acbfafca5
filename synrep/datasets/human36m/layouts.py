"""Which of the known layouts of Human3.6M lies in a folder: told by its files, never guessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from synrep.datasets.human36m.protocol import JOINTS_OF_32
from synrep.errors import DamagedError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

Layout = Literal["videopose3d", "martinez", "official", "mmpose"]

FOLDERS: dict[Layout, tuple[str, ...]] = {
    "videopose3d": (".", "data"),
    "martinez": (".", "h36m", "data/h36m"),
    "official": (".", "extracted"),
    "mmpose": (".", "fps10", "fps50", "annotation_body3d/fps10", "annotation_body3d/fps50"),
}
"""Where below the root a layout may begin."""
MARKS: dict[Layout, str] = {
    "videopose3d": "data_3d_h36m.npz",
    "martinez": "S*/MyPoses/3D_positions/*.h5",
    "official": "S*/MyPoseFeatures/D3_Positions/*.cdf",
    "mmpose": "h36m_t*.npz",
}
"""What a layout is known by."""


@dataclass(frozen=True, eq=False)
class PoseRecording:
    """One recording in the room.

    Attributes:
        subject: who moves.
        name: as `recording_name` gives it.
        joints_mm: (T, 17, 3) positions in the world's millimetres, z up.
        place: the file, for messages.
    """

    subject: str
    name: str
    joints_mm: NDArray[np.float64]
    place: str


def find_layout(root: Path, wanted: Layout | Literal["auto"]) -> tuple[Layout, Path]:
    """The layout in a folder, and the folder in which it begins.

    Raises:
        InputError: there is no such folder, no known layout in it, or more than one.
    """
    if not root.is_dir():
        raise InputError(str(root), "there is no such folder", "give the folder of Human3.6M")
    layouts: tuple[Layout, ...] = get_args(Layout) if wanted == "auto" else (wanted,)
    found = [
        (layout, root / below)
        for layout in layouts
        for below in FOLDERS[layout]
        if next((root / below).glob(MARKS[layout]), None) is not None
    ]
    if len(found) == 1:
        return found[0]
    if found:
        names = "; ".join(f"{layout} in {folder}" for layout, folder in found)
        raise InputError(
            str(root),
            f"more than one layout: {names}",
            "choose one with --layout, or give its own folder as --root",
        )
    looked = "; ".join(f"{MARKS[name]} in {', '.join(FOLDERS[name])} ({name})" for name in layouts)
    packed = next(root.rglob("Poses_D3_Positions*.tgz"), None)
    raise InputError(
        str(root),
        f"no known layout of Human3.6M; looked for {looked}",
        f"unpack {packed.name} and its like" if packed else "give the folder that holds one",
    )


def of_32(points: NDArray[np.floating], mm_per_unit: float, place: str) -> NDArray[np.float64]:
    """The 17 joints of (T, 32, 3) positions, in millimetres.

    Raises:
        DamagedError: the array is of another shape, or empty.
    """
    fits = points.ndim == 3 and points.shape[1:] == (32, 3) and len(points)
    if not fits or points.dtype.kind != "f":
        raise DamagedError(
            place,
            f"positions of shape {points.shape} where (frames, 32, 3) belong",
            "get the file again; files with fewer joints come from other projects",
        )
    return points[:, JOINTS_OF_32].astype(np.float64) * mm_per_unit
