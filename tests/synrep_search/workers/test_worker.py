"""A slot and the attempts in it, with the scripted trainer."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synrep_search.durability import retry as patience
from synrep_search.messages import TrialJob, TrialReport
from synrep_search.workers.attempt import Attempt
from synrep_search.workers.worker import Orders, Worker

from synrep.storage import Storage
from synrep.training.checkpoint import load_checkpoint, newest_checkpoints

MakeJob = Callable[..., TrialJob]
HUGE = 1.2e154
"""Its square is a number, twice its square is not."""


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """Function: (number, fields of the script) -> a job with checkpoints in the test's folder."""

    def make(number: int = 0, attempt: int = 1, resume_from: Any = (), **script: Any) -> TrialJob:
        return TrialJob(
            number=number,
            attempt=attempt,
            trainer="scripted",
            config={"seed": number, "iterations": 10, "reports": 5, **script},
            checkpoints=str(tmp_path / f"{number}"),
            resume_from=tuple(resume_from),
        )

    return make


def run(job: TrialJob, steps: int = 99) -> list[TrialReport]:
    """Reports of an attempt until it ends, or for some steps."""
    attempt, found = Attempt(job, "cpu", 1), []
    while len(found) < steps and not (found and found[-1].ended):
        found.append(attempt.advance())
    return found


def state_of(job: TrialJob, report: TrialReport) -> dict[str, np.ndarray]:
    """The arrays in the checkpoint of a report."""
    assert report.checkpoint is not None
    return load_checkpoint(Storage.at(job.checkpoints), report.checkpoint).arrays


def same(one: list[TrialReport], two: list[TrialReport]) -> bool:
    """Whether two attempts reported the same to the last bit."""
    kept = {"number", "iteration", "metrics", "checkpoint", "ended"}
    return [r.model_dump(include=kept) for r in one] == [r.model_dump(include=kept) for r in two]


def test_nothing_happens_before_the_first_step(make_job) -> None:
    """An attempt that was only made has neither read nor written anything."""
    job = make_job(nonsense=1)
    Attempt(job, "cpu", 1)
    assert not Path(job.checkpoints).exists()


def test_what_a_report_says(make_job) -> None:
    """Each report has its metrics, a checkpoint of that moment, memory and time."""
    job = make_job(3, attempt=2, metrics=3)
    reports = run(job)
    assert [report.iteration for report in reports] == [2, 4, 6, 8, 10]
    assert [report.ended for report in reports] == ["", "", "", "", "completed"]
    for report in reports:
        assert (report.number, report.attempt, report.cause) == (3, 2, "")
        assert set(report.metrics) == {"loss", "metric_1", "metric_2"}
        assert report.checkpoint is not None
        assert report.checkpoint.iteration == report.iteration
        assert report.memory_mb > 10
    times = [report.time_ms for report in reports]
    assert times == sorted(times)
    assert times[0] > 1.7e12


def test_three_checkpoints_are_kept(make_job) -> None:
    """The newest three stay: a ledger that never hears of the last one still has two."""
    job = make_job()
    attempt = Attempt(job, "cpu", 1)
    counts, last = [], []
    for _ in range(5):
        report = attempt.advance()
        assert report.checkpoint is not None
        last.append(report.checkpoint.file)
        counts.append(len(newest_checkpoints(Storage.at(job.checkpoints))))
    assert counts == [1, 2, 3, 3, 3]
    assert newest_checkpoints(Storage.at(job.checkpoints)) == last[:-4:-1]


@pytest.mark.parametrize("after", [1, 2, 4])
def test_a_resumed_trial_ends_as_one_left_alone(make_job, tmp_path: Path, after) -> None:
    """Metrics and state are those of an uninterrupted training, bit for bit."""
    script = {"x": 0.7, "y": 0.1, "state_size": 40}
    calm = make_job(1, **script).model_copy(update={"checkpoints": str(tmp_path / "calm")})
    expected = run(calm)
    first = make_job(1, **script)
    before = run(first, after)
    refs = [report.checkpoint for report in reversed(before)][:2]
    second = make_job(1, attempt=2, resume_from=refs, **script)
    rest = run(second)
    assert same(before + rest, expected)
    final = state_of(second, rest[-1])
    assert all(
        np.array_equal(array, final[name]) for name, array in state_of(calm, expected[-1]).items()
    )


