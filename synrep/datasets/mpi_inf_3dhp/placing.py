"""Convert recordings of MPI-INF-3DHP to poses that project to their keypoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synrep.datasets.mpi_inf_3dhp import cameras
from synrep.datasets.mpi_inf_3dhp.published import FPS
from synrep.datasets.store.checks import units
from synrep.datasets.store.header import Description, Intrinsics
from synrep.datasets.store.poses import Poses
from synrep.errors import InputError
from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from synrep.datasets.mpi_inf_3dhp.recording import CameraSequence

LIMIT_PX = 50.0
"""Largest accepted median reprojection error; above it 2D and 3D don't belong together."""
LIMIT_CALIBRATION_PX = 1.0
"""Largest median reprojection error of a calibrated camera; above it the camera is fitted."""
LIMIT_RESCALED_MM = 50.0
"""Largest accepted median joint distance between `univ_annot3` and rescaled `annot3`; above it they
are not of the same person or frames."""
SHOWN = 3
"""Number of recordings that a note lists; the others are counted."""

ROOT = HUMAN36M_17.index("Hip")


class PosePlacer:
    """Converts recordings to poses one by one, and collects notes for the user."""

    def __init__(self) -> None:
        self.intrinsics: dict[str, Intrinsics] = {}
        """Intrinsics of each recording's camera, by the recording's name."""
        self._calibrated = 0
        self._ignored: list[str] = []
        self._worst = (0.0, "")
        self._scales: list[float] = []
        self._residual_mm = 0.0

    def add(self, recording: CameraSequence) -> Poses:
        """Convert a recording to poses that project to its keypoints.

        Raises:
            InputError: a joint is not a number, 2D and 3D or the two variants of the 3D poses
                don't belong together, or the poses are not in millimetres.
        """
        poses, keypoints = recording.poses_mm, recording.keypoints_px
        _require_numbers(recording)
        if recording.projecting_mm is None:
            intrinsics, poses = cameras.fit_rescaled(poses, keypoints, ROOT)
        else:
            poses = self._rescaled(recording, recording.projecting_mm)
            intrinsics = self._camera(recording, recording.projecting_mm)
        error = cameras.reprojection_px(intrinsics, poses, keypoints)
        if min(intrinsics.focal_px) <= 0:
            raise InputError(
                f"{recording.source}: {recording.name}",
                "its 3D is a mirror image of its 2D",
                "x must point right in both, y down",
            )
        if not error <= LIMIT_PX:
            raise InputError(
                f"{recording.source}: {recording.name}",
                f"2D and 3D don't belong together: projected joints are {error:.0f} px off",
                "both must be of the same frames, joints and camera, in pixels and in its frame",
            )
        self._worst = max(self._worst, (error, recording.name))
        self.intrinsics[recording.name] = intrinsics
        return _poses(recording, poses)

    def _rescaled(self, recording: CameraSequence, projecting_mm: cameras.Array) -> cameras.Array:
        """Move the poses so that they project like `projecting_mm`."""
        poses, scale, residual_mm = cameras.rescaled(recording.poses_mm, projecting_mm, ROOT)
        if residual_mm > LIMIT_RESCALED_MM:
            raise InputError(
                f"{recording.source}: {recording.name}",
                f"univ_annot3 is not a rescaled annot3: they differ by {residual_mm:.0f} mm",
                "get the file again, or use --poses annot3",
            )
        self._scales += [float(scale.min()), float(scale.max())]
        self._residual_mm = max(self._residual_mm, residual_mm)
        return poses

    def _camera(self, recording: CameraSequence, projecting_mm: cameras.Array) -> Intrinsics:
        """Return the calibrated camera if the poses project well by it, else a fitted one."""
        keypoints = recording.keypoints_px
        if (calibrated := recording.calibration) is not None:
            error = cameras.reprojection_px(calibrated, projecting_mm, keypoints)
            if error <= LIMIT_CALIBRATION_PX:
                self._calibrated += 1
                return calibrated
            self._ignored.append(f"{recording.name} ({error:.1f} px)")
        return cameras.fit_intrinsics(projecting_mm, keypoints)

    def notes(self) -> list[str]:
        """Return notes for the user on cameras and scales; errors are medians of a recording."""
        fitted = len(self.intrinsics) - self._calibrated
        error, name = self._worst
        source = f"cameras: {self._calibrated} from camera.calibration, {fitted} fitted"
        notes = [f"{source}; joints project at worst {error:.1g} px off in {name}"]
        if self._ignored:
            more = len(self._ignored) - SHOWN
            notes.append(
                "camera.calibration does not fit the annotations of "
                + ", ".join(self._ignored[:SHOWN])
                + (f" and {more} more" if more > 0 else "")
                + ": not used there"
            )
        if self._scales:
            low, high = min(self._scales), max(self._scales)
            notes.append(
                f"the poses are annot3 times {low:.3f} to {high:.3f}, to within "
                f"{self._residual_mm:.1f} mm"
            )
        return notes


def _require_numbers(recording: CameraSequence) -> None:
    """Refuse recordings with missing joints in the frames that are used."""
    for what, points in (
        ("annot2", recording.keypoints_px),
        ("annot3", recording.projecting_mm),
        ("the pose", recording.poses_mm),
    ):
        if points is None:
            continue
        gaps = np.flatnonzero(~np.isfinite(points).all(axis=(1, 2)))
        if len(gaps):
            raise InputError(
                f"{recording.source}: {recording.name}",
                f"a joint of {what} is not a number in frame {recording.frame[gaps[0]]} (at {FPS} "
                f"fps); {len(gaps)} such frames",
                "get the file again: the published one has none",
            )


def _poses(recording: CameraSequence, joints_mm: cameras.Array) -> Poses:
    count = len(joints_mm)
    poses = Poses(
        joints_mm=joints_mm.astype(np.float32),
        subject=np.full(count, recording.subject),
        action=recording.action,
        clip=np.full(count, recording.name),
        frame=recording.frame,
        fps=FPS,
        camera=np.full(count, recording.name),
        keypoints_px=recording.keypoints_px.astype(np.float32),
    )
    about = Description(name="MPI-INF-3DHP", skeleton=HUMAN36M_17.name, fps=FPS, licence="")
    finding = units(poses, about)
    if finding.status == "failed":
        raise InputError(f"{recording.source}: {recording.name}", finding.detail, finding.remedy)
    return poses
