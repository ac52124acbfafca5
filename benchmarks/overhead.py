"""What a search costs beside its training steps, for trials of a minute.

The trials sleep where others train, ten reports each. Outside of training is the time in which a
slot has no trial (start, end, from one trial to the next), and, while the slots have trials,
whatever the cores do: ledger, sampler, checkpoints, MLflow, Ray. Both are shares of the cores' time
from launch to end. Reads /proc/stat: Linux only, and nothing else may run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from synrep_search.durability.ledger import Ledger
from synrep_search.paths import SearchPaths

REPORTS = 10
SEARCH = """\
name: overhead
trainer: scripted
train: {{iterations: {reports}, reports: {reports}, metrics: 10, sleep_s: {pause}}}
space: {{x: {{float: [0, 1]}}}}
search: {{minimize: loss, trials: {trials}, sampler: {{tpe: {{seed: 0}}}}}}
"""


def busy_seconds() -> float:
    """Core seconds in which this machine did something, since it started."""
    fields = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:9]
    user, nice, system, _idle, _waiting, interrupts, soft, stolen = map(int, fields)
    used = user + nice + system + interrupts + soft + stolen
    return used / os.sysconf("SC_CLK_TCK")


def watched(words: list[str]) -> tuple[float, list[tuple[float, float]]]:
    """Wall time of a command, and (seconds since 1970, busy core seconds) twice a second."""
    seen = [(time.time(), busy_seconds())]
    start = time.perf_counter()
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL) as running:
        while running.poll() is None:
            time.sleep(0.5)
            seen.append((time.time(), busy_seconds()))
        assert running.returncode == 0
    return time.perf_counter() - start, seen


def trained(home: Path) -> tuple[float, float]:
    """When the first trial began and the last one ended, in seconds since 1970."""
    ledger = Ledger.open(SearchPaths(home, "overhead").ledger_url(), "overhead")
    attempts = [one for trial in ledger.index.trials() for one in trial.record.attempts]
    ledger.close()
    return min(one.started for one in attempts), max(one.ended for one in attempts)


def main() -> None:
    """Measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each trial")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    given = parser.parse_args()
    cores = os.cpu_count() or 1
    pause = given.seconds / REPORTS
    with TemporaryDirectory() as folder:
        file = Path(folder) / "overhead.yaml"
        file.write_text(SEARCH.format(reports=REPORTS, pause=pause, trials=given.trials))
        words = ["-m", "synrep_search.cli", "launch", str(file), "--yes", "--home", folder]
        wall, seen = watched(words)
        first, last = trained(Path(folder))
    busy = [core_s for at, core_s in seen if first <= at <= last]
    unused = cores * wall - given.trials * given.seconds
    found = {
        "wall time, s": wall,
        "slots without a trial, % of core time": 100 * unused / (cores * wall),
        "at work beside trials, % of core time": 100 * (busy[-1] - busy[0]) / (cores * wall),
    }
    print(f"{given.trials} trials of {given.seconds:g} s, {REPORTS} reports each, {cores} cores")
    for name, value in found.items():
        print(f"{name:45s} {value:7.2f}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