@pytest.mark.parametrize("damage", ["altered", "truncated", "missing"])
def test_a_damaged_checkpoint_is_passed_over(make_job, damage) -> None:
    """The one before it serves: one interval is repeated, with the same result."""
    expected = run(make_job(0))
    first = run(make_job(1, seed=0), 3)
    refs = [report.checkpoint for report in reversed(first)][:2]
    path = Path(make_job(1).checkpoints) / refs[0].file
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-5] if damage == "truncated" else content[:-1] + b"x")
    rest = run(make_job(1, attempt=2, resume_from=refs, seed=0))
    assert [report.iteration for report in rest] == [6, 8, 10]
    assert [report.metrics for report in rest] == [report.metrics for report in expected[2:]]
    assert rest[0].note.startswith("trial 1 resumed from iteration 4: ")
    assert refs[0].file in rest[0].note
    assert not rest[1].note


def test_without_any_good_checkpoint_it_starts_anew(make_job) -> None:
    """When both are damaged the training begins again, with the same result."""
    first = run(make_job(), 2)
    refs = [report.checkpoint for report in reversed(first)]
    for ref in refs:
        (Path(make_job().checkpoints) / ref.file).write_bytes(b"")
    again = run(make_job(attempt=2, resume_from=refs))
    assert [report.iteration for report in again] == [2, 4, 6, 8, 10]
    assert [report.metrics for report in again[:2]] == [report.metrics for report in first]


def test_an_exception_becomes_a_report(make_job) -> None:
    """A training that raises has died at its last report, with the exception as the cause."""
    reports = run(make_job(fail_at=5))
    assert [report.ended for report in reports] == ["", "", "died"]
    last = reports[-1]
    assert last.cause == "RuntimeError: the script says so"
    assert (last.iteration, last.metrics, last.checkpoint) == (4, {}, None)


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"trainer": "keras"}, "no trainer is called 'keras'"),
        ({"config": {"iterations": -1}}, "iterations"),
        ({"checkpoints": "/proc/nowhere"}, "Error"),
    ],
)
def test_whatever_goes_wrong_becomes_a_report(make_job, job, words) -> None:
    """Also a job that can't be begun or a folder that can't be written kills no process."""
    (report,) = run(make_job().model_copy(update=job))
    assert report.ended == "died"
    assert words in report.cause
    assert len(report.cause) <= 300


def test_divergence_becomes_a_report(make_job) -> None:
    """A training that says it can't recover has diverged, where and why it says."""
    reports = run(make_job(nan_at=7))
    assert [report.ended for report in reports] == ["", "", "", "diverged"]
    last = reports[-1]
    assert (last.iteration, last.cause, last.metrics) == (7, "loss is nan", {})
    assert last.checkpoint is None


def test_a_metric_that_is_no_number_is_divergence(make_job) -> None:
    """No comparison could judge such a report: the trial has diverged and leaves no checkpoint."""
    job = make_job(x=HUGE, y=HUGE)
    (report,) = run(job)
    assert (report.ended, report.cause, report.metrics) == ("diverged", "loss is inf", {})
    assert not newest_checkpoints(Storage.at(job.checkpoints))


def test_a_slot_follows_orders(make_job) -> None:
    """It trains what it was told to begin, and gives up whatever it is not told to go on with."""
    slot = Worker(1.0, 0.0)
    slot.follow(Orders(begin=(make_job(0), make_job(1))))
    assert [(r.number, r.iteration) for r in slot.advance()] == [(0, 2), (1, 2)]
    slot.follow(Orders(go_on=(1,), begin=(make_job(2),)))
    assert [(r.number, r.iteration) for r in slot.advance()] == [(1, 4), (2, 2)]
    slot.follow(Orders())
    assert slot.advance() == []


