"""Read Human3.6M from a folder: the layout, its cameras, its keypoints, and the splits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synrep.datasets.human36m import martinez, official, videopose3d
from synrep.datasets.human36m.assembly import Assembly
from synrep.datasets.human36m.cameras import find_cameras, shared_intrinsics
from synrep.datasets.human36m.detections import find_detections, find_projected
from synrep.datasets.human36m.layouts import find_layout
from synrep.datasets.human36m.mmpose import read_mmpose
from synrep.datasets.human36m.protocol import ACKNOWLEDGEMENT, LICENCE, count_notes
from synrep.datasets.store.store import Description
from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from synrep.datasets.human36m.layouts import Layout, PoseRecording
    from synrep.datasets.human36m.options import Human36MOptions
    from synrep.datasets.store.header import Split
    from synrep.datasets.store.poses import Poses

READERS: dict[Layout, tuple[Callable[[Path], Iterator[PoseRecording]], str]] = {
    "videopose3d": (videopose3d.recordings, "metres"),
    "martinez": (martinez.recordings, "millimetres"),
    "official": (official.recordings, "millimetres"),
}
"""Layouts in the world's frame, and their unit."""


def read_human36m(
    root: Path, options: Human36MOptions
) -> tuple[Description, dict[Split, Poses], list[str]]:
    """Poses before each of the four cameras, in millimetres.

    Args:
        root: the folder that users have.
        options: how to read.

    Returns:
        The description of a pose store in camera frames, the poses of each split, and notes on
        what was found and left out.

    Raises:
        InputError: no known layout, more than one, or something asked for is not there.
        DamagedError: a file can't be read, or contradicts itself or another one.
    """
    layout, folder = find_layout(root, options.layout)
    # Several folders may be the same one.
    folders = list(dict.fromkeys([folder, folder.parent, root] if folder != root else [root]))
    cameras, note = find_cameras(folders)
    intrinsics = shared_intrinsics(cameras, note)
    notes = [f"layout {layout} in {folder}", note]
    if layout == "mmpose":
        splits, found = read_mmpose(folder, intrinsics, options)
    else:
        reader, unit = READERS[layout]
        assembly = Assembly(
            place=str(folder), unit=unit, cameras=cameras, detections=None, options=options
        )
        if options.keypoints == "gt":
            assembly.projected, said = find_projected(folders)
            notes += [said] if said else []
        else:
            assembly.detections = find_detections(folders, options.keypoints)
            notes.append(f"keypoints: {assembly.detections.place}")
        splits, found = assembly.run(reader(folder)), assembly.notes
    notes += found
    fps = next(iter(splits.values())).fps
    notes += count_notes({split: len(poses) for split, poses in splits.items()}, fps)
    about = Description(
        name="human36m",
        skeleton=HUMAN36M_17.name,
        frame="camera",
        up="-y",
        fps=fps,
        licence=LICENCE,
        acknowledgement=ACKNOWLEDGEMENT,
        cameras=intrinsics,
    )
    return about, splits, notes
