"""Fused training against training alone, for each member.

    python benchmarks/fused.py [--json FILE] [--quick]

Times one step of a training alone and one of K fused ones, in turns, in one process on one
thread. SYNREP_DATA names a pose store; built-in poses are used without.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import torch
from _steps import arguments, configuration, interleaved

from synrep.training.fused.step import FusedGan
from synrep.training.loop import Training

SIZES = (
    (64, 64, 64, (16,)),
    (128, 64, 64, (4, 8, 16, 32)),
    (256, 64, 64, (16,)),
    (256, 64, 256, (8,)),
    (1024, 100, 256, (4,)),
)
"""Width, width of the critic's branches, batch, numbers of members."""


def measure(
    width: int, branch: int, batch: int, capacities: tuple[int, ...], rounds: int
) -> list[dict[str, Any]]:
    """Rows of the table for one size."""
    alone = Training(configuration(width, branch, batch), threads=1)
    numbers = itertools.count()
    tasks: dict[str, Any] = {"alone": lambda: alone.gan.iterate(next(numbers))}
    for capacity in capacities:
        fused = FusedGan(alone.config, alone.training_data)
        for number in range(capacity):
            fused.add(configuration(width, branch, batch, number), None)
        tasks[str(capacity)] = fused.iterate
    seconds = interleaved(tasks, rounds, repeats=3)
    return [
        {
            "width": width,
            "branch": branch,
            "batch": batch,
            "members": capacity,
            "alone_ms": 1e3 * seconds["alone"],
            "fused_member_ms": 1e3 * seconds[str(capacity)] / capacity,
            "speedup": seconds["alone"] * capacity / seconds[str(capacity)],
        }
        for capacity in capacities
    ]


def main() -> None:
    """Print the table."""
    options = arguments(__doc__).parse_args()
    torch.set_num_threads(1)
    print("| width | branch | batch | members | alone, ms | fused, ms a member | speed-up |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    rows: list[dict[str, Any]] = []
    for width, branch, batch, capacities in SIZES:
        rounds = max(3, 2**13 // (width * batch // 64 * (4 if options.quick else 1)))
        for row in measure(width, branch, batch, capacities, min(rounds, 25)):
            rows.append(row)
            print(
                f"| {width} | {branch} | {batch} | {row['members']} | {row['alone_ms']:.2f} "
                f"| {row['fused_member_ms']:.2f} | {row['speedup']:.2f} |",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
