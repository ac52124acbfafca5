"""A search's decisions, with a real ledger and scripted reports; and whole searches without Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from synrep_search.durability import retry
from synrep_search.durability.database import SEARCH_ITSELF
from synrep_search.workers import local

from synrep.training.checkpoint import CheckpointRef

if TYPE_CHECKING:
    from synrep_search.durability.ledger import Ledger
    from synrep_search.search.loop import Search

HALVING = {"early_stopping": {"asha": {"grace": 0.3, "reduction": 2}}}  # rungs at 3 and 6 of 9
REF = CheckpointRef(file=f"00000001-{'0' * 16}.safetensors", iteration=1, sha256="0" * 64)


def states(search: Search) -> list[str]:
    """States of all trials by number, as a reader sees them."""
    return [trial.state for trial in search.ledger.index.trials()]


def told(ledger: Ledger, trial: int) -> list[tuple[str, int, str]]:
    """What MLflow is told of a trial besides its reports: kind, step, and state or cause."""
    return [
        (event.kind, event.step, event.payload.get("state", ""))
        for event in ledger.outbox.pending()
        if event.trial == trial and event.kind != "report"
    ]


def test_a_job_says_all(make_search, make_spec, make_report) -> None:
    """A job holds the whole configuration, where checkpoints go, and where to go on from."""
    spec = make_spec(start_from=[{"x": 0.5, "y": -1}], storage="/elsewhere")
    search = make_search(spec)
    job = search.next_job()
    record = search.ledger.trial(0).record
    assert (job.number, job.attempt, job.trainer, job.alone) == (0, 1, "scripted", False)
    assert job.config == {**spec.train, "x": 0.5, "y": -1.0, "seed": record.seed}
    assert job.checkpoints == f"/elsewhere/{spec.name}/trials/0000-{record.key[:8]}"
    assert job.resume_from == ()
    newer = REF.model_copy(update={"file": f"00000002-{'0' * 16}.safetensors", "iteration": 2})
    search.on_reports([make_report(job, 1, 1.0, checkpoint=REF)])
    search.on_reports([make_report(job, 2, 1.0, checkpoint=newer)])
    search.on_lost(0, "x", preempted=True)
    again = search.next_job()
    assert again.resume_from == (newer, REF)
    assert again.model_copy(update={"attempt": 1, "resume_from": ()}) == job


def test_jobs_until_the_target(make_search, make_spec, make_report) -> None:
    """As many trials as wanted are begun; the search is finished when all have ended."""
    search = make_search(make_spec(search={"trials": 3}))
    assert search.open_trials == 3
    jobs = [search.next_job() for _ in range(4)]
    assert [job and job.number for job in jobs] == [0, 1, 2, None]
    assert search.open_trials == 3
    for job in jobs[:3]:
        assert not search.finished
        assert search.on_reports([make_report(job, 4, 1.0)]) == {job.number}
        assert search.on_reports([make_report(job, 9, 1.0, ended="completed")]) == set()
    assert search.finished
    assert search.open_trials == 0
    assert states(search) == ["completed"] * 3
    assert [trial.number for trial in search.display.over] == [0, 1, 2]
    assert search.iterations == 27


def test_several_reports_at_once(make_search, make_spec, make_report) -> None:
    """Reports of a slot are judged together; those that go on are named."""
    search = make_search(make_spec(search=HALVING))
    jobs = [search.next_job() for _ in range(4)]
    going_on = search.on_reports(
        [
            make_report(jobs[0], 3, 5.0, memory_mb=300.0),
            make_report(jobs[1], 3, 6.0, memory_mb=200.0),
            make_report(jobs[2], 1, ended="diverged", cause="loss is nan"),
            make_report(jobs[3], 9, 1.0, ended="completed"),
        ]
    )
    assert going_on == {0}
    assert states(search) == ["running", "stopped_early", "diverged", "completed"]
    assert search.trial_memory_mb == 300.0
    causes = [trial.record.cause for trial in search.ledger.index.trials()]
    assert causes == ["", "not among the best at 3", "loss is nan", ""]


def test_nothing_of_a_batch_without_all(
    make_search, make_spec, make_report, sqlite_ledgers
) -> None:
    """A driver that dies while it judges several reports has recorded none of them."""
    search = make_search(make_spec())
    jobs = [search.next_job() for _ in range(2)]
    broken = make_report(jobs[1], 1, 1.0).model_copy(update={"metrics": {"other": 1.0}})
    with pytest.raises(KeyError):
        search.on_reports([make_report(jobs[0], 1, 1.0), broken])
    after = sqlite_ledgers.open(search.ledger.name)
    assert [trial.best_by_iteration for trial in after.index.trials()] == [{}, {}]


def test_a_trial_that_keeps_dying_fails(make_search, make_spec) -> None:
    """After its retries are used up a trial has failed, with its last cause."""
    search = make_search(make_spec(failures={"retries": 2}, search={"trials": 1}))
    for attempt in (1, 2):
        assert search.next_job().attempt == attempt
        search.on_lost(0, f"cause {attempt}")
        assert states(search) == ["waiting"]
    assert search.next_job().attempt == 3
    search.on_lost(0, "cause 3")
    trial = search.ledger.trial(0)
    assert (trial.state, trial.record.failures) == ("failed", 3)
    assert trial.record.cause == "died 3 times, at last: cause 3"
    assert search.next_job() is None
    assert search.finished
    assert len(search.display.said) == 2


def test_an_exception_of_the_training_counts(make_search, make_spec, make_report) -> None:
    """A report that the training died is a death of its own doing, also in a shared process."""
    search = make_search(make_spec(failures={"retries": 1}))
    for _ in range(2):
        job = search.next_job()
        report = make_report(job, 0, ended="died", cause="ValueError: no")
        assert search.on_reports([report]) == set()
    assert states(search) == ["failed"]
    assert "ValueError: no" in search.ledger.trial(0).record.cause


def test_preemption_is_nobodys_fault(make_search, make_spec) -> None:
    """A trial whose machine is taken away is resumed as often as that happens."""
    search = make_search(make_spec(failures={"retries": 0}))
    for attempt in range(1, 6):
        assert search.next_job().attempt == attempt
        search.on_lost(0, "its node was lost", preempted=True, alone=attempt % 2 == 0)
    record = search.ledger.trial(0).record
    assert (record.state, record.failures, record.shared_failures) == ("waiting", 0, 0)


def test_deaths_in_company_make_suspects(make_search, make_spec, make_report) -> None:
    """Whoever dies twice in company is tried alone, and only alone can it fail."""
    search = make_search(make_spec(failures={"retries": 0}))
    for _ in range(2):
        job = search.next_job(alone=False)
        assert not job.alone
        search.on_lost(0, "its process died", alone=False)
    record = search.ledger.trial(0).record
    assert (record.state, record.failures, record.shared_failures) == ("waiting", 0, 2)
    assert search.next_job(alone=False) is None
    job = search.next_job(alone=True)
    assert (job.number, job.alone) == (0, True)
    assert search.next_job(alone=False).number == 1
    search.on_lost(0, "its process died", alone=True)
    assert states(search) == ["failed", "running"]


def test_what_comes_late_is_ignored(make_search, make_spec, make_report) -> None:
    """Reports and deaths of attempts that were given up change nothing."""
    search = make_search(make_spec(failures={"retries": 5}))
    old = search.next_job()
    search.on_reports([make_report(old, 1, 5.0)])
    search.on_lost(0, "its process died")
    depth = search.ledger.outbox.depth()
    assert search.on_reports([make_report(old, 2, 4.0)]) == set()
    search.on_lost(0, "again")
    assert search.ledger.outbox.depth() == depth
    new = search.next_job()
    before = search.ledger.trial(0)
    late = make_report(old, 9, 0.0, ended="completed")
    assert search.on_reports([late, make_report(old, 2, ended="diverged")]) == set()
    assert search.ledger.trial(0) == before
    assert search.on_reports([make_report(new, 2, 4.5)]) == {0}
    assert search.ledger.trial(0).best_by_iteration == {1: 5.0, 2: 4.5}


def test_stop(make_search, make_spec, make_report) -> None:
    """A stopped search begins nothing, and its trials wait from their next report on."""
    search = make_search(make_spec(search=HALVING))
    jobs = [search.next_job() for _ in range(4)]
    search.stop("SIGTERM")
    search.stop("another reason")
    assert search.stopping == "SIGTERM"
    assert search.next_job() is None
    assert not search.finished
    assert search.on_reports([make_report(jobs[0], 2, 5.0)]) == set()
    assert search.on_reports([make_report(jobs[1], 9, 4.0, ended="completed")]) == set()
    assert search.on_reports([make_report(jobs[2], 9, 9.0)]) == set()
    assert not search.finished
    search.on_lost(3, "its process died")
    assert search.finished
    assert states(search) == ["waiting", "completed", "stopped_early", "waiting"]
    records = [search.ledger.trial(number).record for number in (0, 3)]
    assert [record.attempts[0].cause for record in records] == ["SIGTERM"] * 2
    assert [record.failures for record in records] == [0, 0]
    assert len(search.display.said) == 1


def test_a_paused_trial_goes_on_from_its_pause(make_search, make_spec, make_report) -> None:
    """The checkpoint of a pause is handed to the next attempt, until a report comes after it."""
    search = make_search(make_spec(search={"trials": 1}))
    job = search.next_job()
    search.on_reports([make_report(job, 3, 1.0, checkpoint=ref(3))])
    search.stop("SIGTERM")
    paused = make_report(job, 5, ended="paused", cause="paused", checkpoint=ref(5))
    assert search.on_reports([paused]) == set()
    assert states(search) == ["waiting"]
    assert search.ledger.trial(0).record.attempts[0].cause == "SIGTERM"
    assert search.ledger.trial(0).record.failures == 0
    search.stopping = ""
    second = search.next_job()
    assert (second.paused, second.resume_from) == (ref(5), (ref(3),))
    search.on_reports([make_report(second, 6, 0.9, checkpoint=ref(6))])
    search.on_lost(0, "died")
    third = search.next_job()
    assert (third.paused, third.resume_from) == (None, (ref(6), ref(3)))


def test_a_deferred_trial_waits_and_no_new_one_begins(
    make_search, make_spec, make_report, monkeypatch
) -> None:
    """While the storage fails nothing new is begun, which would fail too; nobody is to blame."""
    clock = [100.0]
    monkeypatch.setattr(retry.time, "monotonic", lambda: clock[0])
    search = make_search(make_spec(search={"trials": 4}))
    first, second = search.next_job(), search.next_job()
    for attempt, pause in enumerate((15, 30, 60, 120, 240, 240), start=1):
        failed = make_report(first, 0, ended="deferred", cause="the storage failed: 503")
        search.on_reports([failed.model_copy(update={"attempt": attempt})])
        assert (
            search.display.said[-1]
            == f"trial 0 waits {pause} s for its storage (the storage failed: 503)"
        )
        clock[0] += pause - 1
        assert search.next_job() is None
        clock[0] += 2
        assert search.next_job().number == 0
    assert search.ledger.trial(0).record.failures == 0
    search.on_reports([make_report(search.ledger.trial(0), 1, 1.0)])
    search.on_reports([make_report(second, 0, ended="deferred", cause="again")])
    assert search.display.said[-1] == "trial 1 waits 15 s for its storage (again)"
    clock[0] += 16
    assert [search.next_job().number for _ in range(3)] == [1, 2, 3]


def test_a_full_storage_stops_the_search(make_search, make_spec, make_report) -> None:
    """There is no use in going on; all trials can be resumed when there is room."""
    search = make_search(make_spec())
    job = search.next_job()
    cause = "the storage failed: No space left on device"
    search.on_reports([make_report(job, 0, ended="full", cause=cause)])
    assert (search.stopping, states(search)) == (cause, ["waiting"])
    assert search.finished


def ref(iteration: int) -> CheckpointRef:
    """A checkpoint."""
    return REF.model_copy(
        update={"file": f"{iteration:08d}-{'0' * 16}.safetensors", "iteration": iteration}
    )


def test_abandon(make_search, make_spec, make_report) -> None:
    """Given up at once, trials wait with what they had reported."""
    search = make_search(make_spec())
    jobs = [search.next_job() for _ in range(2)]
    search.on_reports([make_report(jobs[1], 3, 5.0)])
    search.abandon()
    assert not search.running
    assert states(search) == ["waiting", "waiting"]
    assert search.ledger.trial(1).best_by_iteration == {3: 5.0}
    again = search.next_job()
    assert (again.number, again.attempt) == (0, 2)


def test_rungs_come_back(make_search, make_spec, make_report, sqlite_ledgers) -> None:
    """A resumed search judges as the one that made the records, whatever became of the trials."""
    spec = make_spec(search={**HALVING, "trials": 9})
    search = make_search(spec)
    ends: list[dict[str, str]] = [
        {"ended": "completed"},
        {"ended": "diverged", "cause": "nan"},
        {"ended": "died", "cause": "why"},
        {},
    ]
    jobs = [search.next_job() for _ in ends]
    for job, end in zip(jobs, ends, strict=True):
        assert search.on_reports([make_report(job, 3, 4.0 - job.number)]) == {job.number}
        loss = None if end.get("cause") else 1.0
        search.on_reports([make_report(job, 4, loss, **end)])
    search.next_job()
    skipped = search.next_job()
    search.on_reports([make_report(skipped, 9, 1.5, ended="completed")])
    assert states(search) == ["completed", "diverged", "running", "running", "completed"]
    copy = make_search(sqlite_ledgers.open(spec.name))
    for loss in (0.5, 1.5, 2.5, 3.5, 4.5):
        one, two = search._stopping_rule, copy._stopping_rule
        assert one.goes_on(100 + int(loss), 3, loss) == two.goes_on(100 + int(loss), 3, loss)


def test_a_waiting_trial_in_a_changed_search(
    make_search, make_spec, make_report, sqlite_ledgers
) -> None:
    """It goes on with its own values and the new length, also where its names left the space."""
    spec = make_spec(search=HALVING, start_from=[{"x": 0.5, "y": 0.25}])
    search = make_search(spec)
    search.on_reports([make_report(search.next_job(), 4, 5.0, checkpoint=REF)])
    changed = make_spec(
        name=spec.name,
        train={"iterations": 18, "reports": 18},
        space={"x": {"float": [0.6, 1]}},
        search=HALVING,
    )
    ledger = sqlite_ledgers.open(spec.name)
    ledger.replace_spec(changed)
    again = make_search(ledger)
    job = again.next_job()
    assert (job.number, job.attempt, job.resume_from) == (0, 2, (REF,))
    assert (job.config["x"], job.config["y"], job.config["iterations"]) == (0.5, 0.25, 18)
    new = again.next_job()
    assert new.config["x"] >= 0.6
    assert new.config["y"] == 0.0
    assert again.on_reports([make_report(new, 6, 6.0)]) == {1}  # rungs are at 6 and 12 now


def test_maximised_goals_are_judged_by_their_sign(make_search, make_spec, make_report) -> None:
    """Where large values are good the small ones are stopped."""
    search = make_search(make_spec(search={**HALVING, "minimize": None, "maximize": "loss"}))
    jobs = [search.next_job() for _ in range(2)]
    assert search.on_reports([make_report(jobs[0], 3, 5.0), make_report(jobs[1], 3, 4.0)]) == {0}


def test_what_mlflow_is_told(make_search, make_spec, make_report) -> None:
    """A trial is opened once, its states come with rising steps, and the last one is right."""
    search = make_search(make_spec(failures={"retries": 1}))
    first = search.next_job()
    search.on_lost(0, "one")
    second = search.next_job()
    search.on_lost(0, "two", preempted=True)
    third = search.next_job()
    search.on_reports([make_report(third, 1, 3.0)])
    search.on_reports([make_report(third, 9, 2.0, ended="completed")])
    assert [job.attempt for job in (first, second, third)] == [1, 2, 3]
    events = told(search.ledger, 0)
    assert [(kind, state) for kind, _, state in events] == [
        ("start", ""),
        ("state", "waiting"),
        ("state", "running"),
        ("state", "waiting"),
        ("state", "running"),
        ("state", "completed"),
    ]
    steps = [step for kind, step, _ in events if kind == "state"]
    assert steps == sorted(set(steps))
    start = next(one for one in search.ledger.outbox.pending() if one.kind == "start")
    assert start.payload["params"] == search.ledger.trial(0).params
    assert start.payload["tags"]["synrep.code"] == "c0de"
    (best,) = search.ledger.outbox.reports(SEARCH_ITSELF)
    assert best.payload["metrics"] == {"best/loss": 2.0, "best/trial": 0}


def test_a_search_without_ray(make_search, make_spec) -> None:
    """The runner in this process runs a whole search; the best trial is found."""
    search = make_search(make_spec(start_from=[{"x": 0.3, "y": -0.2}], search={"trials": 5}))
    local.run(search)
    assert search.finished
    assert search.ledger.index.counts()["completed"] == 5
    best = search.ledger.index.first()
    assert best is not None
    assert best.number == 0
    assert best.value is not None
    assert best.value < 0.2


def test_seeds_alone(make_search, make_spec) -> None:
    """An empty space makes trainings of one configuration that differ in their seeds."""
    search = make_search(make_spec(space={}, search={"trials": 3}))
    local.run(search)
    trials = list(search.ledger.index.trials())
    assert [trial.state for trial in trials] == ["completed"] * 3
    assert len({trial.record.seed for trial in trials}) == 3
    assert len({trial.value for trial in trials}) == 3
    assert all(trial.record.values == {} for trial in trials)
