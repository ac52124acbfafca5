"""Views: every pose of a split as seen by every camera, normalised, ready to train on.

Made once for a pose store and a data configuration, kept in the cache as one Arrow file, and
memory-mapped: all trials of a machine share one copy, and opening it reads nothing.
Axes: V views, J joints.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from synrep.datasets import open_poses
from synrep.datasets.cameras import Camera, place_in_rig, virtual_rig
from synrep.datasets.normalise import normalise_2d, normalise_3d
from synrep.errors import InputError
from synrep.skeleton import HUMAN36M_16, HUMAN36M_17, Skeleton
from synrep.storage import cache_dir

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.config import DataConfig
    from synrep.datasets.store.header import Split
    from synrep.datasets.store.store import Poses, PoseStore

FORMAT = 1
"""Raised when the content of cached views changes meaning: older ones are made anew."""

FIELDS = ("joints", "input_2d", "noise_px", "scale_ref", "real_2d", "cameras", "camera_seed")


def model_skeleton(config: DataConfig) -> Skeleton:
    """The skeleton that the networks see (row 4)."""
    return HUMAN36M_17 if config.joints == 17 else HUMAN36M_16


@dataclass(frozen=True, kw_only=True)
class Views:
    """Normalised views of one split. Tensors share the memory of the cached file.

    Attributes:
        skeleton: joints of all poses.
        keypoints: (V, J, 2) 2D input of the generator, in radii.
        real_keypoints: (V, J, 2) 2D pose shown to the critic with the real 3D pose; the same
            tensor as `keypoints` unless those carry noise or come from a detector.
        poses: (V, J, 3) root-relative poses in the camera frame, in radii.
        scale_mm: (V,) what the 3D pose was divided by.
        ray: (V, 2) direction of the root from the camera, x/z and y/z.
        action: (V,) index into `actions`.
        subject: (V,) index into `subjects`.
        actions: names of the actions.
        subjects: names of the subjects.
    """

    skeleton: Skeleton
    keypoints: Tensor
    real_keypoints: Tensor
    poses: Tensor
    scale_mm: Tensor
    ray: Tensor
    action: Tensor
    subject: Tensor
    actions: list[str]
    subjects: list[str]

    def __len__(self) -> int:
        return len(self.poses)

    def select(self, index: Tensor | slice) -> Views:
        """The views at these positions."""
        return Views(
            skeleton=self.skeleton,
            actions=self.actions,
            subjects=self.subjects,
            **{name: getattr(self, name)[index] for name in COLUMNS},
        )

    def evenly_spaced(self, count: int) -> Views:
        """At most `count` views, evenly spaced: the same ones every time."""
        if count >= len(self):
            return self
        return self.select(torch.linspace(0, len(self) - 1, count).round().long())

    def to(self, device: torch.device, dtype: torch.dtype) -> Views:
        """The views on a device; no copy where none is needed."""
        moved = {
            name: value.to(device, dtype) if value.is_floating_point() else value.to(device)
            for name, value in ((name, getattr(self, name)) for name in COLUMNS)
        }
        if self.real_keypoints is self.keypoints:
            moved["real_keypoints"] = moved["keypoints"]
        return Views(skeleton=self.skeleton, actions=self.actions, subjects=self.subjects, **moved)


COLUMNS = (
    "keypoints", "real_keypoints", "poses", "scale_mm", "ray", "action", "subject",
)  # fmt: skip


def load_views(config: DataConfig, split: str) -> Views:
    """Views of a split ('train', 'validation' or 'test'), made on first use.

    Raises:
        InputError: the poses can't be used; see `synrep.datasets`.
    """
    store = open_poses(config.poses)
    stride = config.train_stride if split == "train" else config.test_stride
    key = {name: getattr(config, name) for name in FIELDS} | {"stride": stride, "split": split}
    if config.noise_px:
        key["noise_seed"] = config.noise_seed
    key |= {"poses": store.fingerprint, "format": FORMAT}
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:20]
    path = cache_dir() / "views" / f"{split}-{digest}.arrow"
    try:
        return _read(path, model_skeleton(config))
    except (FileNotFoundError, pa.ArrowInvalid):  # not made yet, or damaged
        _write(path, _make(store, config, split, stride))
    return _read(path, model_skeleton(config))


def _make(store: PoseStore, config: DataConfig, split: str, stride: int) -> dict[str, Any]:
    poses = store.read(split)
    _check_held_out(store, split, poses)
    skeleton = model_skeleton(config)
    keep = np.flatnonzero(poses.frame % stride == 0)
    if len(keep) == 0:
        raise InputError(f"{store.folder}", f"no frame of {split!r} is a multiple of {stride}")
    joints = store.skeleton.indices(*skeleton.joints)
    if store.header.frame == "camera":
        seen = [_recorded(store, poses, keep, joints)]
    else:
        seen = _virtual(poses, keep, joints, config)
    subjects, subject = np.unique(poses.subject[keep], return_inverse=True)
    actions, action = np.unique(poses.action[keep], return_inverse=True)
    labels = {"action": action.astype(np.int64), "subject": subject.astype(np.int64)}
    parts = [_normalised(one, config, camera) | labels for camera, one in enumerate(seen)]
    columns: dict[str, Any] = {
        name: np.concatenate([part[name] for part in parts]) for name in parts[0]
    }
    return columns | {"actions": actions.tolist(), "subjects": subjects.tolist()}


def _check_held_out(store: PoseStore, split: str, poses: Poses) -> None:
    """Nobody who is scored was trained on, nor chose the generator (row 33)."""
    mine = set(poses.subject.tolist())
    for other in store.splits[: store.splits.index(cast("Split", split))]:
        if both := sorted(mine & store.subjects(other)):
            raise InputError(
                str(store.folder),
                f"subject {both[0]!r} is in {other} and {split}",
                "keep all poses of a subject in one split",
            )


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """Poses before one camera: (N, J, 3) in its frame, their (N, J, 2) pixels, detections."""

    camera_mm: NDArray[np.float64]
    pixels: NDArray[np.float64]
    detected: NDArray[np.float64] | None = None


def _virtual(
    poses: Poses, keep: NDArray[np.int64], joints: list[int], config: DataConfig
) -> list[_Seen]:
    """World-space poses before each camera of the virtual rig."""
    world = poses.joints_mm[:, joints].astype(np.float64)
    for clip in np.unique(poses.clip):
        rows = poses.clip == clip
        world[rows] = place_in_rig(world[rows], root=0)
    rig = virtual_rig(config.cameras, config.camera_seed)
    placed = [(camera, camera.to_camera(world[keep])) for camera in rig]
    return [_Seen(camera_mm=mm, pixels=camera.project(mm)) for camera, mm in placed]


def _recorded(store: PoseStore, poses: Poses, keep: NDArray[np.int64], joints: list[int]) -> _Seen:
    """Poses that come in camera space, with the store's own cameras and detections."""
    place = f"{store.folder}/store.json"
    if poses.camera is None:
        raise InputError(place, "camera-space poses have no column 'camera'")
    camera_mm = poses.joints_mm[keep][:, joints].astype(np.float64)
    names = poses.camera[keep]
    pixels = np.empty((*camera_mm.shape[:2], 2))
    for name in np.unique(names):
        intrinsics = store.header.cameras.get(str(name))
        if intrinsics is None:
            raise InputError(place, f"camera {str(name)!r} of the poses is not under 'cameras'")
        rows = names == name
        pixels[rows] = Camera.recorded(intrinsics.model_dump()).project(camera_mm[rows])
    detected = poses.keypoints_px
    return _Seen(
        camera_mm=camera_mm,
        pixels=pixels,
        detected=None if detected is None else detected[keep][:, joints].astype(np.float64),
    )


