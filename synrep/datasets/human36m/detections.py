"""2D keypoints that detectors found in Human3.6M's images, as its 17 joints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol

import numpy as np

from synrep.datasets.human36m.protocol import CAMERAS, SUBJECTS, recording_name
from synrep.datasets.human36m.videopose3d import nested
from synrep.datasets.untrusted.hdf5 import read_datasets
from synrep.datasets.untrusted.npz import as_array, read_npz
from synrep.errors import DamagedError, InputError
from synrep.keypoint_sets import KEYPOINT_SETS
from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.keypoint_sets import MpiiMap

Detector = Literal["cpn", "detectron", "sh", "sh-ft"]

NPZ_FILES: dict[Detector, tuple[str, ...]] = {
    "cpn": ("data_2d_h36m_cpn_ft_h36m_dbb.npz",),
    "detectron": ("data_2d_h36m_detectron_ft_h36m.npz", "data_2d_h36m_detectron_pt_coco.npz"),
    "sh": ("data_2d_h36m_sh_pt_mpii.npz",),
    "sh-ft": ("data_2d_h36m_sh_ft_h36m.npz",),
}
"""Names of VideoPose3D's files; the first one found is read."""
H5_FOLDERS: dict[Detector, str] = {
    "sh": "StackedHourglass",
    "sh-ft": "StackedHourglassFineTuned240",
}
"""Folders of each subject in Martinez's layout, whose joints are MPII's."""
DETECTED_SETS = ("human36m-17", "human36m-16", "mpii-16", "coco-17")
"""Sets that these files hold; a file's `metadata` tells them apart by left and right joints."""
MPII_OF_16 = (6, 2, 1, 0, 3, 4, 5, 7, 8, 9, 13, 14, 15, 12, 11, 10)
"""MPII's number of each joint where SemGCN put stacked-hourglass joints in Human3.6M's order."""


PROJECTED = "data_2d_h36m_gt.npz"
"""VideoPose3D's projected poses: not needed, but good to compare with."""


class Detections(Protocol):
    """Keypoints of a detector."""

    @property
    def place(self) -> str:
        """Where they are from, for messages."""

    @property
    def notes(self) -> list[str]:
        """How their joints became Human3.6M's, where there is a choice."""

    def of(self, subject: str, recording: str, camera: str) -> NDArray[np.float32] | None:
        """(T, 17, 2) pixels of a recording, or nothing where the detector has none."""


def find_detections(
    folders: Sequence[Path], detector: Detector, mpii_map: MpiiMap = "geometric"
) -> Detections:
    """The keypoints of a detector, whose MPII joints become Human3.6M's by a map (row 35).

    Raises:
        InputError: there are none, more than one set of them, or nothing says which joints.
        DamagedError: a file can't be read.
    """
    files = [folder / name for folder in folders for name in NPZ_FILES[detector]]
    npz = [file for file in files if file.is_file()][:1]
    pattern = f"S*/{H5_FOLDERS[detector]}/*.h5" if detector in H5_FOLDERS else ""
    h5 = [folder for folder in folders if pattern and next(folder.glob(pattern), None)][:1]
    place = ", ".join(dict.fromkeys(str(folder) for folder in folders))
    if npz and h5:
        raise InputError(
            place,
            f"two sets of {detector} keypoints: {npz[0]} and {h5[0] / pattern}",
            "take one of them away",
        )
    if npz:
        return _open_npz(npz[0], detector, mpii_map)
    if h5:
        return _open_h5(h5[0], pattern, mpii_map)
    names = [*NPZ_FILES[detector], *([pattern] if pattern else [])]
    raise InputError(
        place,
        f"no {detector} keypoints; looked for {', '.join(names)}",
        "put them beside the poses, or use --keypoints gt",
    )


def find_projected(folders: Sequence[Path]) -> tuple[Detections | None, str]:
    """VideoPose3D's projected poses and a note, if there is such a file.

    Raises:
        InputError: nothing says which joints it holds.
        DamagedError: it can't be read.
    """
    for folder in folders:
        if (path := folder / PROJECTED).is_file():
            found = _open_npz(path, "cpn")
            if found.joints == HUMAN36M_17.name:
                return found, f"compared with {path}"
            return None, f"{path} holds {found.joints} joints of another project: not compared"
    return None, ""


