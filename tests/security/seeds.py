"""Contents that the readers of `targets.py` accept, or nearly: what fuzzing starts from."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.io
import torch
from safetensors.numpy import save

from synrep.config import GeneratorConfig, TrainConfig
from synrep.datasets.mocap.joint_maps import JOINT_MAPS
from synrep.datasets.store.store import write_store
from synrep.datasets.synthetic.generate import description, generate
from synrep.keypoint_sets import COCO_17
from synrep.model.networks import Generator

ASF = b""":version 1.10
:name body
:units
  mass 1.0
  length 0.45
  angle deg
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 0
  orientation 0 0 0
:bonedata
  begin
    id 1
    name leg
    direction 0.6 -0.7 0.2
    length 2.5
    axis 0 0 20 XYZ
    dof rx rz
    limits (-160.0 20.0)
  end
:hierarchy
  begin
    root leg
  end
"""
AMC = b"""#!OML:ASF
:FULLY-SPECIFIED
:DEGREES
1
root 0 1 2 3 4 5
leg 10 20
2
root 0 1 2 3 4 5
leg 11 21
"""
BVH = b"""HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT Leg
  {
    OFFSET 0 -1.5 0
    CHANNELS 3 Zrotation Yrotation Xrotation
    End Site
    {
      OFFSET 0 -1 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.0083333
0 1 2 3 4 5 6 7 8
0 1 2 3 4 5 6 7 9.5
"""
SPEC = b"""name: fuzzed
trainer: scripted
train: {iterations: 9, reports: 3}
space:
  x: {float: [-1, 1]}
  y: {choice: [0.5, 1]}
search: {minimize: loss, trials: 4, sampler: {tpe: {seed: 1}}, early_stopping: {asha: {grace: 0.1}}}
start_from: [{x: 0.5, y: 1}]
resources: {cpu: 1, fuse: 2}
failures: {retries: 1}
storage: s3://bucket/searches
ledger: postgresql://db/synrep
tracking: {uri: "http://mlflow:5000", keep_best: 1}
"""
FAMILIES = b"""name: families
train: {iterations: 100, generator.width: 16}
space:
  loss.lambda_angle: {log: [0.01, 10]}
  kcs.weighting: {one_of: {tanh: {scale: {log: [0.25, 4]}}, uniform: {}}}
  critic.steps: {int: [1, 5], step: 2}
search: {minimize: validation/mpjpe_mm}
"""

ROWS = 4
"""Of a pose store's file."""


@functools.cache
def store() -> dict[str, bytes]:
    """The files of a small pose store."""
    with tempfile.TemporaryDirectory() as folder:
        write_store(Path(folder) / "store", description(), generate(0, 1.0))
        return {path.name: path.read_bytes() for path in (Path(folder) / "store").iterdir()}


def parquet() -> list[bytes]:
    """A few rows of a pose store, packed and not."""
    table = pq.read_table(pa.BufferReader(store()["train.parquet"])).slice(0, ROWS)
    found = []
    for packing in ("zstd", "none"):
        sink = io.BytesIO()
        pq.write_table(table, sink, compression=packing)
        found.append(sink.getvalue())
    return found


def npz() -> list[bytes]:
    """Archives with pickled containers, and one of plain arrays, which is the last."""
    video = {"a.mp4": {"custom": [np.full((2, 17, 2), 9.0)]}}
    found = []
    for value in (
        {"positions_3d": np.array({"S1": {"Walking": np.ones((2, 3), np.float32)}}, object)},
        {"a": np.array([(1, "x"), [2.5, None], {3}], object)},
        {"positions_2d": np.array(video), "metadata": np.array({"layout_name": "coco"})},
        {"keypoints": np.full((1, 17, 2), 9.0), "skeleton": np.array("coco-17")},
    ):
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=True, **value)
        found.append(buffer.getvalue())
    return found


def joint_map() -> list[bytes]:
    """All built-in joint maps as files."""
    return [entry.model_dump_json().encode() for entry in JOINT_MAPS.values()]


def json_forms() -> list[bytes]:
    """Every form of keypoints in JSON."""
    frame = [[x + 3, 2 * x + 50.5] for x in range(17)]
    flat = [number for x, y in frame for number in (x, y, 0.9)]
    person = {"pose_keypoints_2d": [15.5] * 75}
    found = [
        {"skeleton": "coco-17", "keypoints": [frame, frame], "frames": [3, 4]},
        {"skeleton": "human36m-17", "keypoints": [[*frame[:16], None]]},
        {"version": 1.3, "people": [person, person]},
        [{"image_id": "frame 9", "category_id": 1, "keypoints": flat, "score": 0.5}],
        [frame],
        *_detectors(frame, flat),
    ]
    return [json.dumps(value).encode() for value in found]


def _detectors(frame: list[list[float]], flat: list[float]) -> list[Any]:
    """MMPose's, AlphaPose's and MediaPipe's files of two people."""
    instance = {"keypoints": frame, "keypoint_scores": [0.9] * 17, "bbox_score": 0.5}
    marks = [{"x": 10.5 * n, "y": 20.5, "visibility": 0.9} for n in range(33)]
    result = {"image_id": "9.jpg", "keypoints": flat, "score": 0.5, "box": [1, 2, 3, 4]}
    return [
        {"meta_info": {}, "instance_info": [{"frame_id": 1, "instances": [instance, instance]}]},
        [instance | {"track_id": 4}, instance],
        [result | {"idx": 3}, result | {"idx": [4]}],
        {"frames": [{"frame": 3, "landmarks": marks}, {"frame": 4, "landmarks": [marks, marks]}]},
    ]


def yolo() -> list[bytes]:
    """Lines of two people, with and without what may be left out."""
    line = " ".join(["0", "50.5", "60.5", "10", "20", *["11.5 22 0.5"] * 17])
    return [f"{line} 0.5 3\n{line} 0.5 4\n".encode(), f"{line}\n{line} 1\n".encode()]


def csv() -> list[bytes]:
    """A table of keypoints, DeepLabCut's and MediaPipe's."""
    head = ",".join(f"{joint}_x,{joint}_y,{joint}_conf" for joint in COCO_17.joints)
    row = ",".join(["11.5,22,0.5"] * 17)
    parts = ",".join(f"{joint},{joint},{joint}" for joint in COCO_17.joints)
    coords = ",".join(["x,y,likelihood"] * 17)
    scorer = "scorer" + ",D" * 51
    marks = ",".join(f"x{n},y{n},v{n}" for n in range(33))
    long = "".join(f"1,{n},1{n}.5,20\n" for n in range(33))
    return [
        f"frame,{head}\n1,{row}\n2,{row}\n".encode(),
        f"{scorer}\nbodyparts,{parts}\ncoords,{coords}\n0,{row}\n1,{row}\n".encode(),
        f"frame,{marks}\n1,{','.join(['11.5,22,0.5'] * 33)}\n".encode(),
        f"frame,landmark,x,y\n{long}".encode(),
    ]


def mpii() -> list[bytes]:
    """Two people, one of whom is not annotated."""
    joints = [[x + 1.0, 2.0 * x + 1] for x in range(16)]
    entry = {"image": "a.jpg", "joints": joints, "joints_vis": [1] * 16, "scale": 2.5}
    return [json.dumps([entry, {"image": "b.jpg"}]).encode()]


def mat() -> list[bytes]:
    """One person in MPII's structs, packed and not."""
    point = np.array([(1.0, 2.0, 3)], [("x", object), ("y", object), ("id", object)])
    points = np.array([(point,)], [("point", object)])
    people = np.array([(points,)], [("annopoints", object)])
    image = np.array([("a.jpg",)], [("name", object)])
    rows = np.array([(image, people)], [("image", object), ("annorect", object)])
    release = np.array([(rows,)], [("annolist", object)])
    found = []
    for packed in (False, True):
        buffer = io.BytesIO()
        scipy.io.savemat(buffer, {"RELEASE": release}, do_compression=packed)
        found.append(buffer.getvalue())
    return found


@functools.cache
def generator() -> tuple[dict[str, Any], dict[str, Any]]:
    """What a checkpoint tells of a small generator, and its weights: the same in any process."""
    config = TrainConfig(generator=GeneratorConfig(width=2, blocks=1))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = Generator(config.generator, 17).state_dict()
    meta = {
        "config": config.model_dump(mode="json"),
        "best": None,
        "bone_length_sum_mm": 4000.0,
        "scale_mm": 500.0,
    }
    return meta, {name: value.numpy() for name, value in weights.items()}


def checkpoint() -> list[bytes]:
    """One of a small generator, and one of something else."""
    meta, weights = generator()
    arrays = {f"generator.{name}": value for name, value in weights.items()}
    return [
        save(arrays, {"state": json.dumps(meta)}),
        save({"memory": np.zeros(2)}, {"state": "{}"}),
    ]


@functools.cache
def weights() -> bytes:
    """Of a small generator."""
    return save(generator()[1])


def export() -> list[bytes]:
    """The configuration of an exported generator, whose weights are `weights`."""
    meta, _ = generator()
    rest = {"format": "synrep-generator/1", "best": {}, "train": meta["config"]}
    sizes = {"bone_length_sum_mm": 4000.0, "scale_mm": 500.0}
    return [json.dumps(rest | sizes | {"sha256": hashlib.sha256(weights()).hexdigest()}).encode()]


def h5() -> list[bytes]:
    """Two arrays, one of them in packed chunks."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["a"] = np.arange(6.0).reshape(2, 3)
        file.create_dataset("b", data=np.arange(100), chunks=(10,), compression="gzip")
    return [buffer.getvalue()]
