"""Whether poses, cameras and keypoints of Human3.6M fit each other, and are in the right units.

Judged for each subject over all recordings: single ones are damaged even in the best of files.
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
"""Poses that are looked at in one recording before one camera."""
THIGH_MM = (250.0, 650.0)
"""Lengths of people's thighs."""
FAR_PX = 60.0
"""Most that a detector's joints may be off in the median; good ones are about 10 off."""
MIRROR = list(range(len(HUMAN36M_17)))
for _left, _right in HUMAN36M_17.pairs:
    MIRROR[_left], MIRROR[_right] = _right, _left


def evenly_spaced(count: int, samples: int = SAMPLES) -> NDArray[np.intp]:
    """Numbers of at most `samples` rows, evenly spaced."""
    return np.linspace(0, count - 1, min(count, samples)).round().astype(np.intp)


def check_size(joints_mm: NDArray[np.floating], unit: str, place: str) -> None:
    """Thighs are as long as people's.

    Raises:
        DamagedError: they are not.
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
        f"this layout holds {unit}: convert the file, or choose another --layout",
    )


class Evidence:
    """What was seen of each subject and camera, to be judged when all is read."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._bodies: defaultdict[str, list[NDArray[np.float64]]] = defaultdict(list)
        self._inside: defaultdict[Key, list[NDArray[np.bool_]]] = defaultdict(list)
        self._off: defaultdict[Key, list[tuple[float, float]]] = defaultdict(list)
        self._apart: defaultdict[Key, list[float]] = defaultdict(list)

    def world(self, subject: str, joints_mm: NDArray[np.float64]) -> None:
        """Take note of (T, 17, 3) positions in the room."""
        head, hip = HUMAN36M_17.indices("Head", "Hip")
        rows = joints_mm[evenly_spaced(len(joints_mm))]
        self._bodies[subject].append(rows[:, head] - rows[:, hip])

    def view(
        self,
        key: Key,
        camera: Camera,
        camera_mm: NDArray[np.float64],
        detected: NDArray[np.float32] | None,
        projected: NDArray[np.float32] | None = None,
    ) -> None:
        """Take note of (T, 17, 3) positions before a camera.

        Args:
            key: subject and camera.
            camera: what they are projected with.
            camera_mm: the positions.
            detected: (T, 17, 2) keypoints of a detector.
            projected: (T, 17, 2) keypoints that another program projected.
        """
        rows = evenly_spaced(len(camera_mm))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            pixels = camera.project(camera_mm[rows])
        root = pixels[:, 0]
        ahead = camera_mm[rows, 0, 2] > 0
        size = np.array(IMAGE_PX[key[1]])
        self._inside[key].append(ahead & (root > 0).all(-1) & (root < size).all(-1))
        if detected is not None:
            seen = detected[rows]
            self._off[key].append((_apart(seen, pixels), _apart(seen[:, MIRROR], pixels)))
        if projected is not None:
            self._apart[key].append(_apart(projected[rows], pixels))

    def judge(self, keypoints_place: str) -> None:
        """Judge all that was seen.

        Args:
            keypoints_place: where keypoints are from, for messages.

        Raises:
            DamagedError: axes, cameras or keypoints can't be right.
        """
        for subject, bodies in self._bodies.items():
            _judge_up(np.concatenate(bodies), f"{self.place}, {subject}")
        for (subject, camera), inside in self._inside.items():
            share = float(np.concatenate(inside).mean())
            if share < 0.5:
                raise DamagedError(
                    f"{self.place}, {subject}",
                    f"{100 * (1 - share):.0f} % of the poses are outside of the images of camera "
                    f"{camera}",
                    "axes are swapped, or the cameras are those of other recordings",
                )
        for (subject, camera), pairs in self._off.items():
            off, mirrored = np.median(pairs, axis=0).tolist()
            _judge_off(off, mirrored, f"{keypoints_place}, {subject} before camera {camera}")
        for (subject, camera), values in self._apart.items():
            if (apart := float(np.median(values))) > 1:
                raise DamagedError(
                    f"{keypoints_place}, {subject} before camera {camera}",
                    f"its keypoints are {apart:.3g} px off the projected poses of {self.place}",
                    "poses, cameras and this file are of different sources; take it away to go on",
                )


def _apart(points: NDArray[np.float32], pixels: NDArray[np.float64]) -> float:
    """Mean distance of the joints of (T, 17, 2) keypoints, the median over frames."""
    return float(np.median(np.linalg.norm(points - pixels, axis=-1).mean(-1)))


def _judge_up(bodies: NDArray[np.float64], place: str) -> None:
    mean = np.median(
        bodies / np.maximum(np.linalg.norm(bodies, axis=1, keepdims=True), 1e-9), axis=0
    )
    if mean[2] < 0.6:
        axis = "xyz"[int(np.abs(mean).argmax())]
        sign = "-" if mean[int(np.abs(mean).argmax())] < 0 else "+"
        raise DamagedError(
            place,
            f"heads are above hips along {sign}{axis}, where Human3.6M's world has +z up",
            "the axes were swapped: get the file again",
        )


def _judge_off(off: float, mirrored: float, place: str) -> None:
    if mirrored < 0.7 * off:
        raise DamagedError(
            place,
            f"keypoints fit better with left and right exchanged ({mirrored:.0f} px off instead "
            f"of {off:.0f})",
            "the joints are in another order",
        )
    if off > FAR_PX:
        raise DamagedError(
            place,
            f"keypoints are {off:.0f} px off the projected poses",
            "the joints are in another order, or the cameras are",
        )
