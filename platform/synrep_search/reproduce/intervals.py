"""Intervals for differences between two means over few seeds.

With n seeds each, the interval of two standard errors is right for many seeds only: at n = 3 it
covers the true difference in 88 % of cases, not in 95 %. Welch's t distribution is made for few
samples of unequal variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy import stats

if TYPE_CHECKING:
    from synrep_search.reproduce.scores import Number

CONFIDENCE = 0.95
"""Probability that an interval contains the true difference."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A difference and where the true one may lie.

    Attributes:
        difference: of the means.
        low: lower end.
        high: upper end.
    """

    difference: float
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """Whether 0, no difference, lies outside."""
        return not self.low <= 0 <= self.high


def welch(one: Number, other: Number) -> Interval | None:
    """The interval of one mean less another, of independent trainings (B. L. Welch, 1947).

    The trainings of two rows never share a seed, so nothing could be paired.

    Returns:
        The interval, or None if a row has a single seed, so that its noise is unknown.
    """
    if one.error is None or other.error is None:
        return None
    difference = one.mean - other.mean
    squares = [(number.error or 0.0) ** 2 for number in (one, other)]
    if not sum(squares):
        return Interval(difference=difference, low=difference, high=difference)
    shares = [
        square**2 / (number.seeds - 1) for square, number in zip(squares, (one, other), strict=True)
    ]
    freedom = sum(squares) ** 2 / sum(shares)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * sum(squares) ** 0.5
    return Interval(difference=difference, low=difference - half, high=difference + half)
