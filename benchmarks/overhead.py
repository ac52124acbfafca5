"""What a search costs beside its training steps, for trials of a minute.

The trials sleep where others train, ten reports each, so that every core second that is not idle
is the platform's: ledger, sampler, checkpoints, MLflow, Ray, its start and its end. To this comes
the time in which a slot has nothing to train. Both are shares of the cores' time from launch to
end. Reads /proc/stat: Linux only, and nothing else may run meanwhile.
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
        before, start = busy_seconds(), time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        wall, busy = time.perf_counter() - start, busy_seconds() - before
    unused = cores * wall - given.trials * given.seconds
    found = {
        "wall time, s": wall,
        "platform at work, % of core time": 100 * busy / (cores * wall),
        "slots with nothing to train, % of core time": 100 * unused / (cores * wall),
    }
    print(f"{given.trials} trials of {given.seconds:g} s, {REPORTS} reports each, {cores} cores")
    for name, value in found.items():
        print(f"{name:45s} {value:7.2f}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