def test_others_in_a_slot_go_on(make_job) -> None:
    """One that diverges and one that raises touch neither the process nor the third."""
    alone = run(make_job(2))
    slot = Worker(1.0, 0.0)
    slot.follow(Orders(begin=(make_job(0, nan_at=1), make_job(1, fail_at=3), make_job(2))))
    first, second, third = slot.advance()
    assert [first.ended, second.ended, third.ended] == ["diverged", "", ""]
    slot.follow(Orders(go_on=(1, 2)))
    second, third = slot.advance()
    assert [second.ended, third.ended] == ["died", ""]
    assert third.metrics == alone[1].metrics


def test_orders_and_reports_travel_as_text(make_job) -> None:
    """What passes between processes is JSON, and comes back equal to the last bit."""
    (report,) = run(make_job(x=0.1, y=0.2), 1)
    job = make_job(resume_from=[report.checkpoint], x=0.1 + 0.2)
    orders = Orders(go_on=(4, 5), begin=(job,))
    assert Orders.model_validate_json(orders.model_dump_json()) == orders
    assert TrialReport.model_validate_json(report.model_dump_json()) == report


def test_a_pause_saves_what_was_done(make_job) -> None:
    """An attempt that is asked to pause saves its state, and the next one goes on from there."""
    expected = run(make_job(0))
    asked = iter([False] * 5 + [True])
    first = Attempt(make_job(1, seed=0), "cpu", 1, lambda: next(asked))
    reports = [first.advance() for _ in range(3)]
    assert [(r.iteration, r.ended) for r in reports] == [(2, ""), (4, ""), (5, "paused")]
    refs = [reports[1].checkpoint, reports[0].checkpoint]
    job = make_job(1, attempt=2, resume_from=refs, seed=0)
    rest = run(job.model_copy(update={"paused": reports[2].checkpoint}))
    assert [r.metrics for r in rest] == [r.metrics for r in expected[2:]]
    assert [r.checkpoint for r in rest] == [r.checkpoint for r in expected[2:]]
    names = newest_checkpoints(Storage.at(job.checkpoints))
    assert names == [r.checkpoint.file for r in reversed(expected[-3:])]


def test_pauses_without_a_report_between_leave_one_file(make_job) -> None:
    """Machines that are taken away again and again: an older pause goes when a newer is used."""
    expected = run(make_job(0, reports=2))
    job = make_job(1, seed=0, reports=2)
    files = []
    for attempt in range(2, 6):  # pauses at 1, 2, 3, 4; the first report is due at 5
        asked = iter([False, True])
        paused = Attempt(job, "cpu", 1, lambda asked=asked: next(asked)).advance()
        assert (paused.iteration, paused.ended) == (attempt - 1, "paused")
        files.append(newest_checkpoints(Storage.at(job.checkpoints)))
        job = job.model_copy(update={"attempt": attempt, "paused": paused.checkpoint})
    assert [len(names) for names in files] == [1, 2, 2, 2]
    # What the ledger may still go by, should it never hear of the newest, is there.
    assert [names[1][:8] for names in files[1:]] == ["00000001", "00000002", "00000003"]
    rest = run(job)
    assert [r.metrics for r in rest] == [r.metrics for r in expected]
    assert [r.checkpoint for r in rest] == [r.checkpoint for r in expected]
    assert len(newest_checkpoints(Storage.at(job.checkpoints))) == 2


def test_only_older_pauses_go(make_job) -> None:
    """The checkpoints of reports stay, and so does what is newer than the pause."""
    job = make_job()
    asked = iter([False] * 5 + [True])
    first = Attempt(job, "cpu", 1, lambda: next(asked))
    reports = [first.advance() for _ in range(3)]
    storage = Storage.at(job.checkpoints)
    strange = f"00000009-{'0' * 16}.safetensors"
    storage.write(strange, b"of an attempt that was given up")
    refs = (reports[1].checkpoint, reports[0].checkpoint)
    update = {"attempt": 2, "resume_from": refs, "paused": reports[2].checkpoint}
    again = job.model_copy(update=update)
    assert Attempt(again, "cpu", 1, lambda: True).advance().iteration == 5
    assert [name[:8] for name in newest_checkpoints(storage)] == [
        "00000009", "00000005", "00000004", "00000002",
    ]  # fmt: skip