def _normalised(seen: _Seen, config: DataConfig, camera: int) -> dict[str, NDArray[Any]]:
    """The columns of the views of one camera."""
    poses, scale = normalise_3d(seen.camera_mm, config.scale_ref)
    root = seen.camera_mm[:, 0]
    clean = given = seen.pixels
    if config.input_2d == "orthographic":
        clean = given = seen.camera_mm[..., :2]
    elif seen.detected is not None:
        given = seen.detected
    if config.noise_px:
        random = np.random.default_rng([config.noise_seed, camera, len(poses)])
        given = given + random.normal(0, config.noise_px, given.shape)
    columns = {
        "keypoints": normalise_2d(given, config.scale_ref)[0],
        "poses": poses,
        "scale_mm": scale,
        "ray": root[:, :2] / root[:, 2:],
    }
    if given is not clean and config.real_2d == "gt":
        columns["real_keypoints"] = normalise_2d(clean, config.scale_ref)[0]
    return {name: value.astype(np.float32) for name, value in columns.items()}


def _write(path: Path, columns: dict[str, Any]) -> None:
    names = {"actions": columns.pop("actions"), "subjects": columns.pop("subjects")}
    arrays = {}
    for name, value in columns.items():
        flat = pa.array(value.reshape(-1))
        width = value[0].size
        arrays[name] = flat if value.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, width)
    table = pa.table(arrays).replace_schema_metadata({"names": json.dumps(names)})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{uuid.uuid4().hex[:8]}.tmp")
    try:
        with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            # One batch: each column is one contiguous block that a tensor can map.
            writer.write_batch(table.to_batches()[0])
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Path, skeleton: Skeleton) -> Views:
    batch = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
    names = json.loads(batch.schema.metadata[b"names"])
    tensors: dict[str, Any] = {}
    for name in batch.schema.names:
        column = batch.column(name)
        if isinstance(column, pa.FixedSizeListArray):
            rows = from_dlpack(column.values).view(len(batch), -1)
            points = rows.shape[1] > 2
            tensors[name] = rows.view(len(batch), len(skeleton), -1) if points else rows
        else:
            tensors[name] = from_dlpack(column)
    tensors.setdefault("real_keypoints", tensors["keypoints"])
    return Views(skeleton=skeleton, **names, **tensors)
