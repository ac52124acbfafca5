"""A driver that dies between any two writes of its ledger: the next one mends what it left."""

from __future__ import annotations

import pytest
from optuna.trial import TrialState

from tests.services.trials import begin_trial

HALVING = {"early_stopping": {"asha": {"grace": 0.3, "reduction": 2}}}  # rungs at 3 and 6 of 9


class Died(BaseException):
    """The driver's process is gone."""


def die(*_: object, **__: object) -> None:
    """Stands for any call during which the process ends."""
    raise Died


@pytest.mark.parametrize("reported", [False, True])
def test_death_while_a_trial_runs(ledgers, make_spec, make_report, reported) -> None:
    """After a begin, or a report that the trial outlives, it waits with what was reported."""
    ledger = ledgers.create(make_spec())
    trial = begin_trial(ledger)
    assert trial is not None
    if reported:
        ledger.report(make_report(trial, 1, 5.0), None, "")
    after = ledgers.open(ledger.name)
    assert after.reconcile() == [0]
    assert after.reconcile() == []
    assert after.trial(0).state == "waiting"
    assert after.trial(0).best_by_iteration == ({1: 5.0} if reported else {})
    assert [a.cause for a in after.trial(0).record.attempts] == ["interrupted: the driver died"]
    assert after.trial(0).record.failures == 0
    assert [frozen.state for frozen in after._study.optuna.get_trials()] == [TrialState.WAITING]
    again = begin_trial(after)
    assert again is not None
    assert (again.number, again.attempt) == (0, 2)
    assert [frozen.state for frozen in after._study.optuna.get_trials()] == [TrialState.RUNNING]


@pytest.mark.parametrize("ended", ["completed", "stopped_early"])
def test_death_after_a_verdict(ledgers, make_spec, make_report, ended) -> None:
    """A report with its verdict is recorded, its end is not: the trial ends as it was judged."""
    ledger = ledgers.create(make_spec(search=HALVING))
    trial = begin_trial(ledger)
    assert trial is not None
    ledger.report(make_report(trial, 3, 5.0), ended, "because")
    after = ledgers.open(ledger.name)
    assert after.reconcile() == []
    assert (after.trial(0).state, after.trial(0).record.cause) == (ended, "because")
    (frozen,) = after._study.optuna.get_trials()
    assert frozen.intermediate_values == {3: 5.0}
    assert frozen.state is (TrialState.COMPLETE if ended == "completed" else TrialState.PRUNED)
    assert len(after.trial(0).record.attempts) == 1


@pytest.mark.parametrize("call", ["set_trial_intermediate_value", "set_trial_state_values"])
@pytest.mark.parametrize("ended", ["completed", "stopped_early", "diverged", "failed", "waiting"])
def test_death_between_two_writes(
    ledgers, make_spec, make_report, monkeypatch, ended, call
) -> None:
    """Our record says how it ended, Optuna's trial not yet: it is brought into agreement."""
    ledger = ledgers.create(make_spec(search=HALVING))
    trial = begin_trial(ledger)
    assert trial is not None
    ledger.report(make_report(trial, 3, 5.0), None, "")
    with monkeypatch.context() as patched:
        patched.setattr(ledger._study._storage, call, die)
        if ended == "waiting" and call == "set_trial_intermediate_value":
            ledger.end(0, ended, "because")  # there is no such call on this way
        else:
            with pytest.raises(Died):
                ledger.end(0, ended, "because")
    after = ledgers.open(ledger.name)
    assert after.reconcile() == []
    assert after.trial(0).state == ended
    assert [attempt.cause for attempt in after.trial(0).record.attempts] == ["because"]
    (frozen,) = after._study.optuna.get_trials()
    states = {
        "completed": TrialState.COMPLETE,
        "stopped_early": TrialState.PRUNED,
        "diverged": TrialState.PRUNED,
        "failed": TrialState.FAIL,
        "waiting": TrialState.WAITING,
    }
    assert frozen.state is states[ended]
    assert frozen.value == (5.0 if ended == "completed" else None)
    assert frozen.intermediate_values == ({} if ended == "waiting" else {3: 5.0})
    assert frozen.constraints == ({"diverged": 1.0} if ended == "diverged" else {})


def test_death_while_an_attempt_begins(ledgers, make_spec, monkeypatch) -> None:
    """Our record says running, Optuna's trial still waits: it waits for the next attempt."""
    ledger = ledgers.create(make_spec())
    begin_trial(ledger)
    ledger.end(0, "waiting", "first")
    with monkeypatch.context() as patched:
        patched.setattr(ledger._study._storage, "set_trial_state_values", die)
        with pytest.raises(Died):
            begin_trial(ledger)
    after = ledgers.open(ledger.name)
    assert after.reconcile() == [0]
    assert [frozen.state for frozen in after._study.optuna.get_trials()] == [TrialState.WAITING]
    begun = begin_trial(after)
    assert begun is not None
    assert (begun.number, begun.attempt) == (0, 3)


def test_death_while_a_trial_is_made(ledgers, make_spec, monkeypatch) -> None:
    """A trial is made in one write: it is not there, and the next one takes its number."""
    ledger = ledgers.create(make_spec())
    first = begin_trial(ledger)
    with monkeypatch.context() as patched:
        patched.setattr(ledger._study._storage, "create_new_trial", die)
        with pytest.raises(Died):
            begin_trial(ledger)
    after = ledgers.open(ledger.name)
    after.reconcile()
    assert [trial.number for trial in after.index.trials()] == [0]
    again, second = begin_trial(after), begin_trial(after)
    assert again is not None
    assert second is not None
    assert first is not None
    assert again.record.key == first.record.key
    assert second.number == 1
