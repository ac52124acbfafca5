"""The index of trials against the obvious way to answer the same questions."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from synrep_search.durability.index import TrialIndex
from synrep_search.durability.records import STATES, Record, Trial

values = st.none() | st.sampled_from([-2.0, -1.0, 0.0, 0.5, 0.5, 1.0, 7.0])


@st.composite
def trials(draw) -> Trial:
    """Any of a few trials, in any state and of any value."""
    record = Record(state=draw(st.sampled_from(STATES)), values={}, seed=0, key="0" * 64)
    value = draw(values)
    best_by_iteration = {} if value is None else {1: value}
    return Trial(
        number=draw(st.integers(0, 8)),
        params={},
        record=record,
        best_by_iteration=best_by_iteration,
    )


@settings(deadline=None, database=None, max_examples=60)
@given(
    before=st.lists(trials(), max_size=4, unique_by=lambda trial: trial.number),
    puts=st.lists(trials(), max_size=25),
    sign=st.sampled_from([1, -1]),
)
def test_index_answers_as_a_plain_dictionary(before, puts, sign) -> None:
    """After any puts, counts, the waiting trial, the best and the order are the true ones."""
    index = TrialIndex(before, sign)
    known = {trial.number: trial for trial in before}
    for trial in [None, *puts]:
        if trial is not None:
            index.put(trial)
            known[trial.number] = trial
        ranked = sorted(
            (
                one
                for one in known.values()
                if one.value is not None and one.state not in ("diverged", "failed")
            ),
            key=lambda one: (sign * (one.value or 0.0), one.number),
        )
        waiting = [number for number, one in known.items() if one.state == "waiting"]
        states = [one.state for one in known.values()]
        assert index.first() == (ranked[0] if ranked else None)
        assert index.best(3) == ranked[:3]
        assert index.first_waiting() == (known[min(waiting)] if waiting else None)
        assert index.counts() == {state: states.count(state) for state in STATES}
        assert index.trials() == [known[number] for number in sorted(known)]
        assert len(index) == len(known)
        assert all(number in index and index[number] == one for number, one in known.items())
        assert 9 not in index
