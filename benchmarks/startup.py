"""How long a user waits: for help, for the refusal of a bad file, and for the first report.

Medians over several runs of whole processes. The first report is that of the quickstart search,
with its poses made already; its time is read from the search's own ledger.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from synrep_search.durability.ledger import Ledger
from synrep_search.paths import SearchPaths

ROOT = Path(__file__).parents[1]
PROGRAM = [sys.executable, "-m", "synrep_search.cli"]


def seconds(*words: str, code: int = 0) -> float:
    """Wall time of a call that ends with an exit code."""
    start = time.perf_counter()
    done = subprocess.run([*PROGRAM, *words], check=False, capture_output=True)
    assert done.returncode == code, done.stderr.decode()
    return time.perf_counter() - start


def first_report() -> tuple[float, float]:
    """Seconds from the launch of the quickstart to its first report, and to its end."""
    with TemporaryDirectory() as home:
        file = str(ROOT / "search_spaces" / "quickstart.yaml")
        start = time.time()
        whole = seconds("launch", file, "--yes", "--home", home)
        ledger = Ledger.open(SearchPaths(Path(home), "quickstart").ledger_url(), "quickstart")
        times = [
            event.time_ms / 1000
            for trial in ledger.index.trials()
            for event in ledger.outbox.reports(trial.number)
        ]
        ledger.close()
        return min(times) - start, whole


def main() -> None:
    """Measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        bad = Path(folder) / "bad.yaml"
        bad.write_text("space: {optim.rate: {float: [1, 0]}}\n")
        refused = [seconds("launch", str(bad), code=2) for _ in range(given.runs)]
    helped = [seconds("--help") for _ in range(given.runs)]
    first_report()  # makes the poses and warms the disk's cache
    first, whole = zip(*(first_report() for _ in range(given.runs)), strict=True)
    found = {
        "--help": median(helped),
        "a bad file refused": median(refused),
        "quickstart: launch to first report": median(first),
        "quickstart: launch to end": median(whole),
    }
    for name, wall in found.items():
        print(f"{name:36s} {wall:6.2f} s")
    if given.json:
        given.json.write_text(json.dumps({"wall_s": found}, indent=2))


if __name__ == "__main__":
    main()
