"""How much of a training step is matrix multiplication that it can't do without.

    python benchmarks/step.py [--json FILE] [--quick] [--profile]

Times the step, and torch.mm on the shapes and layouts of its necessary products, in turns, in
one process on one thread. The share is the useful FLOP/s of the step as a part of what torch.mm
reaches: with operands of its own for each product, as in a step, and ("cached") with each product
repeated on the same operands. --profile shows where the rest of the first size's step goes.
SYNREP_DATA names a pose store; built-in poses are used without.
"""

from __future__ import annotations

import itertools
import json
import statistics
from typing import Any

import torch
from _steps import Products, arguments, configuration, interleaved
from torch.profiler import ProfilerActivity, profile

from synrep.training.loop import Training

SIZES = ((1024, 100, 256), (256, 100, 256), (256, 64, 64), (128, 64, 64))
"""Width, width of the critic's branches, batch; the first is the paper's."""


def measure(width: int, branch: int, batch: int, rounds: int) -> dict[str, Any]:
    """One row of the table."""
    config = configuration(width, branch, batch)
    gan, numbers = Training(config, threads=1).gan, itertools.count()
    products = Products(config)
    cached: list[float] = []
    seconds = interleaved(
        {
            "step": lambda: gan.iterate(next(numbers)),
            "products": products,
            "cached": lambda: cached.append(products.repeated_seconds()),
        },
        rounds,
    )
    least = statistics.median(cached)
    return {
        "width": width,
        "branch": branch,
        "batch": batch,
        "gflop": products.flop / 1e9,
        "step_ms": 1e3 * seconds["step"],
        "products_ms": 1e3 * seconds["products"],
        "mm_gflops": products.flop / seconds["products"] / 1e9,
        "step_gflops": products.flop / seconds["step"] / 1e9,
        "share": seconds["products"] / seconds["step"],
        "cached_mm_gflops": products.flop / least / 1e9,
        "cached_share": least / seconds["step"],
    }


def print_profile(steps: int = 10) -> None:
    """Print the operations that the step of the paper's size spends its time on."""
    gan, numbers = Training(configuration(*SIZES[0]), threads=1).gan, itertools.count()
    for _ in range(3):
        gan.iterate(next(numbers))
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(steps):
            gan.iterate(next(numbers))
    own = {event.key: event.self_cpu_time_total for event in found.key_averages()}
    print("\n| operation | share of the step | ms |\n|---|--:|--:|")
    for name, time_us in sorted(own.items(), key=lambda pair: -pair[1])[:14]:
        share = time_us / sum(own.values())
        print(f"| {name} | {share:.1%} | {time_us / steps / 1000:.2f} |")


def main() -> None:
    """Print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--profile", action="store_true", help="also the step's operations")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| width | branch | batch | step, ms | step, GFLOP/s | mm, GFLOP/s | share | cached |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|")
    rows = []
    for width, branch, batch in SIZES:
        rounds = max(5, 2**14 // (width * (4 if options.quick else 1)))
        row = measure(width, branch, batch, rounds)
        rows.append(row)
        print(
            f"| {width} | {branch} | {batch} | {row['step_ms']:.2f} | {row['step_gflops']:.1f} "
            f"| {row['mm_gflops']:.1f} | {row['share']:.0%} | {row['cached_share']:.0%} |",
            flush=True,
        )
    if options.profile:
        print_profile()
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
