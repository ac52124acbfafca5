"""The ledger's contract, on SQLite and on PostgreSQL."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState
from synrep_search.durability.ledger import Ledger
from synrep_search.durability.outbox import Event
from synrep_search.durability.study.storage import open_storage
from synrep_search.errors import LedgerError, NoSearch

from synrep.training.checkpoint import CheckpointRef
from tests.services.trials import begin_trial

if TYPE_CHECKING:
    from pathlib import Path

HALVING = {"early_stopping": {"asha": {"grace": 0.3, "reduction": 2}}}  # rungs at 3 and 6 of 9


def optuna_trials(ledger: Ledger) -> list[optuna.trial.FrozenTrial]:
    """The trials of the study as Optuna reads them from the database."""
    return ledger._study.optuna.get_trials()


def contents(path: Path) -> list[str]:
    """Everything in a SQLite database."""
    with closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


def run_trial(ledger: Ledger, make_report, ended: str, losses: list[float]) -> int:
    """Begin a trial, report its losses at 1, 2, ..., and end it."""
    trial = begin_trial(ledger)
    assert trial is not None
    for iteration, loss in enumerate(losses, 1):
        last = ended if iteration == len(losses) and ended != "diverged" else None
        ledger.report(make_report(trial, iteration, loss), last, "")
    ledger.end(trial.number, ended, "a cause")
    return trial.number


def test_a_search_is_found_again(ledgers, make_spec) -> None:
    """A created search is opened by its name with all that it was created with."""
    spec = make_spec(search={"maximize": "loss", "minimize": None, "trials": 7})
    made = ledgers.create(spec)
    found = ledgers.open(spec.name)
    assert found.spec == spec == made.spec
    assert found.provenance == made.provenance
    assert found.target == 7
    assert not len(found.index)
    assert not found.target_met


def test_a_name_is_taken_once(ledgers, make_spec) -> None:
    """A second search of the same name is refused with the way to go on; the first is whole."""
    spec = make_spec()
    ledgers.create(spec)
    with pytest.raises(LedgerError, match=f"synrep-search resume {spec.name}"):
        ledgers.create(spec)
    assert ledgers.open(spec.name).spec == spec


def test_an_unknown_search_is_refused(ledgers, make_spec) -> None:
    """The message lists the searches that there are."""
    spec = make_spec()
    ledgers.create(spec)
    with pytest.raises(LedgerError, match=rf"no search 'other' in .*there are: {spec.name}\)"):
        ledgers.open("other")


def test_a_reader_makes_no_tables(tmp_path) -> None:
    """Somebody who asks while a launch makes the tables must not get in its way."""
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE studies (study_id INTEGER)"))
    with pytest.raises(NoSearch, match="holds no search, or a launch has only just begun"):
        Ledger.open(url, "early")
    assert sa.inspect(engine).get_table_names() == ["studies"]
    engine.dispose()


def test_a_study_of_others_is_refused(ledgers) -> None:
    """A study that Optuna made by itself is no search."""
    storage = open_storage(ledgers.url)
    optuna.create_study(study_name="alien", storage=storage)
    storage.remove_session()
    storage.engine.dispose()
    with pytest.raises(LedgerError, match=r"'alien' in .* was not made by synrep-search"):
        ledgers.open("alien")


def test_searches_share_a_database(ledgers, make_spec, make_report) -> None:
    """Trials, reports and events of one search are not seen in another."""
    one, two = ledgers.create(make_spec()), ledgers.create(make_spec())
    run_trial(one, make_report, "completed", [3.0, 1.0])
    run_trial(two, make_report, "completed", [5.0])
    one, two = ledgers.open(one.name), ledgers.open(two.name)
    assert one.trial(0).best_by_iteration == {1: 3.0, 2: 1.0}
    assert two.trial(0).best_by_iteration == {1: 5.0}
    assert (one.outbox.depth(), two.outbox.depth()) == (2, 1)


def test_a_trial_from_begin_to_end(ledgers, make_spec, make_report) -> None:
    """What is recorded of a trial is read back: values, reports, attempt, state and cause."""
    ledger = ledgers.create(make_spec())
    begun = begin_trial(ledger)
    assert begun is not None
    assert (begun.number, begun.state, begun.attempt) == (0, "running", 1)
    assert begun.params == {name: begun.record.values[name] for name in ("x", "y")}
    name = f"00000003-{'0' * 16}.safetensors"
    ref = CheckpointRef(file=name, iteration=3, sha256="0" * 64)
    ledger.report(make_report(begun, 3, 2.0, checkpoint=ref), None, "")
    ledger.report(make_report(begun, 9, 4.0), "completed", "")
    ended = ledger.end(0, "completed")
    assert ended.ended
    found = ledgers.open(ledger.name)
    assert found.trial(0) == ended
    assert found.trial(0).best_by_iteration == {3: 2.0, 9: 2.0}
    assert (found.trial(0).iteration, found.trial(0).best_iteration) == (9, 3)
    assert found.trial(0).record.attempts[0].cause == "completed"
    assert found.trial(0).record.attempts[0].ended >= found.trial(0).record.attempts[0].started
    assert found.checkpoints(0) == (ref,)


def test_an_unknown_trial_is_refused(ledgers, make_spec) -> None:
    """The message names search and number."""
    spec = make_spec()
    with pytest.raises(LedgerError, match=f"'{spec.name}' has no trial 3"):
        ledgers.create(spec).trial(3)


def test_numbers_go_on(ledgers, make_spec, make_report) -> None:
    """Numbers are never used twice, however trials ended and however often it is reopened."""
    spec = make_spec(search={"trials": 8})
    ledger = ledgers.create(spec)
    numbers = []
    for ended in ("completed", "stopped_early", "diverged", "failed"):
        numbers += [
            run_trial(ledger, make_report, ended, [1.0]),
            run_trial(ledger, make_report, ended, [] if ended in ("diverged", "failed") else [2.0]),
        ]
        ledger = ledgers.open(spec.name)
        ledger.reconcile()
    assert numbers == list(range(8))
    assert begin_trial(ledger) is None
    assert ledger.target_met
    keys = [trial.record.key for trial in ledger.index.trials()]
    assert len(set(keys)) == 8
    assert [trial.number for trial in optuna_trials(ledger)] == numbers


def test_a_waiting_trial_comes_first(ledgers, make_spec, make_report) -> None:
    """A trial that waits is begun before a new one is made, as a further attempt of its own."""
    ledger = ledgers.create(make_spec())
    first, second = begin_trial(ledger), begin_trial(ledger)
    assert first is not None
    assert second is not None
    ledger.report(make_report(first, 4, 1.0), None, "")
    ledger.end(1, "waiting", "its node was lost")
    ledger.end(0, "waiting", "its process died", failures=1)
    ledger = ledgers.open(ledger.name)
    again = [begin_trial(ledger) for _ in range(3)]
    assert [trial and (trial.number, trial.attempt) for trial in again] == [(0, 2), (1, 2), (2, 1)]
    record = ledger.trial(0).record
    assert [attempt.cause for attempt in record.attempts] == ["its process died", ""]
    assert (record.failures, record.shared_failures, record.cause) == (1, 0, "")
    assert ledger.trial(0).iteration == 4


def test_a_repeated_report_changes_nothing(ledgers, make_spec, make_report) -> None:
    """After a rollback the same iteration is reported again: the first report is kept."""
    ledger = ledgers.create(make_spec())
    trial = begin_trial(ledger)
    assert trial is not None
    ledger.report(make_report(trial, 1, 5.0), None, "")
    ledger.report(make_report(trial, 2, 4.0), None, "")
    ledger.report(make_report(trial, 2, 3.0, time_ms=99), None, "")
    ledger.report(make_report(trial, 1, 0.0), None, "")
    assert ledger.trial(0).best_by_iteration == {1: 5.0, 2: 4.0}
    found = ledgers.open(ledger.name)
    assert found.trial(0).best_by_iteration == {1: 5.0, 2: 4.0}
    events = found.outbox.reports(0)
    assert [(event.step, event.payload["metrics"]["loss"]) for event in events] == [(2, 4), (1, 5)]


@pytest.mark.parametrize(
    ("goal", "after"),
    [
        ({"minimize": "loss"}, [3.0, 2.0, 2.0, -1.0]),
        ({"minimize": None, "maximize": "loss"}, [3.0, 3.0, 7.0, 7.0]),
    ],
)
def test_the_best_value_so_far(ledgers, make_spec, make_report, goal, after) -> None:
    """A trial is worth its best value so far, in the direction of the goal."""
    ledger = ledgers.create(make_spec(search=goal))
    trial = begin_trial(ledger)
    assert trial is not None
    found = []
    for iteration, loss in enumerate([3.0, 2.0, 7.0, -1.0], 1):
        report = make_report(trial, iteration, loss)
        found.append(ledger.value_after(report))
        ledger.report(report, None, "")
    assert found == after
    assert list(ledger.trial(0).best_by_iteration.values()) == after
    best = ledger.outbox.reports(0)[0].payload["best"]
    assert best == {"best/loss": after[-1], "best/step": after.index(after[-1]) + 1}


def test_optuna_agrees(ledgers, make_spec, make_report) -> None:
    """Optuna's trials carry state, value, values at the rungs, and whether they diverged."""
    ledger = ledgers.create(make_spec(search=HALVING | {"trials": 6}))
    losses = [9.0, 8.0, 7.0, 6.5, 6.4, 5.0, 4.5, 4.4, 4.0]
    run_trial(ledger, make_report, "completed", losses)
    run_trial(ledger, make_report, "stopped_early", losses[:6])
    run_trial(ledger, make_report, "diverged", losses[:4])
    run_trial(ledger, make_report, "diverged", [])
    run_trial(ledger, make_report, "failed", losses[:2])
    begin_trial(ledger)
    ledger.end(5, "waiting", "preempted")
    completed, stopped, diverged, at_once, failed, waiting = optuna_trials(
        ledgers.open(ledger.name)
    )
    assert (completed.state, completed.value) == (TrialState.COMPLETE, 4.0)
    assert completed.intermediate_values == {3: 7.0, 6: 5.0, 9: 4.0}
    assert stopped.state is TrialState.PRUNED
    assert stopped.intermediate_values == {3: 7.0, 6: 5.0}
    assert diverged.state is at_once.state is TrialState.PRUNED
    assert diverged.constraints == at_once.constraints == {"diverged": 1.0}
    assert not completed.constraints
    assert not stopped.constraints
    assert failed.state is TrialState.FAIL
    assert waiting.state is TrialState.WAITING
    assert completed.params == ledger.trial(0).params


