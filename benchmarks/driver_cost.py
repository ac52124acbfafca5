"""What the platform costs beside the training: trivial trials, against the usual recipe.

Wall time of whole processes, start-up included: `synrep-search launch` with the scripted trainer
(ledger, sampler, checkpoints, MLflow), against Ray Tune with OptunaSearch, with and without its
MLflow callback (no checkpoints). The recipe with MLflow takes minutes; --skip-stock leaves it out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
SEARCH = """\
name: cost
trainer: scripted
train: {{iterations: {reports}, reports: {reports}, metrics: {metrics}}}
space: {{x: {{float: [0, 1]}}}}
search: {{minimize: loss, trials: {trials}, sampler: {{tpe: {{seed: 0}}}}}}
"""


def seconds(words: list[str]) -> float:
    """Wall time of a process that must succeed."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True, env=environment())
    return time.perf_counter() - start


def environment() -> dict[str, str]:
    """That of this process, without a tracking server that a user may have set."""
    return {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}


def ours(trials: int, reports: int, metrics: int) -> float:
    """A search with the scripted trainer."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "cost.yaml"
        file.write_text(SEARCH.format(trials=trials, reports=reports, metrics=metrics))
        home = ["--home", str(Path(folder) / "home")]
        return seconds(["-m", "synrep_search.cli", "launch", str(file), "--yes", *home])


def stock(trials: int, reports: int, metrics: int, kind: str) -> float:
    """The usual recipe."""
    script = str(HERE / "peers" / "stock.py")
    return seconds([script, str(trials), str(reports), str(metrics), kind])


def main() -> None:
    """Measure in turn, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--reports", type=int, default=10)
    parser.add_argument("--metrics", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3, help="of ours; the recipe runs once")
    parser.add_argument("--skip-stock", action="store_true")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    given = parser.parse_args()
    size = (given.trials, given.reports, given.metrics)
    found = {"synrep-search": median(ours(*size) for _ in range(given.runs))}
    found["Tune + OptunaSearch"] = stock(*size, "plain")
    if not given.skip_stock:
        found["Tune + OptunaSearch + MLflowLoggerCallback"] = stock(*size, "mlflow")
    print(f"{size[0]} trials x {size[1]} reports x {size[2]} metrics, {os.cpu_count()} cores")
    for name, wall in found.items():
        ratio = wall / found["synrep-search"]
        print(f"{name:45s} {wall:7.1f} s  {wall / size[0] * 1000:7.0f} ms/trial  {ratio:5.1f}x")
    if given.json:
        given.json.write_text(json.dumps({"size": size, "wall_s": found}, indent=2))


if __name__ == "__main__":
    main()
