"""A driver that dies at each of its writes: the search ends as if it had not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from optuna.trial import TrialState
from synrep_search.durability.study.trials import TO_OPTUNA
from synrep_search.workers import local

if TYPE_CHECKING:
    from synrep_search.durability.ledger import Ledger


class Died(BaseException):
    """The driver's process is gone."""


class Deaths:
    """Lets the driver of a ledger die instead of its n-th commit that writes something."""

    def __init__(self, ledger: Ledger, at: int) -> None:
        self.left = at
        self._wrote = False
        engine = ledger._study._storage.engine
        sa.event.listen(engine, "before_cursor_execute", self._statement)
        sa.event.listen(engine, "commit", self._commit)

    def _statement(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        self._wrote |= statement.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE"))

    def _commit(self, _connection: object) -> None:
        if self._wrote:
            self._wrote = False
            self.left -= 1
            if self.left < 0:
                raise Died


SCRIPT: dict[str, Any] = {
    "train": {"iterations": 4, "reports": 2},
    "space": {
        "x": {"float": [-1, 1]},
        "nan_at": {"choice": [0, 3]},
    },
    "start_from": [{"x": 0.9}, {"x": -1}, {"x": 0.3, "nan_at": 3}],
    "search": {
        "trials": 4,
        "early_stopping": {"asha": {"grace": 0.5, "reduction": 2}},
        "sampler": {"tpe": {"startup": 2}},
    },
    "failures": {"retries": 0},
}


def outcome(ledger: Ledger) -> list[tuple[Any, ...]]:
    """What a search came to, without times and attempts."""
    reports = {
        trial.number: [
            (event.step, event.payload["metrics"], event.payload["checkpoint"]["sha256"])
            for event in ledger.outbox.reports(trial.number)
        ]
        for trial in ledger.index.trials()
    }
    return [
        (
            one.number,
            one.params,
            one.state,
            one.best_by_iteration,
            one.record.seed,
            reports[one.number],
        )
        for one in ledger.index.trials()
    ]


def consistent(ledger: Ledger) -> bool:
    """Whether Optuna and the last words to MLflow agree with the ledger's trials."""
    frozen = ledger._study.optuna.get_trials()
    last = {event.trial: event for event in ledger.outbox.pending() if event.kind == "state"}
    trials = ledger.index.trials()
    return [one.state for one in frozen] == [TO_OPTUNA[one.state] for one in trials] and all(
        last[one.number].payload["state"] == one.state for one in trials if one.ended
    )


def test_death_at_every_write(make_search, make_spec, sqlite_ledgers) -> None:
    """Whenever the driver dies, the resumed search ends as one that was never disturbed."""
    calm = make_search(make_spec(**SCRIPT))
    local.run(calm)
    expected = outcome(calm.ledger)
    found = [state for _, _, state, *_ in expected]
    assert found[:3] == ["completed", "stopped_early", "diverged"]
    assert consistent(calm.ledger)
    deaths = 0
    for at in range(200):
        search = make_search(make_spec(**SCRIPT))
        counter = Deaths(search.ledger, at)
        try:
            local.run(search)
        except Died:
            deaths += 1
        search.ledger.close()
        if counter.left >= 0:
            break
        ledger = sqlite_ledgers.open(search.ledger.name)
        ledger.reconcile()
        open_states = {"waiting", "completed", "stopped_early", "diverged", "failed"}
        assert {trial.state for trial in ledger.index.trials()} <= open_states
        assert TrialState.RUNNING not in {one.state for one in ledger._study.optuna.get_trials()}
        local.run(make_search(ledger))
        assert outcome(ledger) == expected, f"died at write {at}"
        assert consistent(ledger), f"died at write {at}"
        attempts = sum(trial.attempt for trial in ledger.index.trials())
        assert attempts <= len(expected) + 1
    assert deaths > 20