def test_rungs_between_reports(ledgers, make_spec, make_report) -> None:
    """Where no report falls on a rung, Optuna is told the value of the first report after it."""
    ledger = ledgers.create(make_spec(search=HALVING))
    trial = begin_trial(ledger)
    assert trial is not None
    for iteration, loss in ((2, 5.0), (4, 4.0), (8, 3.0)):
        ledger.report(make_report(trial, iteration, loss), None, "")
    ledger.end(0, "stopped_early", "")
    (frozen,) = optuna_trials(ledger)
    assert frozen.intermediate_values == {4: 4.0, 8: 3.0}


def test_a_raised_target(ledgers, make_spec, make_report) -> None:
    """A finished search takes more trials, also after it was reopened."""
    ledger = ledgers.create(make_spec(search={"trials": 1}))
    run_trial(ledger, make_report, "completed", [1.0])
    assert ledger.target_met
    assert begin_trial(ledger) is None
    ledger.set_target(2)
    after = ledgers.open(ledger.name)
    assert after.target == 2
    assert not after.target_met
    assert run_trial(after, make_report, "completed", [1.0]) == 1
    assert after.target_met


def test_a_target_in_a_changed_file(ledgers, make_spec) -> None:
    """A number of trials that was changed is the new target; one that was not leaves it."""
    spec = make_spec()
    ledger = ledgers.create(spec)
    ledger.set_target(9)
    ledger.replace_spec(make_spec(name=spec.name, failures={"retries": 1}))
    assert ledgers.open(spec.name).target == 9
    ledger.replace_spec(make_spec(name=spec.name, search={"trials": 7}))
    assert ledgers.open(spec.name).target == 7


