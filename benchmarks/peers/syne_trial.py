"""One trial of syne.py: Syne Tune's local backend starts a process for each."""

from __future__ import annotations

import argparse

from gan import GOAL, SPACE, train
from syne_tune import Reporter


def main() -> None:
    """Read the values, train, report."""
    parser = argparse.ArgumentParser()
    for name in SPACE:
        parser.add_argument(f"--{name.replace('.', '_')}", type=float)
    given = vars(parser.parse_known_args()[0])
    tell = Reporter()

    def report(iteration: int, metrics: dict[str, float]) -> bool:
        named = {name.replace("/", "_"): value for name, value in metrics.items()}
        tell(iteration=iteration, goal=metrics[GOAL], **named)
        return True

    train({name: given[name.replace(".", "_")] for name in SPACE}, 0, report)


if __name__ == "__main__":
    main()