def test_a_pause_at_a_report_saves_nothing_anew(make_job) -> None:
    """What its last checkpoint holds needs no other."""
    job = make_job()
    asked = iter([False, False, True])
    attempt = Attempt(job, "cpu", 1, lambda: next(asked))
    attempt.advance()
    assert (report := attempt.advance()).ended == "paused"
    assert report.checkpoint is None
    never_begun = Attempt(make_job(1), "cpu", 1, lambda: True).advance()
    assert (never_begun.ended, never_begun.checkpoint) == ("paused", None)
    assert len(newest_checkpoints(Storage.at(job.checkpoints))) == 1


def test_files_of_others_are_left_alone(make_job) -> None:
    """An attempt that was given up may still write: nobody deletes what it does not know."""
    job = make_job()
    other = Storage.at(job.checkpoints)
    other.write("00000009-0123456789abcdef.safetensors", b"another's")
    run(job)
    assert len(newest_checkpoints(other)) == 4


@pytest.fixture
def impatient(monkeypatch) -> None:
    """A storage is given up after a moment."""
    monkeypatch.setattr(patience, "BACKOFF_S", (0.01, 0.01))


def test_a_trial_that_cannot_be_begun_ends_no_other(make_job) -> None:
    """Neither where its storage is nonsense nor where it has no trainer: the slot goes on."""
    bad = make_job(0).model_copy(update={"checkpoints": "ftp://host/folder"})
    worse = make_job(1).model_copy(update={"trainer": "keras", "checkpoints": "ftp://host/folder"})
    slot = Worker(1.0, 0.0, most=2)
    slot.follow(Orders(begin=(bad, worse, make_job(2))))
    reports = {report.number: report for report in slot.advance()}
    assert [reports[number].ended for number in (0, 1, 2)] == ["died", "died", ""]
    assert "ftp" in reports[0].cause
    assert "keras" in reports[1].cause


@pytest.mark.usefixtures("impatient")
def test_a_storage_that_cannot_be_opened_parks_the_trial(make_job) -> None:
    """Opening a bucket may ask a server where it is: no answer is no fault of the training."""
    job = make_job().model_copy(update={"checkpoints": "hdfs://127.0.0.1:1/x"})
    slot = Worker(1.0, 0.0)
    slot.follow(Orders(begin=(job, make_job(1))))
    reports = {report.number: report for report in slot.advance()}
    assert [reports[number].ended for number in (0, 1)] == ["deferred", ""]
    assert "the storage failed" in reports[0].cause


@pytest.mark.usefixtures("impatient")
def test_a_storage_that_fails_parks_the_trial(make_job, tmp_path: Path) -> None:
    """It is no fault of the training; when the storage is back it goes on from its checkpoint."""
    expected = run(make_job(0))
    job = make_job(1, seed=0)
    attempt = Attempt(job, "cpu", 1)
    reports = [attempt.advance(), attempt.advance()]
    folder, away = Path(job.checkpoints), tmp_path / "away"
    folder.rename(away)
    folder.touch()  # in the way, so that nothing can be written below it
    deferred = attempt.advance()
    assert (deferred.ended, deferred.metrics) == ("deferred", {})
    assert "the storage failed" in deferred.cause
    refs = [report.checkpoint for report in reversed(reports)]
    again = make_job(1, attempt=2, resume_from=refs, seed=0)
    assert Attempt(again, "cpu", 1).advance().ended == "deferred"
    folder.unlink()
    away.rename(folder)
    assert [r.metrics for r in run(again)] == [r.metrics for r in expected[2:]]


def test_a_full_disk_is_told_at_once(make_job, full_disk: Path) -> None:
    """There is no use in trying again; nothing half-written stays."""
    job = make_job(state_size=100_000).model_copy(update={"checkpoints": str(full_disk)})
    report = Attempt(job, "cpu", 1).advance()
    assert report.ended == "full"
    assert "No space left" in report.cause
    assert not list(full_disk.iterdir())


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with little room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk can't be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)