@pytest.mark.parametrize(
    "space",
    [
        {"x": {"float": [0, 5]}, "sleep_s": {"choice": [0, 0.001]}},
        {"x": {"choice": [0.25, 0.75]}, "y": {"float": [-1, 1]}},
        {"x": {"log": [0.1, 1]}, "y": {"float": [-1, 1], "step": 0.5}},
    ],
    ids=["range", "kind", "scale"],
)
def test_a_changed_spec(ledgers, make_spec, make_report, space) -> None:
    """Trials that exist keep their values; new ones are drawn from the new space."""
    spec = make_spec(search={"trials": 2})
    ledger = ledgers.create(spec)
    run_trial(ledger, make_report, "completed", [1.0])
    before = ledger.trial(0)
    ledger.replace_spec(make_spec(name=spec.name, space=space))
    after = ledgers.open(spec.name)
    assert set(after.spec.space.names) == set(space)
    assert run_trial(after, make_report, "completed", [0.5]) == 1
    again = ledgers.open(spec.name)
    assert again.trial(0) == before
    assert set(again.trial(1).params) == set(space)


def test_more_options(ledgers, make_spec, make_report) -> None:
    """A choice takes another option in a changed space."""
    spec = make_spec(space={"metrics": {"choice": [1, 2]}}, search={"trials": 2})
    ledger = ledgers.create(spec)
    run_trial(ledger, make_report, "completed", [1.0])
    ledger.replace_spec(make_spec(name=spec.name, space={"metrics": {"choice": [3, 4]}}))
    after = ledgers.open(spec.name)
    run_trial(after, make_report, "completed", [1.0])
    assert after.trial(1).params["metrics"] in (3, 4)


