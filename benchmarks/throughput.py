"""A search of the real GAN: this platform against what else one could use.

Everybody trains the same function on the same poses with the same budget, two trials at a time on
two cores, without early stopping; wall time of whole processes, start-up included. The peers (see
peers/): the usual recipe (Ray Tune, OptunaSearch, MLflowLoggerCallback), Optuna in processes with
its MLflow callback (needs optuna-integration), Syne Tune's local backend (needs syne-tune; it has
no MLflow), and bare loops without any platform, which keep nothing. Packages that are missing
leave their peer out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

PEERS = Path(__file__).parent / "peers"
sys.path.insert(0, str(PEERS))

from gan import SPACE, VARIABLE, fixed

NEEDS = {"optuna_processes.py": "optuna_integration", "syne.py": "syne_tune"}


def search_file(folder: Path, trials: int, fuse: str) -> Path:
    """Our search file for the same work."""
    content = {
        "name": "throughput",
        "train": {k: v for k, v in fixed().items() if k != "data.poses"},
        "data": {"poses": fixed()["data.poses"]},
        "space": {name: {"log": list(ends)} for name, ends in SPACE.items()},
        "search": {"minimize": "validation/mpjpe_mm", "trials": trials},
        "resources": {"fuse": int(fuse) if fuse.isdigit() else fuse},
        "tracking": {"keep_best": 0},  # nobody else exports anything
    }
    path = folder / "throughput.yaml"
    path.write_text(json.dumps(content))  # JSON is YAML
    return path


def seconds(words: list[str], folder: str) -> float:
    """Wall time of a process that must succeed."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *words], check=False, cwd=folder, capture_output=True)
    if done.returncode:
        sys.exit(f"{words} failed:\n{done.stderr.decode()}")
    return time.perf_counter() - start


def contestants(trials: int, cores: int, fuse: list[str]) -> dict[str, list[str]]:
    """Commands by name; those of ours get their file when they run."""
    size = [str(trials), str(cores)]
    found = {f"synrep-search, fuse: {how}": ["ours", how] for how in fuse}
    found["bare loops"] = [str(PEERS / "bare.py"), *size]
    found["Optuna processes + MLflow"] = [str(PEERS / "optuna_processes.py"), *size]
    found["Syne Tune, local backend"] = [str(PEERS / "syne.py"), *size]
    found["Ray Tune + OptunaSearch + MLflow"] = [str(PEERS / "stock_gan.py"), str(trials)]
    return {
        name: words
        for name, words in found.items()
        if find_spec(NEEDS.get(Path(words[0]).name, "json"))
    }


def measure(words: list[str], trials: int) -> float:
    """One run in an empty folder."""
    with TemporaryDirectory() as folder:
        if words[0] != "ours":
            return seconds(words, folder)
        file = search_file(Path(folder), trials, words[1])
        return seconds(
            ["-m", "synrep_search.cli", "launch", str(file), "--yes", "--home", folder], folder
        )


def main() -> None:
    """Measure in turn, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--poses", default=os.environ.get("SYNREP_DATA", "synthetic"))
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--branch-width", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--fuse", nargs="*", default=["auto", "off"], help="how ours trains")
    parser.add_argument("--only", help="part of the names of those that run")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    given = parser.parse_args()
    names = ("poses", "iterations", "width", "branch_width", "batch_size")
    setting: dict[str, Any] = {name: getattr(given, name) for name in names} | {"reports": 10}
    os.environ[VARIABLE] = json.dumps(setting)
    chosen = {
        name: words
        for name, words in contestants(given.trials, os.cpu_count() or 1, given.fuse).items()
        if not given.only or given.only in name
    }
    walls: dict[str, list[float]] = {name: [] for name in chosen}
    for _ in range(given.runs):
        for name, words in chosen.items():
            walls[name].append(measure(words, given.trials))
            print(f"  {name}: {walls[name][-1]:.1f} s", file=sys.stderr)
    found = {name: median(some) for name, some in walls.items()}
    first = next(iter(found.values()))
    print(f"{given.trials} trials, {setting}, {os.cpu_count()} cores")
    for name, wall in found.items():
        print(f"{name:34s} {wall:7.1f} s  {wall / first:5.2f}x")
    if given.json:
        given.json.write_text(json.dumps({"setting": setting, "wall_s": found}, indent=2))


if __name__ == "__main__":
    main()
