"""Readers of files that others wrote, as functions of bytes, for fuzzing.

Each takes the content of one file. It returns, or raises one of the project's own errors; anything
else is a defect.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from synrep_search.search_file import load_spec

from synrep.datasets.mocap.asf_amc import read_amc, read_asf
from synrep.datasets.mocap.bvh import read_bvh
from synrep.datasets.mocap.joint_maps import load_joint_map, require_joints
from synrep.datasets.mpii import read_mpii
from synrep.datasets.store.header import read_header
from synrep.datasets.store.store import PoseStore
from synrep.datasets.untrusted.hdf5 import read_datasets
from synrep.datasets.untrusted.npz import read_npz
from synrep.errors import SynrepError
from synrep.inference.keypoints.keypoints import read_keypoints, skip_missing
from synrep.inference.lifter import Lifter
from synrep.training.checkpoint import read_checkpoint
from tests.security import seeds

if TYPE_CHECKING:
    from collections.abc import Callable


class Target(NamedTuple):
    """One reader.

    Attributes:
        run: reads the content of a file; the folder is for that file.
        seeds: contents that it accepts, or nearly.
    """

    run: Callable[[bytes, Path], Any]
    seeds: Callable[[], list[bytes]]


def attempt(name: str, content: bytes) -> str:
    """Read a content: "read", or the name of the project's error that it ended with."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            TARGETS[name].run(content, Path(folder))
        except SynrepError as error:
            str(error)
            return type(error).__name__
    return "read"


def _file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def _spec(content: bytes, folder: Path) -> None:
    spec = load_spec(_file(folder, "search.yaml", content))
    assert spec.model_dump_json()
    assert spec.space.describe() is not None


def _override(content: bytes, folder: Path) -> None:
    load_spec(_file(folder, "search.yaml", seeds.SPEC), [content.decode("utf-8", "replace")])


def _header(content: bytes, folder: Path) -> None:
    _file(folder, "store.json", content)
    read_header(folder)


def _parquet(content: bytes, folder: Path) -> None:
    header = json.loads(seeds.store()["store.json"])
    header["splits"] = {"train": seeds.ROWS}
    header["sha256"] = {"train": hashlib.sha256(content).hexdigest()}
    _file(folder, "store.json", json.dumps(header).encode())
    _file(folder, "train.parquet", content)
    PoseStore.open(folder).read("train")


def _npz(content: bytes, folder: Path) -> None:
    read_npz(_file(folder, "x.npz", content))


def _bvh(content: bytes, folder: Path) -> None:
    read_bvh(_file(folder, "x.bvh", content), 25.0).world()


def _asf(content: bytes, folder: Path) -> None:
    skeleton = read_asf(_file(folder, "x.asf", content))
    read_amc(_file(folder, "x.amc", seeds.AMC), skeleton, 120.0, 60.0).world()


def _amc(content: bytes, folder: Path) -> None:
    skeleton = read_asf(_file(folder, "x.asf", seeds.ASF))
    read_amc(_file(folder, "x.amc", content), skeleton, 120.0, 60.0).world()


def _joint_map(content: bytes, folder: Path) -> None:
    entry = load_joint_map(str(_file(folder, "x.json", content)))
    require_joints("x", entry, ("Hips", "Leg"))


def _keypoints(suffix: str) -> Callable[[bytes, Path], None]:
    def run(content: bytes, folder: Path) -> None:
        skip_missing(read_keypoints(_file(folder, f"x{suffix}", content)))

    return run


def _mpii(suffix: str) -> Callable[[bytes, Path], None]:
    def run(content: bytes, folder: Path) -> None:
        read_mpii(_file(folder, f"x{suffix}", content))

    return run


def _checkpoint(content: bytes, folder: Path) -> None:
    state = read_checkpoint(_file(folder, "x.safetensors", content))
    Lifter.of(state, "x").lift_radii(np.ones((1, 17, 2)))


def _export(content: bytes, folder: Path) -> None:
    _file(folder, "config.json", content)
    _file(folder, "generator.safetensors", seeds.weights())
    Lifter.load(folder).lift_radii(np.ones((1, 17, 2)))


def _h5(content: bytes, folder: Path) -> None:
    read_datasets(_file(folder, "x.h5", content), ["a", "b"])


TARGETS = {
    "spec": Target(_spec, lambda: [seeds.SPEC, seeds.FAMILIES]),
    "override": Target(_override, lambda: [b"search.trials=4", b"space.x={float: [0, 1]}"]),
    "header": Target(_header, lambda: [seeds.store()["store.json"]]),
    "parquet": Target(_parquet, seeds.parquet),
    "npz": Target(_npz, seeds.npz),
    "bvh": Target(_bvh, lambda: [seeds.BVH]),
    "asf": Target(_asf, lambda: [seeds.ASF]),
    "amc": Target(_amc, lambda: [seeds.AMC]),
    "joint-map": Target(_joint_map, seeds.joint_map),
    "keypoints-json": Target(_keypoints(".json"), seeds.json_forms),
    "keypoints-csv": Target(_keypoints(".csv"), seeds.csv),
    "keypoints-yolo": Target(_keypoints(".txt"), seeds.yolo),
    "keypoints-npz": Target(_keypoints(".npz"), lambda: seeds.npz()[2:]),
    "mpii-json": Target(_mpii(".json"), seeds.mpii),
    "mpii-mat": Target(_mpii(".mat"), seeds.mat),
    "checkpoint": Target(_checkpoint, seeds.checkpoint),
    "export": Target(_export, seeds.export),
    "hdf5": Target(_h5, seeds.h5),
}
"""Every reader by name."""
