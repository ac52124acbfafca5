"""No platform at all: one loop a core, nothing kept. Arguments: trials, processes."""

from __future__ import annotations

import multiprocessing
import random
import sys

from gan import SPACE, train


def loop(numbers: list[int]) -> None:
    """Train some trials, one after another."""
    for number in numbers:
        draw = random.Random(number)
        values = {name: low * (high / low) ** draw.random() for name, (low, high) in SPACE.items()}
        train(values, number, lambda _iteration, _metrics: True)


def main() -> None:
    """Share the trials out."""
    trials, processes = map(int, sys.argv[1:3])
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        pool.map(loop, [list(range(start, trials, processes)) for start in range(processes)])


if __name__ == "__main__":
    main()
