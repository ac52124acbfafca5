"""Whether the ten-thousandth trial costs what the thousandth did.

A search of scripted trials through ledger, TPE, checkpoints, outbox and MLflow, without Ray
(`--local`), so that what is timed is the driver. Time per trial comes from the search's own
records; `status` and `resume` of the finished search are whole processes.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from synrep_search.durability.ledger import Ledger
from synrep_search.paths import SearchPaths

SEARCH = """\
name: scale
trainer: scripted
train: {{iterations: 10, reports: 10, metrics: 10}}
space:
  x: {{float: [0, 1]}}
  y: {{float: [-1, 1]}}
search:
  minimize: loss
  trials: {trials}
  sampler: {{tpe: {{seed: 0}}}}
  early_stopping: {early_stopping}
"""


def call(*words: str) -> tuple[float, str]:
    """Wall time and output of a command that must succeed."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "synrep_search.cli", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - start, done.stdout


def costs(home: Path, at: int, window: int = 200) -> float:
    """Median seconds from one trial's beginning to the next one's, over trials up to a number."""
    ledger = Ledger.open(SearchPaths(home, "scale").ledger_url(), "scale")
    begun = [trial.record.attempts[0].started for trial in ledger.index.trials()]
    ledger.close()
    some = begun[at - window : at]
    return median(after - before for before, after in pairwise(some))


def main() -> None:
    """Measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--early-stopping", default="none", help="e.g. '{asha: {grace: 0.1}}'")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        home, file = Path(folder) / "home", Path(folder) / "scale.yaml"
        stopping = given.early_stopping
        file.write_text(SEARCH.format(trials=given.trials, early_stopping=stopping))
        where = ("--home", str(home))
        whole, output = call("launch", str(file), "--local", "--yes", *where)
        memory = re.search(r"peak memory: driver (\d+) MB", output)
        assert memory
        early, late = costs(home, given.trials // 10), costs(home, given.trials)
        status, _ = call("status", "scale", "--json", *where)
        resume, _ = call("resume", "scale", "--local", *where)
    found = {
        "whole search, s": whole,
        f"ms a trial at {given.trials // 10}": early * 1000,
        f"ms a trial at {given.trials}": late * 1000,
        "ratio": late / early,
        "driver memory, MB": float(memory[1]),
        "status, s": status,
        "resume with nothing to do, s": resume,
    }
    for name, value in found.items():
        print(f"{name:30s} {value:9.2f}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
