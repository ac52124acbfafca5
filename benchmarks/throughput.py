"""A search of the real GAN: this platform against what else one could use.

Everybody trains the same function on the same poses with the same budget, two trials at a time on
two cores, without early stopping; wall time of whole processes, start-up included. The peers (see
peers/): the usual recipe (Ray Tune, OptunaSearch, MLflowLoggerCallback), Optuna in processes with
its MLflow callback (needs optuna-integration), Syne Tune's local backend (needs syne-tune; it has
no MLflow), and bare loops without any platform, which keep nothing. Packages that are missing
leave their peer out.

With --asha, everybody that can stops weak trials early (asynchronous successive halving, grace a
tenth of the training, reduction 3; bare loops are left out), and the time is that from the start
until the error is reached that all reach in the end.
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

from gan import GOAL, REPORTS, SPACE, VARIABLE, fixed, logged
from synrep_search.durability.ledger import Ledger
from synrep_search.paths import SearchPaths

NEEDS = {"optuna_processes.py": "optuna_integration", "syne.py": "syne_tune"}


ASHA = {"asha": {"grace": 0.1, "reduction": 3}}
"""Ours; the peers' files say the same in their own words."""
Curve = list[tuple[float, float]]
"""Seconds since the start and error of every report, in the order of time."""


def search_file(folder: Path, trials: int, fuse: str, *, asha: bool) -> Path:
    """Our search file for the same work."""
    search = {"minimize": GOAL, "trials": trials}
    content = {
        "name": "throughput",
        "train": {k: v for k, v in fixed().items() if k != "data.poses"},
        "data": {"poses": fixed()["data.poses"]},
        "space": {name: {"log": list(ends)} for name, ends in SPACE.items()},
        "search": search | ({"early_stopping": ASHA} if asha else {}),
        "resources": {"fuse": int(fuse) if fuse.isdigit() else fuse},
        "tracking": {"keep_best": 0},  # nobody else exports anything
    }
    path = folder / "throughput.yaml"
    path.write_text(json.dumps(content))  # JSON is YAML
    return path


def run(words: list[str], folder: Path) -> tuple[float, float]:
    """When a process that must succeed was started (since 1970), and its wall time."""
    began, start = time.time(), time.perf_counter()
    done = subprocess.run([sys.executable, *words], check=False, cwd=folder, capture_output=True)
    if done.returncode:
        sys.exit(f"{words} failed:\n{done.stderr.decode()}")
    return began, time.perf_counter() - start


def contestants(trials: int, cores: int, fuse: list[str], *, asha: bool) -> dict[str, list[str]]:
    """Commands by name; those of ours get their file when they run."""
    stopping = ["asha"] if asha else []
    size = [str(trials), str(cores), *stopping]
    found = {f"synrep-search, fuse: {how}": ["ours", how] for how in fuse}
    if not asha:
        found["bare loops"] = [str(PEERS / "bare.py"), *size]
    found["Optuna processes + MLflow"] = [str(PEERS / "optuna_processes.py"), *size]
    found["Syne Tune, local backend"] = [str(PEERS / "syne.py"), *size]
    recipe = [str(PEERS / "stock_gan.py"), str(trials), *stopping]
    found["Ray Tune + OptunaSearch + MLflow"] = recipe
    return {
        name: words
        for name, words in found.items()
        if find_spec(NEEDS.get(Path(words[0]).name, "json"))
    }


def measure(words: list[str], trials: int, *, asha: bool) -> tuple[float, Curve]:
    """Wall time and reports of one run in an empty folder."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        os.environ[REPORTS] = str(folder / "reports")
        Path(os.environ[REPORTS]).mkdir()
        if words[0] != "ours":
            began, wall = run(words, folder)
            return wall, [(at - began, value) for at, value in logged()]
        file = search_file(folder, trials, words[1], asha=asha)
        launch = ["-m", "synrep_search.cli", "launch", str(file), "--yes", "--home", name]
        began, wall = run(launch, folder)
        return wall, [(at - began, value) for at, value in recorded(folder)]


def recorded(home: Path) -> Curve:
    """Time (since 1970) and error of every report of our search."""
    ledger = Ledger.open(SearchPaths(home, "throughput").ledger_url(), "throughput")
    reports = [
        (event.time_ms / 1000, event.payload["metrics"][GOAL])
        for trial in ledger.index.trials()
        for event in ledger.outbox.reports(trial.number)
    ]
    ledger.close()
    return sorted(reports)


def reached(curve: Curve, error: float) -> float:
    """Seconds until the first report with an error that small."""
    return next(at for at, value in curve if value <= error)


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
    parser.add_argument("--asha", action="store_true", help="race with early stopping")
    parser.add_argument("--only", nargs="*", default=[""], help="parts of names of those that run")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    given = parser.parse_args()
    names = ("poses", "iterations", "width", "branch_width", "batch_size")
    setting: dict[str, Any] = {name: getattr(given, name) for name in names} | {"reports": 10}
    os.environ[VARIABLE] = json.dumps(setting)
    all_of_them = contestants(given.trials, os.cpu_count() or 1, given.fuse, asha=given.asha)
    chosen = {
        name: words
        for name, words in all_of_them.items()
        if any(part in name for part in given.only)
    }
    times: dict[str, list[float]] = {name: [] for name in chosen}
    for _ in range(given.runs):
        for name, seconds in one_round(chosen, given.trials, asha=given.asha).items():
            times[name].append(seconds)
    found = {name: median(some) for name, some in times.items()}
    first = next(iter(found.values()))
    print(f"{given.trials} trials, {setting}, {os.cpu_count()} cores, ASHA: {given.asha}")
    for name, seconds in found.items():
        print(f"{name:34s} {seconds:7.1f} s  {seconds / first:5.2f}x")
    if given.json:
        content = {"setting": setting, "asha": given.asha, "seconds": found}
        given.json.write_text(json.dumps(content, indent=2))


def one_round(chosen: dict[str, list[str]], trials: int, *, asha: bool) -> dict[str, float]:
    """Seconds of each contestant: in all, or until it has the error that all reach."""
    walls, curves = {}, {}
    for name, words in chosen.items():
        walls[name], curves[name] = measure(words, trials, asha=asha)
        best = min(value for _, value in curves[name])
        print(f"  {name}: {walls[name]:.1f} s, best {best:.1f} mm", file=sys.stderr)
    if not asha:
        return walls
    common = max(min(value for _, value in curve) for curve in curves.values())
    return {name: reached(curve, common) for name, curve in curves.items()}


if __name__ == "__main__":
    main()