@dataclass(frozen=True, eq=False)
class _Npz:
    """VideoPose3D's file: a list of four cameras for each recording."""

    place: str
    joints: str
    reorder: bool
    content: Mapping[tuple[str, str], Any]
    mpii_map: MpiiMap

    @property
    def notes(self) -> list[str]:
        """See `Detections`."""
        return _map_notes(self.joints, self.mpii_map)

    def of(self, subject: str, recording: str, camera: str) -> NDArray[np.float32] | None:
        """See `Detections`."""
        views = self.content.get((subject, recording))
        place = f"{self.place}, {subject} {recording}"
        if views is None:
            return None
        if not isinstance(views, list | tuple | np.ndarray) or len(views) != len(CAMERAS):
            raise DamagedError(place, "it is no list of 4 cameras", "get the file again")
        points = views[CAMERAS.index(camera)]
        if points is None:
            return None
        numbers = as_array(points, place)
        if self.reorder and numbers.ndim == 3 and numbers.shape[1] == len(MPII_OF_16):
            numbers = numbers[:, np.argsort(MPII_OF_16)]
        return _as_17(numbers, self.joints, place, self.mpii_map)


def _map_notes(joints: str, mpii_map: MpiiMap) -> list[str]:
    if joints != "mpii-16":
        return []
    return [f"MPII's joints became Human3.6M's by the map {mpii_map!r} (docs/model.md row 35)"]


def _open_npz(path: Path, detector: Detector, mpii_map: MpiiMap = "geometric") -> _Npz:
    metadata = read_npz(path, {"metadata"}).get("metadata")
    facts = metadata.item() if metadata is not None and not metadata.ndim else None
    joints = _joint_set(facts, str(path))
    content = {
        (subject, recording_name(name, f"{path}, {subject}")): views
        for subject, named in nested(path, "positions_2d").items()
        if subject in SUBJECTS
        for name, views in named.items()
    }
    # Only stacked-hourglass joints come in this order without being Human3.6M's.
    reorder = joints == "human36m-16" and detector in H5_FOLDERS
    return _Npz(str(path), "mpii-16" if reorder else joints, reorder, content, mpii_map)


def _joint_set(facts: Any, place: str) -> str:
    """Which joints a file has, by its metadata: shapes are the same for several sets."""
    try:
        count = int(facts["num_joints"])
        sides = [{int(joint) for joint in side} for side in facts["keypoints_symmetry"]]
    except (KeyError, TypeError, ValueError):
        _refuse(place, "nothing says which joints these are: no 'metadata' with their symmetry")
    for name in DETECTED_SETS:
        joints = KEYPOINT_SETS[name].joints
        known = [{row for row, joint in enumerate(joints) if joint[0] == side} for side in "LR"]
        if sides == known and count == len(joints):
            return name
    return _refuse(place, f"{count} joints with left and right {sides} are no known set")


def _refuse(place: str, rule: str) -> NoReturn:
    raise InputError(
        place,
        rule,
        "known: " + ", ".join(DETECTED_SETS) + "; make the file with VideoPose3D's scripts",
    )


@dataclass(frozen=True, eq=False)
class _H5:
    """Martinez's files: one for each recording and camera."""

    place: str
    paths: Mapping[tuple[str, str, str], Path]
    mpii_map: MpiiMap

    @property
    def notes(self) -> list[str]:
        """See `Detections`."""
        return _map_notes("mpii-16", self.mpii_map)

    def of(self, subject: str, recording: str, camera: str) -> NDArray[np.float32] | None:
        """See `Detections`."""
        path = self.paths.get((subject, recording, camera))
        if path is None:
            return None
        points = read_datasets(path, ["poses"]).get("poses")
        if points is None:
            raise DamagedError(str(path), "no array 'poses'", "get the file again")
        return _as_17(points, "mpii-16", str(path), self.mpii_map)


def _open_h5(folder: Path, pattern: str, mpii_map: MpiiMap) -> Detections:
    paths = {}
    for path in sorted(folder.glob(pattern)):
        subject = path.relative_to(folder).parts[0]
        name, _, camera = path.stem.rpartition(".")
        if subject not in SUBJECTS:
            continue
        if camera not in CAMERAS:
            raise InputError(
                str(path), f"unknown camera {camera!r}", "known: " + ", ".join(CAMERAS)
            )
        paths[subject, recording_name(name, str(path)), camera] = path
    return _H5(str(folder / pattern), paths, mpii_map)


def _as_17(points: NDArray[Any], joints: str, place: str, mpii_map: MpiiMap) -> NDArray[np.float32]:
    """(T, 17, 2) pixels from a detector's joints; MPII's by a map (row 35)."""
    known = KEYPOINT_SETS[joints]
    count = len(known.joints)
    fits = points.ndim == 3 and points.shape[1] == count and points.shape[2] in {2, 3}
    if not fits or points.dtype.kind not in "iuf":
        raise DamagedError(
            place, f"keypoints of shape {points.shape}", f"{joints} needs (frames, {count}, 2)"
        )
    numbers = points[..., :2].astype(np.float32)
    if joints == HUMAN36M_17.name:
        return numbers
    conversion = known.conversion(mpii_map)
    shares = np.zeros((len(HUMAN36M_17), count), np.float32)
    for row, name in enumerate(HUMAN36M_17.joints):
        for joint, share in conversion[name].items():
            shares[row, known.index(joint)] = share
    return np.matmul(shares, numbers)
