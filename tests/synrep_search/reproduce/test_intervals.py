"""Intervals of differences over few seeds, against SciPy's own test and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from synrep_search.reproduce.intervals import welch
from synrep_search.reproduce.scores import Number
from synrep_search.reproduce.tables import TABLES


def test_it_is_welchs_interval() -> None:
    """Also of unequal numbers and variances."""
    one, other = [50.1, 52.0, 51.2], [47.0, 49.5, 45.1, 48.8]
    found = welch(Number.of(one), Number.of(other))
    wanted = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))
    assert found.certain == (stats.ttest_ind(one, other, equal_var=False).pvalue < 0.05)


def test_single_seeds_and_equal_values() -> None:
    """One seed has no noise to measure; values without any have an interval of one point."""
    assert welch(Number.of([1.0]), Number.of([1.0, 2.0])) is None
    found = welch(Number.of([2.0, 2.0]), Number.of([1.0, 1.0]))
    assert found is not None
    assert (found.low, found.high, found.certain) == (1.0, 1.0, True)


def test_chance_is_rarely_called_a_difference() -> None:
    """With three seeds each, at most one in twenty; two standard errors would say one in nine."""
    random = np.random.default_rng(0)
    rows = [[Number.of(part) for part in pair] for pair in random.normal(size=(2000, 2, 3))]
    wrong = np.mean([interval.certain for one, two in rows if (interval := welch(one, two))])
    crude = np.mean(
        [
            abs(one.mean - two.mean) > 2 * ((one.error or 0) ** 2 + (two.error or 0) ** 2) ** 0.5
            for one, two in rows
        ]
    )
    assert wrong < 0.05
    assert crude > 0.1


def test_only_comparable_rows_are_compared() -> None:
    """The same measure, scale and test poses, with the same noise in their 2D joints."""
    rows = {(row.label, row.measure): row for row in TABLES["benchmark"].rows}
    ours = rows["Ours", "mpjpe_mm"]
    assert rows["RepNet-like", "mpjpe_mm"].conditions == ours.conditions
    assert rows["Ours, sized by one constant", "mpjpe_mm"].conditions != ours.conditions
    assert rows["Ours", "p_mpjpe_mm"].conditions != ours.conditions
    noise = {row.label: row.conditions for row in TABLES["table3"].rows}
    assert noise["GT + N(0, 5)"] != noise["GT + N(0, 20)"]
    assert noise["GT + N(0, 5), tested on GT"] == noise["GT + N(0, 20), tested on GT"]
    assert noise["GT"] == noise["GT + N(0, 20), tested on GT"]
