"""Values that the paper reports for its own model in tables 1 to 5.

All values are in millimetres, except 3DPCK in percent. Where the average printed in the paper is
not the mean of its row, this module keeps the row and uses its mean (docs/model.md).
"""

from __future__ import annotations

from typing import NamedTuple

ACTIONS = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases",
    "Sitting", "SittingDown", "Smoking", "Waiting", "WalkDog", "Walking", "WalkTogether",
)  # fmt: skip
"""Actions of Human3.6M, in the order of the paper's columns."""


class Printed(NamedTuple):
    """One printed row: the average, and the values that it averages, in the order of `ACTIONS`."""

    average: float
    by_action: tuple[float, ...] = ()


def _row(*values: float) -> Printed:
    return Printed(sum(values) / len(values), values)


GT_P1 = _row(
    43.3, 52.9, 42.5, 48.7, 45.9, 59.8, 44.9, 45.9, 49.5, 55.9, 44.9, 49.6, 51.3, 43.0, 45.9,
)  # fmt: skip
SH_SH_P1 = _row(
    93.7, 102.7, 95.8, 103.8, 117.9, 113.7, 93.7, 103.1, 111.5, 133.6, 104.4, 99.9, 106.5, 94.1,
    97.5,
)  # fmt: skip
SH_GT_P1 = _row(
    57.9, 64.9, 60.1, 64.4, 68.0, 74.4, 62.5, 68.6, 67.5, 87.3, 59.9, 65.3, 63.1, 55.7, 61.6,
)  # fmt: skip
SH_SH_Z_P1 = _row(
    43.9, 52.6, 46.4, 53.4, 64.9, 63.8, 48.0, 50.5, 60.0, 84.7, 52.5, 51.8, 56.2, 41.7, 45.6,
)  # fmt: skip
GT_P2 = _row(
    32.1, 36.6, 30.1, 36.3, 31.4, 39.6, 33.4, 31.4, 34.5, 40.8, 33.5, 34.8, 36.1, 30.9, 34.7,
)  # fmt: skip
SH_SH_P2 = _row(
    70.8, 75.2, 73.4, 78.2, 88.0, 80.1, 70.3, 71.3, 86.3, 98.8, 82.4, 72.3, 79.6, 74.5, 79.1,
)  # fmt: skip
SH_GT_P2 = _row(
    41.5, 43.6, 39.9, 45.5, 46.4, 49.9, 44.4, 44.8, 46.5, 67.2, 44.2, 45.0, 45.4, 39.6, 43.9,
)  # fmt: skip
SH_SH_Z_P2 = _row(
    31.6, 35.4, 31.9, 36.8, 40.0, 39.5, 33.5, 32.8, 41.3, 50.3, 38.4, 34.4, 37.8, 30.0, 33.9,
)  # fmt: skip

NOISY = {
    5: _row(
        50.7, 51.6, 48.9, 55.1, 51.3, 57.5, 51.8, 49.3, 51.9, 55.7, 51.8, 51.1, 54.4, 47.7, 51.9,
    ),
    10: _row(
        72.3, 73.9, 71.6, 77.8, 74.3, 80.0, 74.6, 73.5, 75.4, 83.7, 75.3, 75.7, 78.0, 73.7, 76.1,
    ),
    15: _row(
        96.3, 97.1, 95.8, 100.7, 97.1, 102.5, 96.5, 97.1, 98.5, 106.9, 97.5, 97.6, 101.4, 95.8,
        100.4,
    ),
    20: _row(
        115.7, 116.3, 119.9, 120.9, 118.0, 125.3, 116.5, 116.9, 120.7, 132.0, 117.2, 120.4, 120.6,
        119.9, 121.2,
    ),
}  # fmt: skip
"""Table 3, P2 by the noise's standard deviation in pixels: noise in training and test."""
CLEAN_TEST = {
    5: _row(
        37.5, 38.2, 35.6, 42.9, 38.3, 46.4, 38.9, 34.9, 39.5, 41.9, 38.9, 38.1, 41.6, 33.7, 38.5,
    ),
    10: _row(
        42.2, 43.1, 40.7, 48.5, 45.4, 52.9, 45.9, 41.2, 45.6, 53.7, 45.2, 44.9, 47.5, 42.9, 46.7,
    ),
    15: _row(
        45.9, 48.0, 46.3, 52.1, 50.8, 58.2, 48.8, 46.9, 51.5, 58.5, 49.4, 48.1, 54.6, 44.4, 52.7,
    ),
    20: _row(
        51.8, 50.7, 55.1, 58.3, 53.9, 63.1, 52.6, 49.8, 54.5, 70.5, 51.9, 56.9, 56.9, 57.2, 58.9,
    ),
}  # fmt: skip
"""Table 3, likewise: noise in training only."""
ONLY_Z = {
    5: _row(
        30.9, 32.8, 30.4, 35.4, 33.9, 37.6, 34.3, 30.6, 33.8, 36.7, 34.1, 33.1, 35.3, 29.1, 32.1,
    ),
    10: _row(
        36.3, 38.7, 36.1, 42.2, 40.1, 44.8, 40.6, 38.7, 40.5, 47.9, 40.8, 41.1, 42.7, 38.2, 40.0,
    ),
    15: _row(
        42.3, 43.9, 41.7, 46.8, 45.1, 48.8, 45.1, 44.6, 46.0, 53.6, 45.1, 45.6, 48.3, 42.9, 46.6,
    ),
    20: _row(
        43.9, 45.3, 48.8, 49.8, 49.0, 54.5, 44.8, 44.9, 51.9, 63.4, 47.4, 50.8, 49.5, 40.0, 48.1,
    ),
}  # fmt: skip
"""Table 3, likewise: noise in training and test, depth errors only."""

MPI_PCK, MPI_P1 = Printed(86.0), Printed(94.9)
"""Table 4: 3DPCK and P1 on MPI-INF-3DHP."""
ABLATION = {
    "Sep + KCS": (Printed(50.6), Printed(84.4), Printed(98.9)),
    "Sep + wKCS": (Printed(49.9), Printed(84.8), Printed(98.1)),
    "Syn + KCS": (Printed(49.6), Printed(84.5), Printed(98.2)),
    "Syn + wKCS": (Printed(48.3), MPI_PCK, MPI_P1),
}
"""Table 5: P1 on Human3.6M, 3DPCK and P1 on MPI-INF-3DHP."""
