"""Asynchronous successive halving and median stopping against their rules."""

from __future__ import annotations

import statistics

from hypothesis import given, settings
from hypothesis import strategies as st
from synrep_search.search.early_stopping import MedianStopping, SuccessiveHalving
from synrep_search.search_file.early_stopping import Asha

RUNGS = [2, 4, 8]
losses = st.integers(-5, 5).map(float) | st.floats(-1e3, 1e3)
reports = st.lists(
    st.tuples(st.integers(0, 7), st.integers(1, 10), losses), min_size=1, max_size=40
)


class Rule:
    """The rule in its plainest form.

    A trial goes on past a rung if, of the n best values so far that trials had when they reached
    it, its own included, fewer than max(1, n // reduction) are better than its own.
    """

    def __init__(self, reduction: int) -> None:
        self.reduction = reduction
        self.seen: dict[int, dict[int, float]] = {rung: {} for rung in RUNGS}

    def goes_on(self, trial: int, iteration: int, loss: float) -> bool:
        """Whether a report passes all rungs that its trial had not reached before."""
        passed = True
        for rung, values in self.seen.items():
            if iteration >= rung and trial not in values:
                values[trial] = loss
                better = sum(value < loss for value in values.values())
                passed &= better < max(1, len(values) // self.reduction)
        return passed


@settings(deadline=None, database=None, max_examples=60)
@given(reports=reports, reduction=st.integers(2, 4))
def test_only_the_best_pass(reports, reduction) -> None:
    """In whatever order trials report, each rung passes those that the rule lets pass."""
    halving, rule = SuccessiveHalving(RUNGS, reduction), Rule(reduction)
    for trial, iteration, loss in reports:
        assert halving.goes_on(trial, iteration, loss) == rule.goes_on(trial, iteration, loss)


@settings(deadline=None, database=None, max_examples=60)
@given(reports=reports, reduction=st.integers(2, 4), at=st.integers(0, 40))
def test_restored_rungs_decide_alike(reports, reduction, at) -> None:
    """Rungs filled from recorded values decide as those that saw the reports."""
    original, restored = SuccessiveHalving(RUNGS, reduction), SuccessiveHalving(RUNGS, reduction)
    recorded: dict[int, dict[int, float]] = {}
    for trial, iteration, loss in reports[:at]:
        if iteration > max(recorded.get(trial, {0: 0.0})):
            recorded.setdefault(trial, {})[iteration] = loss
            original.goes_on(trial, iteration, loss)
    for trial in sorted(recorded, reverse=True):
        restored.restore(trial, recorded[trial])
    for trial, iteration, loss in reports[at:]:
        expected = original.goes_on(trial, iteration, loss)
        assert restored.goes_on(trial, iteration, loss) == expected


def test_a_rung_is_judged_once() -> None:
    """A trial is judged by the first report at or after a rung, and never again there."""
    halving = SuccessiveHalving(RUNGS, 2)
    assert halving.goes_on(0, 3, 1.0)
    assert halving.goes_on(1, 1, 9.0)
    assert not halving.goes_on(1, 2, 9.0)
    assert halving.goes_on(1, 2, 9.0)
    assert halving.goes_on(1, 3, 9.0)
    assert halving.goes_on(0, 3, 99.0)


def test_a_report_that_passes_several_rungs_needs_all() -> None:
    """A long step is judged at every rung on its way."""
    halving = SuccessiveHalving(RUNGS, 2)
    assert halving.goes_on(0, 2, 5.0)
    assert halving.goes_on(1, 8, 3.0)
    assert not halving.goes_on(2, 8, 4.0)


def test_equal_trials_share_their_place() -> None:
    """A trial that equals one that passed passes."""
    halving = SuccessiveHalving([1], 3)
    assert all(halving.goes_on(trial, 1, 7.0) for trial in range(5))
    assert not halving.goes_on(5, 1, 7.5)


def test_rungs_of_a_length() -> None:
    """Rungs grow by the reduction from the grace, as whole iterations, and end before the end."""
    assert Asha(grace=0.04, reduction=3).rungs(20000) == [800, 2400, 7200]
    assert Asha(grace=0.1, reduction=2).rungs(5) == [1, 2, 4]
    assert Asha(grace=0.999, reduction=2).rungs(1) == []


class MedianRule:
    """The rule in its plainest form.

    A report goes on unless enough other trials had a value at its iteration, and it is worse than
    their median. A trial has there the best value of its last report up to it.
    """

    def __init__(self, first: int, minimum: int) -> None:
        self.first, self.minimum = first, minimum
        self.seen: dict[int, dict[int, float]] = {}

    def goes_on(self, trial: int, iteration: int, loss: float) -> bool:
        """Whether a report goes on; one at an iteration that was passed already does."""
        own = self.seen.setdefault(trial, {})
        if iteration <= max(own, default=0):
            return True
        own[iteration] = loss
        others = []
        for number, losses in self.seen.items():
            before = [at for at in losses if at <= iteration]
            if number != trial and before and max(losses) >= iteration:
                others.append(losses[max(before)])
        if iteration < self.first or len(others) < self.minimum:
            return True
        return loss <= statistics.median(others)


@settings(deadline=None, database=None, max_examples=100)
@given(reports=reports, minimum=st.integers(1, 3), first=st.integers(1, 5))
def test_the_worse_half_ends(reports, minimum, first) -> None:
    """In whatever order trials report, and at whatever iterations."""
    stopping, rule = MedianStopping(first, minimum), MedianRule(first, minimum)
    for trial, iteration, loss in reports:
        expected = rule.goes_on(trial, iteration, loss)
        assert stopping.goes_on(trial, iteration, loss) == expected


@settings(deadline=None, database=None, max_examples=100)
@given(reports=reports, minimum=st.integers(1, 3), at=st.integers(0, 40))
def test_restored_medians_decide_alike(reports, minimum, at) -> None:
    """Filled from recorded values, in any order of trials, it decides as what saw the reports."""
    original, restored = MedianStopping(2, minimum), MedianStopping(2, minimum)
    recorded: dict[int, dict[int, float]] = {}
    for trial, iteration, loss in reports[:at]:
        if iteration > max(recorded.get(trial, {0: 0.0})):
            recorded.setdefault(trial, {})[iteration] = loss
            original.goes_on(trial, iteration, loss)
    for trial in sorted(recorded, reverse=True):
        restored.restore(trial, recorded[trial])
    for trial, iteration, loss in reports[at:]:
        expected = original.goes_on(trial, iteration, loss)
        assert restored.goes_on(trial, iteration, loss) == expected
