"""Check that poses, cameras and keypoints of Human3.6M are consistent and in the right units.

Medians over all recordings of a subject are checked, because single recordings are damaged even
in the original data set.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from synrep.datasets.human36m.protocol import IMAGE_PX
from synrep.errors import DamagedError
from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synrep.datasets.cameras import Camera

    Key = tuple[str, str]

SAMPLES = 25
"""Number of poses checked per recording and camera."""
THIGH_MM = (250.0, 650.0)
"""Plausible range of thigh lengths."""
MAX_ERROR_PX = 60.0
"""Largest accepted median error of a detector's joints; good detectors have about 10."""
MIRROR = list(range(len(HUMAN36M_17)))
"""Permutation that swaps left and right joints."""
for _left, _right in HUMAN36M_17.pairs:
    MIRROR[_left], MIRROR[_right] = _right, _left


def evenly_spaced(count: int, samples: int = SAMPLES) -> NDArray[np.intp]:
    """Return at most `samples` evenly spaced row indices."""
    return np.linspace(0, count - 1, min(count, samples)).round().astype(np.intp)


def check_size(joints_mm: NDArray[np.floating], unit: str, place: str) -> None:
    """Check the unit of joint positions (T, 17, 3) by the length of the thighs.

    Args:
        joints_mm: positions after conversion to millimetres.
        unit: unit from which they were converted, for the message.
        place: name of the file, for the message.

    Raises:
        DamagedError: the thighs are not of human length.
    """
    hip, knee = HUMAN36M_17.indices("RHip", "RKnee")
    rows = joints_mm[evenly_spaced(len(joints_mm))]
    length = float(np.median(np.linalg.norm(rows[:, knee] - rows[:, hip], axis=-1)))
    low, high = THIGH_MM
    if low <= length <= high or not np.isfinite(length):
        return
    raise DamagedError(
        place,
        f"read in {unit}, thighs are {length:.3g} mm long; people's are about 450",
        f"files of this layout are in {unit}: convert the file, or choose another --layout",
    )


class ConsistencyCheck:
    """Collects samples of each subject and camera, and checks them after all files were read."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._bodies: defaultdict[str, list[NDArray[np.float64]]] = defaultdict(list)
        self._inside: defaultdict[Key, list[NDArray[np.bool_]]] = defaultdict(list)
        self._detected: defaultdict[Key, list[tuple[float, float]]] = defaultdict(list)
        self._projected: defaultdict[Key, list[float]] = defaultdict(list)

    def add_world(self, subject: str, joints_mm: NDArray[np.float64]) -> None:
        """Add joint positions (T, 17, 3) in world coordinates."""
        head, hip = HUMAN36M_17.indices("Head", "Hip")
        rows = joints_mm[evenly_spaced(len(joints_mm))]
        self._bodies[subject].append(rows[:, head] - rows[:, hip])

    def add_view(
        self,
        key: Key,
        camera: Camera,
        camera_mm: NDArray[np.float64],
        detected: NDArray[np.float32] | None,
        projected: NDArray[np.float32] | None = None,
    ) -> None:
        """Add joint positions (T, 17, 3) in a camera frame, with the keypoints to compare.

        Args:
            key: names of subject and camera.
            camera: camera with which the positions are projected.
            camera_mm: (T, 17, 3) positions.
            detected: (T, 17, 2) keypoints of a detector, if any.
            projected: (T, 17, 2) keypoints projected by another program, if any.
        """
        rows = evenly_spaced(len(camera_mm))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            pixels = camera.project(camera_mm[rows])
        root = pixels[:, 0]
        ahead = camera_mm[rows, 0, 2] > 0
        size = np.array(IMAGE_PX[key[1]])
        self._inside[key].append(ahead & (root > 0).all(-1) & (root < size).all(-1))
        if detected is not None:
            keypoints = detected[rows]
            mirrored = keypoints[:, MIRROR]
            self._detected[key].append((_error_px(keypoints, pixels), _error_px(mirrored, pixels)))
        if projected is not None:
            self._projected[key].append(_error_px(projected[rows], pixels))

    def check(self, keypoints_place: str) -> None:
        """Check everything that was added.

        Args:
            keypoints_place: source of the keypoints, for messages.

        Raises:
            DamagedError: axes, cameras or keypoints are wrong.
        """
        for subject, bodies in self._bodies.items():
            _check_up(np.concatenate(bodies), f"{self.place}, {subject}")
        for (subject, camera), inside in self._inside.items():
            share = float(np.concatenate(inside).mean())
            if share < 0.5:
                raise DamagedError(
                    f"{self.place}, {subject}",
                    f"{100 * (1 - share):.0f} % of the poses are outside of the images of camera "
                    f"{camera}",
                    "axes are swapped, or the cameras belong to other recordings",
                )
        for (subject, camera), pairs in self._detected.items():
            error, mirrored = np.median(pairs, axis=0).tolist()
            _check_error(error, mirrored, f"{keypoints_place}, {subject}, camera {camera}")
        for (subject, camera), values in self._projected.items():
            if (error := float(np.median(values))) > 1:
                raise DamagedError(
                    f"{keypoints_place}, {subject}, camera {camera}",
                    f"its keypoints are {error:.3g} px off the projected poses of {self.place}",
                    "poses, cameras and this file are from different sources; remove it to go on",
                )


def _error_px(points: NDArray[np.float32], pixels: NDArray[np.float64]) -> float:
    """Return the mean joint distance between keypoints (T, 17, 2), as the median over frames."""
    return float(np.median(np.linalg.norm(points - pixels, axis=-1).mean(-1)))


def _check_up(bodies: NDArray[np.float64], place: str) -> None:
    """Check that the vectors (N, 3) from hip to head point along +z in the median."""
    mean = np.median(
        bodies / np.maximum(np.linalg.norm(bodies, axis=1, keepdims=True), 1e-9), axis=0
    )
    if mean[2] < 0.6:
        axis = "xyz"[int(np.abs(mean).argmax())]
        sign = "-" if mean[int(np.abs(mean).argmax())] < 0 else "+"
        raise DamagedError(
            place,
            f"heads are above hips along {sign}{axis}, where Human3.6M's world has +z up",
            "the axes are swapped: get the file again",
        )


def _check_error(error: float, mirrored: float, place: str) -> None:
    """Check the median error in pixels of detected keypoints, and that of the mirrored ones."""
    if mirrored < 0.7 * error:
        raise DamagedError(
            place,
            f"keypoints fit better with left and right exchanged ({mirrored:.0f} px off instead "
            f"of {error:.0f})",
            "the joints are in another order",
        )
    if error > MAX_ERROR_PX:
        raise DamagedError(
            place,
            f"keypoints are {error:.0f} px off the projected poses",
            "the joints are in another order, or the cameras are swapped",
        )