def test_runs_are_remembered(ledgers, make_spec) -> None:
    """The ids that MLflow gave are there after reopening."""
    ledger = ledgers.create(make_spec())
    assert ledger.mlflow == {}
    ledger.note_runs("7", "abc")
    assert ledgers.open(ledger.name).mlflow == {"experiment": "7", "parent": "abc"}


def test_a_copy_made_in_use(sqlite_ledgers, make_spec, make_report, tmp_path: Path) -> None:
    """The copy of a SQLite ledger that is being written holds all that is committed."""
    ledger = sqlite_ledgers.create(make_spec())
    run_trial(ledger, make_report, "completed", [3.0, 1.0])
    running = begin_trial(ledger)
    assert running is not None
    copy = tmp_path / "elsewhere" / "copy.sqlite"
    with ledger._study._storage.engine.begin() as connection:
        connection.execute(sa.text("UPDATE synrep_event SET value = 0"))  # not committed yet
        ledger.backup(copy)
        connection.rollback()
    assert contents(copy) == contents(tmp_path / "ledger.sqlite")
    assert [path.name for path in copy.parent.iterdir()] == ["copy.sqlite"]
    found = Ledger.open(f"sqlite:///{copy}", ledger.name)
    assert found.index.trials() == ledger.index.trials()
    assert found.reconcile() == [running.number]
    found.close()


def test_a_server_is_not_copied(postgres_url, make_spec, tmp_path: Path) -> None:
    """A database server has its own ways; the message says so, and no file appears."""
    ledger = Ledger.create(postgres_url, make_spec(), {})
    with pytest.raises(LedgerError, match="only a SQLite ledger can be copied"):
        ledger.backup(tmp_path / "copy.sqlite")
    ledger.close()
    assert not list(tmp_path.glob("*.sqlite"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2@127.0.0.1:1/db",
        "postgresql://user:hunter2@127.0.0.1:port/db",
        "postgresql://user:hunter2@/db?host=/nowhere",
        "nonsense+driver://user:hunter2@host/db",
    ],
)
def test_no_password_in_messages(url, make_spec) -> None:
    """A ledger that can't be reached is named without its password."""
    with pytest.raises(LedgerError) as caught:
        Ledger.create(url, make_spec(), {})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(LedgerError) as caught:
        Ledger.open(url, "any")
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """It is refused by name and left as it was."""
    path = tmp_path / "ledger.sqlite"
    path.write_text("not a database, whatever its name says", encoding="utf-8")
    with pytest.raises(
        LedgerError, match=r"ledger\.sqlite can't be opened: file is not a database"
    ):
        Ledger.open(f"sqlite:///{path}", "any")
    assert path.read_text(encoding="utf-8").startswith("not a database")


def test_events_hold_what_mlflow_needs(ledgers, make_spec, make_report) -> None:
    """A report's event carries metrics, the best so far, its step and its own time."""
    ledger = ledgers.create(make_spec())
    trial = begin_trial(ledger)
    assert trial is not None
    ledger.report(make_report(trial, 2, 5.0), "stopped_early", "poor")
    (event,) = ledger.outbox.pending()
    expected = {
        "metrics": {"loss": 5.0, "other": 10.0},
        "best": {"best/loss": 5.0, "best/step": 2},
        "checkpoint": None,
        "ended": "stopped_early",
        "cause": "poor",
    }
    assert event == Event(
        id=event.id, trial=0, kind="report", step=2, time_ms=2000, value=5.0, payload=expected
    )
