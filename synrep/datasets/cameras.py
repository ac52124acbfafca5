"""Cameras: the pinhole model with Human3.6M's distortion, and a seeded rig of virtual ones.

World frame: right-handed millimetres, z up. Camera frame: x right, y down, z away.
Axes: N poses, J joints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A camera with radial and tangential distortion.

    Attributes:
        focal_px: (2,) focal lengths.
        centre_px: (2,) principal point.
        radial: (3,) coefficients of r^2, r^4, r^6.
        tangential: (2,) coefficients (p1, p2) in Human3.6M's convention.
        rotation: (3, 3) from world to camera.
        position_mm: (3,) of the camera in the world.
    """

    focal_px: Array
    centre_px: Array
    radial: Array
    tangential: Array
    rotation: Array
    position_mm: Array

    @classmethod
    def recorded(cls, intrinsics: Mapping[str, Sequence[float]]) -> Camera:
        """A camera known only by its intrinsics, for poses that are in its frame already.

        Args:
            intrinsics: `focal_px`, `centre_px`, `radial`, `tangential`.
        """
        return cls(
            rotation=np.eye(3),
            position_mm=np.zeros(3),
            **{name: np.array(values, np.float64) for name, values in intrinsics.items()},
        )

    def to_camera(self, world_mm: Array) -> Array:
        """World to camera coordinates, (..., 3)."""
        return np.asarray((world_mm - self.position_mm) @ self.rotation.T)

    def project(self, camera_mm: Array) -> Array:
        """Pixels (..., 2) of points in front of the camera (..., 3)."""
        plane = camera_mm[..., :2] / camera_mm[..., 2:]
        r2 = (plane**2).sum(-1, keepdims=True)
        k1, k2, k3 = self.radial
        p1, p2 = self.tangential
        factor = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)) + p1 * plane[..., 1:] + p2 * plane[..., :1]
        distorted = plane * factor + np.array([p2, p1]) * r2
        return np.asarray(distorted * self.focal_px + self.centre_px)


def look_at(position_mm: Array, target_mm: Array, roll_rad: float = 0.0) -> Array:
    """Rotation (3, 3) from world to camera of a camera at a position that looks at a target."""
    away = (target_mm - position_mm) / np.linalg.norm(target_mm - position_mm)
    right = np.cross(away, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(away, right)
    cos, sin = np.cos(roll_rad), np.sin(roll_rad)
    return np.stack([cos * right + sin * down, cos * down - sin * right, away])


def virtual_rig(count: int, seed: int) -> list[Camera]:
    """Cameras around the origin of the world in the manner of Human3.6M's four.

    They stand about 5 m from the middle and 1.5 m high, evenly around it, and look at the middle
    of a standing person; focal lengths and distortion are near those of Human3.6M's cameras, and
    position, aim and roll are a little irregular. All of it is drawn from the seed.
    """
    random = np.random.default_rng([seed, 0x5EED])
    cameras = []
    for index in range(count):
        angle = 2 * np.pi * (index + 0.5) / count + random.uniform(-0.12, 0.12)
        distance, height = random.uniform(4600, 5600), random.uniform(1350, 1650)
        position = np.array([distance * np.cos(angle), distance * np.sin(angle), height])
        target = np.array([*random.uniform(-150, 150, 2), random.uniform(850, 1000)])
        focal = random.uniform(1143, 1150)
        cameras.append(
            Camera(
                focal_px=np.array([focal, focal + random.uniform(-1.5, 1.5)]),
                centre_px=random.uniform(506, 518, 2),
                radial=np.array(
                    [
                        random.uniform(-0.21, -0.19),
                        random.uniform(0.23, 0.28),
                        random.uniform(-0.01, 0),
                    ]
                ),
                tangential=random.uniform(-0.0017, 0.0, 2),
                rotation=look_at(position, target, random.uniform(-0.02, 0.02)),
                position_mm=position,
            )
        )
    return cameras


def place_in_rig(world_mm: Array, root: int, reach_mm: float = 1500.0) -> Array:
    """Move the poses (N, J, 3) of one clip into the capture area around the rig's origin.

    The clip is centred horizontally; a pose whose root would still lie more than `reach_mm` from
    the origin is moved onto that circle, so nobody walks past or behind a camera. Heights stay.
    """
    ground = world_mm[:, root, :2]
    offset = ground - np.median(ground, axis=0)
    distance = np.linalg.norm(offset, axis=1, keepdims=True)
    kept = offset * np.minimum(1, reach_mm / np.maximum(distance, 1e-9))
    placed = world_mm.copy()
    placed[..., :2] += (kept - ground)[:, None]
    return placed
