"""Read Human3.6M from a folder: detect the layout, find cameras and keypoints, make the splits."""

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
"""Readers of the layouts in world coordinates, with the unit of their files."""


def read_human36m(
    root: Path, options: Human36MOptions
) -> tuple[Description, dict[Split, Poses], list[str]]:
    """Read the poses in the frame of each of the four cameras, in millimetres.

    Args:
        root: folder of the data set.
        options: reader options.

    Returns:
        The description of the pose store, the poses of each split, and notes for the user on what
        was found and left out.

    Raises:
        InputError: the folder has no known layout or more than one, or requested data are missing.
        DamagedError: a file can't be read, or is inconsistent with itself or another file.
    """
    options.require_consistent()
    layout, folder = find_layout(root, options.layout)
    # dict.fromkeys removes duplicates: the parent of the folder can be the root.
    folders = list(dict.fromkeys([folder, folder.parent, root] if folder != root else [root]))
    cameras, note = find_cameras(folders)
    intrinsics = shared_intrinsics(cameras, note)
    notes = [f"layout {layout} in {folder}", note]
    made: list[str] = []
    if layout == "mmpose":
        splits, reader_notes = read_mmpose(folder, intrinsics, options)
    else:
        reader, unit = READERS[layout]
        assembly = Assembly(
            place=str(folder), unit=unit, cameras=cameras, detections=None, options=options
        )
        if options.keypoints == "gt":
            assembly.projected, projected_note = find_projected(folders)
            notes += [projected_note] if projected_note else []
        else:
            assembly.detections = find_detections(folders, options.keypoints, options.mpii_map())
            notes.append(f"keypoints: {assembly.detections.place}")
            made += assembly.detections.notes
        splits, reader_notes = assembly.run(reader(folder)), assembly.notes
    notes += made + reader_notes
    fps = next(iter(splits.values())).fps
    counted = count_notes({split: len(poses) for split, poses in splits.items()}, fps)
    notes += counted[-1:] if options.test_only else counted
    about = Description(
        name="human36m",
        skeleton=HUMAN36M_17.name,
        frame="camera",
        up="-y",
        fps=fps,
        licence=LICENCE,
        acknowledgement=ACKNOWLEDGEMENT,
        cameras=intrinsics,
        notes=tuple(made),
    )
    return about, splits, notes
