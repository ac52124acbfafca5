"""Records every bit of short trainings with fixed seeds, to show that a change alters no number.

    python -m tests.bits before.json                          # before the change
    python -m tests.bits after.json --compare before.json     # after it, on the same machine

The second call lists all differences, and exits with 1 if there are any. Recorded are the metrics
of plain, fused and baseline trainings as exact floats, and hashes of their checkpoints, exports,
lifted poses, pose stores and views. Bits depend on the kind of CPU, so none are committed.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import torch

import synrep
from synrep.config import DataConfig, TrainConfig, set_dotted
from synrep.datasets import open_poses
from synrep.datasets.store.poses import Poses
from synrep.datasets.store.store import write_store
from synrep.datasets.synthetic.generate import description, generate
from synrep.datasets.views import load_views
from synrep.errors import Diverged
from synrep.inference.evaluate import evaluate
from synrep.inference.lift_file import lift_file
from synrep.storage import Storage
from synrep.training.checkpoint import load_checkpoint, save_checkpoint
from synrep.training.fused import FusedTraining, fusion_key
from synrep.training.loop import Training
from tests.bits.cases import BASELINES, EVALUATED, EXPORTED, FUSED, PLAIN, SHORT, SMALL, VIEWS


def configuration(model: Any, *parts: dict[str, Any]) -> Any:
    """A configuration of dotted fields; later parts win."""
    content: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for part in parts:
        merged |= part
    for key, value in merged.items():
        set_dotted(content, key, value)
    return model.model_validate_json(json.dumps(content))


def plain_data(value: Any) -> Any:
    """The same with every float as its exact hexadecimal form."""
    if isinstance(value, dict):
        return {str(key): plain_data(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain_data(one) for one in value]
    if isinstance(value, float):
        return value.hex()
    return value


def hash_of_arrays(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 of names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def state_of(state: Any, folder: Path) -> dict[str, Any]:
    """What a state holds, and the name of its checkpoint, which carries a hash of its content."""
    storage = Storage.at(folder)
    ref = save_checkpoint(storage, state, state.meta["iteration"])
    again = load_checkpoint(storage, ref)
    assert hash_of_arrays(again.arrays) == hash_of_arrays(state.arrays)
    return {
        "checkpoint": ref.file,
        "checkpoint_sha256": ref.sha256,
        "arrays_sha256": hash_of_arrays(state.arrays),
        "array_names": sorted(state.arrays),
        "meta": plain_data(state.meta),
    }


def trained(training: Any, folder: Path) -> dict[str, Any]:
    """All reports of a training and its last state."""
    reports: list[Any] = []
    while not training.finished:
        try:
            reports.append(plain_data(training.advance()))
        except Diverged as error:
            return {"reports": reports, "diverged": [error.reason, error.iteration]}
    return {"reports": reports} | state_of(training.state(), folder)


def fused(configs: list[Any], folder: Path) -> list[dict[str, Any]]:
    """The same of each member of a fused training."""
    program = FusedTraining(len(configs), threads=1)
    numbers = [program.join(config) for config in configs]
    found: dict[int, dict[str, Any]] = {number: {"reports": []} for number in numbers}
    while results := program.advance():
        for number, metrics in results.items():
            if isinstance(metrics, Diverged):
                found[number]["diverged"] = [metrics.reason, metrics.iteration]
            else:
                found[number]["reports"].append(plain_data(metrics))
    for number in program.numbers():
        found[number] |= state_of(program.state(number), folder)
    return [found[number] for number in numbers]


def exported(checkpoint: Path, folder: Path) -> dict[str, Any]:
    """The files of an export that hold no path of the machine."""
    synrep.export(checkpoint, folder, {"further": 0.125})
    weights = (folder / "generator.safetensors").read_bytes()
    return {
        "files": sorted(path.name for path in folder.iterdir()),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "config": plain_data(json.loads((folder / "config.json").read_text())),
        "metrics": plain_data(json.loads((folder / "metrics.json").read_text())),
        "readme_sha256": hashlib.sha256((folder / "README.md").read_bytes()).hexdigest(),
    }


def lifted(model: Path, joints: int, folder: Path) -> dict[str, Any]:
    """Poses of fixed keypoints, in each of the units."""
    rng = np.random.default_rng(0)
    points = np.round(rng.uniform(100, 900, (5, joints, 2)), 3)
    source = folder / "points.json"
    source.write_text(json.dumps(points.tolist()))
    name = f"human36m-{joints}"
    found = {}
    for scale in ("bone_length", "constant", "radii"):
        made = lift_file(model, source, folder / "out.npz", skeleton=name, scale=scale)
        found[scale] = hash_of_arrays({"poses": made.poses})
    made = lift_file(model, source, folder / "out.json", skeleton=name, height_mm=1750.0)
    found["height"] = hash_of_arrays({"poses": made.poses})
    found["json_sha256"] = hashlib.sha256((folder / "out.json").read_bytes()).hexdigest()
    return found


def stores() -> None:
    """Two pose stores: one without validation subjects, one of a camera with keypoints."""
    splits = generate(0, 1.0)
    del splits["validation"]
    write_store("two-splits", description(), splits)
    seen = {split: in_camera(poses) for split, poses in generate(1, 1.0).items()}
    content = description().model_dump(mode="json") | {
        "frame": "camera",
        "up": "-y",
        "cameras": {"c": {"focal_px": [1145.0, 1143.0], "centre_px": [512.0, 515.0]}},
    }
    about = type(description()).model_validate_json(json.dumps(content))
    write_store("keypoints", about, seen)


def in_camera(poses: Any) -> Any:
    """The same people before a camera, with 2D joints that are a little off."""
    x, y, z = (poses.joints_mm[..., axis] for axis in range(3))
    joints = np.stack([x, 1000 - z, 5000 + y], axis=-1).astype(np.float32)
    exact = joints[..., :2] / joints[..., 2:] * 1144 + 513
    off = np.random.default_rng(2).normal(0, 3, exact.shape)
    return Poses(
        joints_mm=joints,
        subject=poses.subject,
        action=poses.action,
        clip=poses.clip,
        frame=poses.frame,
        fps=poses.fps,
        camera=np.full(len(joints), "c"),
        keypoints_px=np.round(exact + off, 2).astype(np.float32),
    )


def views_of(fields: dict[str, Any], split: str) -> str:
    """Hash of all tensors of some views."""
    views = load_views(configuration(DataConfig, fields), split)
    names = (
        "keypoints",
        "real_keypoints",
        "poses",
        "scale_mm",
        "ray",
        "action",
        "subject",
    )
    return hash_of_arrays({name: getattr(views, name).numpy() for name in names})


def record() -> dict[str, Any]:
    """All there is to compare; writes into the working directory."""
    found: dict[str, Any] = {}
    stores()
    for name in ("synthetic", "two-splits", "keypoints"):
        store = open_poses(name)
        found[f"poses/{name}"] = [store.fingerprint, dict(sorted(store.header.sha256.items()))]
    for name, fields in VIEWS.items():
        for split in ("train", "validation", "test"):
            found[f"views/{name}/{split}"] = views_of(fields, split)
    for name, fields in PLAIN.items():
        dtype = torch.float64 if name == "float64" else torch.float32
        config = configuration(TrainConfig, SMALL, fields)
        folder = Path("plain") / name
        found[f"plain/{name}"] = trained(Training(config, threads=1, dtype=dtype), folder)
        checkpoint = folder / found[f"plain/{name}"].get("checkpoint", "")
        if name in EXPORTED:
            found[f"export/{name}"] = exported(checkpoint, Path("exports") / name)
            found[f"lift/{name}"] = lifted(Path("exports") / name, config.data.joints, folder)
        if name in EVALUATED:
            for split in ("test", "validation") if name != "store-two-splits" else ("test",):
                scores = evaluate(checkpoint, split, references=split == "test")
                found[f"evaluate/{name}/{split}"] = plain_data(scores)
    for name, (shared, members) in FUSED.items():
        configs = [configuration(TrainConfig, SMALL, shared, member) for member in members]
        found[f"fused/{name}"] = fused(configs, Path("fused") / name)
        found[f"fused/{name}/key"] = [fusion_key(config) for config in configs]
    for name, (training, model, fields) in BASELINES.items():
        config = configuration(model, SHORT, fields)
        folder = Path("baselines") / name
        found[f"baseline/{name}"] = trained(training(config, threads=1), folder)
        checkpoint = folder / found[f"baseline/{name}"]["checkpoint"]
        found[f"evaluate/{name}"] = plain_data(evaluate(checkpoint, "test"))
    return found


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Places where two records differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        lines = [f"{place}/{key}: only in one" for key in sorted(one.keys() ^ other.keys())]
        for key in sorted(one.keys() & other.keys()):
            lines += differences(one[key], other[key], f"{place}/{key}")
        return lines
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [line for i, (a, b) in pairs for line in differences(a, b, f"{place}[{i}]")]
    return [] if one == other else [f"{place}: {one!r:.100} != {other!r:.100}"]


def main(words: list[str]) -> int:
    """Write the record; compare it if asked to."""
    torch.set_num_threads(1)
    out, start = Path(words[0]).absolute(), time.monotonic()
    old = Path(words[2]).absolute() if len(words) > 2 else None
    before = Path.cwd()
    with TemporaryDirectory(prefix="synrep-bits-") as folder:
        # Nothing that other code has left in the usual cache is taken for this code's.
        os.environ["SYNREP_CACHE"] = str(Path(folder) / "cache")
        os.chdir(folder)
        try:
            found = record()
        finally:
            os.chdir(before)
    out.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    seconds = time.monotonic() - start
    click.echo(f"{Path(synrep.__file__).parent}: {len(found)} records, {seconds:.0f} s")
    if old is None:
        return 0
    lines = differences(json.loads(old.read_text()), json.loads(out.read_text()))
    click.echo("\n".join(lines) or "no difference")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
