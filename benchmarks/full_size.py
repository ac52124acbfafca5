"""A pose store as large as Human3.6M's training set: opening it, sharing it, drawing batches.

    python benchmarks/full_size.py [--poses N] [--processes N]

Writes a store of 1.5 million poses in camera frames (built-in motion, turned and moved anew for
each copy) into a temporary folder, makes its views, and measures what a trial then pays: the time
to open them, the memory of each further process that has read all of them (its share as the
kernel counts it), and how fast batches are drawn against how fast a training of the paper's size
uses them up.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from _steps import configuration

from synrep.datasets.store.header import Description, Intrinsics
from synrep.datasets.store.poses import Poses
from synrep.datasets.store.store import write_store
from synrep.datasets.synthetic.generate import generate
from synrep.datasets.views import Views, load_views
from synrep.skeleton import HUMAN36M_17
from synrep.training.loop import Training
from synrep.training.random_streams import RandomStreams

if TYPE_CHECKING:
    from synrep.config import TrainConfig

CAMERA = Intrinsics(focal_px=(1145.0, 1145.0), centre_px=(512.0, 512.0))
BATCH = 256


def turned(poses: Poses, copy: int, random: np.random.Generator) -> Poses:
    """Poses before a camera: turned about the vertical by one angle, 4 to 6 m away."""
    angle = random.uniform(0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    x, y, z = np.moveaxis(poses.joints_mm - poses.joints_mm[:, :1], -1, 0)
    seen = np.stack([cos * x - sin * y, -z, sin * x + cos * y + random.uniform(4e3, 6e3)], -1)
    clips = np.char.add(poses.clip, f"-{copy}")
    camera = np.full(len(poses), "camera")
    labels = (poses.subject, poses.action, clips, poses.frame)
    return Poses(seen.astype(np.float32), *labels, fps=poses.fps, camera=camera)


def write(folder: Path, count: int) -> None:
    """A store with so many training poses."""
    random = np.random.default_rng(0)
    source = generate(0, 7.0)
    copies = -(-count // len(source["train"]))
    train = Poses.concatenate([turned(source["train"], n, random) for n in range(copies)])
    splits = {"train": train.take(slice(count))}
    splits |= {name: turned(source[name], 0, random) for name in ("validation", "test")}
    about = Description(
        name="full-size", skeleton=HUMAN36M_17.name, frame="camera", up="-y", fps=train.fps,
        licence="none", cameras={"camera": CAMERA},
    )  # fmt: skip
    write_store(folder, about, splits)


def config_of(folder: Path) -> TrainConfig:
    """A training of the paper's size on the store."""
    config = configuration(1024, 100, BATCH)
    return config.model_copy(update={"data": config.data.model_copy(update={"poses": str(folder)})})


def own_memory_mb() -> float:
    """Proportional share of this process in all memory it uses."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def touch(views: Views) -> None:
    """Read every page of the views, as a training does in its first epoch."""
    for tensor in (views.keypoints, views.poses, views.scale_mm, views.ray):
        float(tensor.sum())


def trial(folder: Path) -> None:
    """One of several processes: tell the share of memory before and after the views are read."""
    config = config_of(folder)
    before = own_memory_mb()
    views = load_views(config.data, "train")
    touch(views)
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps([before, own_memory_mb()]), flush=True)
    sys.stdin.readline()


def shares(folder: Path, processes: int) -> float:
    """Memory in MB that the views take in all if so many processes read all of them."""
    words = [sys.executable, __file__, "--trial", str(folder)]
    running = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for process in running:
        assert process.stdout
        process.stdout.readline()
    grown = []
    for process in running:
        assert process.stdin
        assert process.stdout
        process.stdin.write("\n")
        process.stdin.flush()
        before, after = json.loads(process.stdout.readline())
        grown.append(after - before)
    for process in running:
        process.communicate("\n")
    return sum(grown)


def draw(views: Views, seconds: float = 2.0) -> float:
    """Poses a second that are drawn as a training draws its batches: input, real pose, real 2D."""
    streams = RandomStreams(0, views.poses.device)
    end, steps = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        chosen = streams.batch("input", steps, BATCH, len(views))
        views.keypoints[chosen], views.ray[chosen]
        chosen = streams.batch("real", steps, BATCH, len(views))
        views.poses[chosen], views.real_keypoints[chosen]
        steps += 1
    return steps * BATCH / seconds


def train(config: TrainConfig, steps: int = 12) -> float:
    """Poses a second that a training uses up, on one thread."""
    gan, numbers = Training(config, threads=1).gan, itertools.count()
    gan.iterate(next(numbers))
    start = time.perf_counter()
    for _ in range(steps):
        gan.iterate(next(numbers))
    return steps * BATCH / (time.perf_counter() - start)


def measure(folder: Path, count: int, processes: int) -> dict[str, float]:
    """All figures of the table."""
    write(folder, count)
    config = config_of(folder)
    start = time.perf_counter()
    load_views(config.data, "train")
    made = time.perf_counter() - start
    opened = []
    for _ in range(5):
        start = time.perf_counter()
        views = load_views(config.data, "train")
        opened.append(time.perf_counter() - start)
    one, several = shares(folder, 1), shares(folder, processes)
    drawn, used = draw(views), train(config)
    return {
        "making the views, once, s": made,
        "opening them, ms": 1000 * min(opened),
        "memory of the views, one process, MB": one,
        "each further process, MB": (several - one) / (processes - 1),
        "poses drawn a second": drawn,
        "poses used up a second, width 1024": used,
        "ratio": drawn / used,
    }


def main() -> None:
    """Measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--poses", type=int, default=1_500_000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--trial", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    given = parser.parse_args()
    if given.trial is not None:
        trial(given.trial)
        return
    with TemporaryDirectory() as name:
        os.environ["SYNREP_CACHE"] = str(Path(name) / "cache")
        found = measure(Path(name) / "store", given.poses, given.processes)
    for label, value in found.items():
        print(f"{label:40s} {value:12.1f}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
