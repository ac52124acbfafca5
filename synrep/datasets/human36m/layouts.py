"""Detect which distribution of Human3.6M a folder contains, from the files in it."""

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

SUBFOLDERS: dict[Layout, tuple[str, ...]] = {
    "videopose3d": (".", "data"),
    "martinez": (".", "h36m", "data/h36m"),
    "official": (".", "extracted"),
    "mmpose": (".", "fps10", "fps50", "annotation_body3d/fps10", "annotation_body3d/fps50"),
}
"""Subfolders of the root in which the files of a layout can be."""
MARKER_FILES: dict[Layout, str] = {
    "videopose3d": "data_3d_h36m.npz",
    "martinez": "S*/MyPoses/3D_positions/*.h5",
    "official": "S*/MyPoseFeatures/D3_Positions/*.cdf",
    "mmpose": "h36m_t*.npz",
}
"""Glob pattern of the files by which a layout is detected."""


@dataclass(frozen=True, eq=False)
class PoseRecording:
    """One recording in world coordinates.

    Attributes:
        subject: name of the subject.
        name: name of the recording, as returned by `recording_name`.
        joints_mm: (T, 17, 3) joint positions in world coordinates in millimetres, z up.
        place: name of the file, for messages.
    """

    subject: str
    name: str
    joints_mm: NDArray[np.float64]
    place: str


def find_layout(root: Path, layout: Layout | Literal["auto"]) -> tuple[Layout, Path]:
    """Find the layout of a data set and the folder with its files.

    Args:
        root: folder of the data set.
        layout: the layout to look for, or `auto` for any.

    Raises:
        InputError: the folder does not exist, or contains no known layout or more than one.
    """
    if not root.is_dir():
        raise InputError(str(root), "there is no such folder", "give the folder of Human3.6M")
    candidates: tuple[Layout, ...] = get_args(Layout) if layout == "auto" else (layout,)
    matches = [
        (name, root / subfolder)
        for name in candidates
        for subfolder in SUBFOLDERS[name]
        if next((root / subfolder).glob(MARKER_FILES[name]), None) is not None
    ]
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = "; ".join(f"{name} in {folder}" for name, folder in matches)
        raise InputError(
            str(root),
            f"more than one layout: {names}",
            "choose one with --layout, or give its own folder as --root",
        )
    patterns = "; ".join(
        f"{MARKER_FILES[name]} in {', '.join(SUBFOLDERS[name])} ({name})" for name in candidates
    )
    archive = next(root.rglob("Poses_D3_Positions*.tgz"), None)
    raise InputError(
        str(root),
        f"no known layout of Human3.6M; looked for {patterns}",
        f"unpack {archive.name} and the other archives"
        if archive
        else "give the folder that contains one",
    )


def of_32(points: NDArray[np.floating], mm_per_unit: float, place: str) -> NDArray[np.float64]:
    """Select the 17 joints of positions (T, 32, 3) and convert them to millimetres.

    Raises:
        DamagedError: the array is empty, not (T, 32, 3) or not of floats.
    """
    valid = points.ndim == 3 and points.shape[1:] == (32, 3) and len(points)
    if not valid or points.dtype.kind != "f":
        raise DamagedError(
            place,
            f"positions of shape {points.shape} where (frames, 32, 3) is expected",
            "get the file again; files with fewer joints come from other projects",
        )
    return points[:, JOINTS_OF_32].astype(np.float64) * mm_per_unit
