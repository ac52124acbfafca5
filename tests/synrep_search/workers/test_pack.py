"""SlotTable that train several trials of the real model as one program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from synrep_search.durability import retry as patience
from synrep_search.messages import TrialJob, TrialReport
from synrep_search.workers.attempt import Attempt
from synrep_search.workers.worker import Orders, Worker

from synrep.config import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMALL = {
    "iterations": 24,
    "reports": 4,
    "batch_size": 16,
    "generator": {"width": 16},
    "reprojection_network": {"width": 16},
    "critic": {"branch_width": 8},
    "evaluation": {"views": 64},
}


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., TrialJob]:
    """Makes the job of a small training; further sections of its configuration as keywords."""

    def make(number: int, *, resume: TrialReport | None = None, **changes: object) -> TrialJob:
        config = TrainConfig.model_validate(SMALL | {"seed": number} | changes)
        return TrialJob(
            number=number,
            attempt=1 if resume is None else 2,
            trainer="synrep",
            config=config.model_dump(mode="json"),
            checkpoints=str(tmp_path / str(number)),
            resume_from=() if resume is None or resume.checkpoint is None else (resume.checkpoint,),
        )

    return make


def test_a_pack_reports_as_each_trial_alone(make_job) -> None:
    """Same iterations, and the same errors to rounding, whatever differs between the trials."""
    jobs = [make_job(0), make_job(1, loss={"lambda_angle": 0.1}), make_job(2, batch_size=8)]
    slot = Worker(1, 0, most=4)
    slot.follow(Orders(begin=tuple(jobs)))
    for _ in range(2):
        reports = {report.number: report for report in slot.advance()}
        assert sorted(reports) == [0, 1, 2]
        slot.follow(Orders(go_on=(0, 1, 2)))
    for job in jobs:
        attempt = Attempt(job, "cpu", 1)
        attempt.advance()
        alone = attempt.advance()
        fused = reports[job.number]
        assert fused.iteration == alone.iteration == 12
        assert fused.metrics.keys() == alone.metrics.keys()
        goal = "validation/mpjpe_mm"
        assert fused.metrics[goal] == pytest.approx(alone.metrics[goal], rel=1e-3)


def test_a_trial_whose_storage_cannot_be_opened_is_deferred(
    make_job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told like any other end, and the others of its pack train."""
    monkeypatch.setattr(patience, "BACKOFF_S", (0.01,))
    first = Attempt(make_job(0), "cpu", 1).advance()
    away = {"checkpoints": "hdfs://127.0.0.1:1/x"}
    bad = make_job(0, resume=first).model_copy(update=away)
    slot = Worker(1, 0, most=2)
    slot.follow(Orders(begin=(bad, make_job(1))))
    deferred, report = slot.advance()
    assert (deferred.number, deferred.attempt, deferred.ended) == (0, 2, "deferred")
    assert "the storage failed" in deferred.cause
    assert (report.number, report.iteration, report.ended) == (1, 6, "")


def test_trials_come_and_go(make_job) -> None:
    """One that is given up makes room, and the rest end on the same bits as without all that."""
    calm = Worker(1, 0, most=2)
    calm.follow(Orders(begin=(make_job(0), make_job(1))))
    expected = []
    for _ in range(4):
        expected += [report for report in calm.advance() if report.number == 0]
        calm.follow(Orders(go_on=(0, 1)))
    slot = Worker(1, 0, most=2)
    slot.follow(Orders(begin=(make_job(0), make_job(2))))
    found = [*slot.advance()][:1]
    slot.follow(Orders(go_on=(0,), begin=(make_job(3),)))
    found += [report for report in slot.advance() if report.number == 0]
    slot.follow(Orders(go_on=(0,)))
    found += slot.advance()
    slot.follow(Orders(go_on=(0,)))
    found += slot.advance()
    assert [report.metrics for report in found] == [report.metrics for report in expected]
    assert [report.checkpoint for report in found] == [report.checkpoint for report in expected]
    assert found[-1].ended == "completed"


def test_an_interrupted_trial_goes_on_in_a_pack(make_job) -> None:
    """From its checkpoint, beside others that are elsewhere in their training."""
    first = Worker(1, 0, most=2)
    first.follow(Orders(begin=(make_job(0), make_job(1))))
    reports = first.advance()
    first.follow(Orders(go_on=(0, 1)))
    expected = [report for report in first.advance() if report.number == 0]
    second = Worker(1, 0, most=2)
    second.follow(Orders(begin=(make_job(2), make_job(0, resume=reports[0]))))
    found = [report for report in second.advance() if report.number == 0]
    assert [report.metrics for report in found] == [report.metrics for report in expected]
    assert found[0].checkpoint == expected[0].checkpoint


def test_an_interrupted_trial_goes_on_by_itself(make_job) -> None:
    """It ends on the same bits in a slot that it has to itself."""
    first = Worker(1, 0, most=2)
    first.follow(Orders(begin=(make_job(0), make_job(1))))
    report, _ = first.advance()
    first.follow(Orders(go_on=(0, 1)))
    expected, _ = first.advance()
    second = Worker(1, 0, most=2)
    job = make_job(0, resume=report).model_copy(update={"alone": True})
    second.follow(Orders(begin=(job,)))
    (found,) = second.advance()
    assert (found.metrics, found.checkpoint) == (expected.metrics, expected.checkpoint)


def test_one_that_diverges_leaves_the_others(make_job) -> None:
    """It is told as diverged, with the cause; the rest report as usual."""
    wild = make_job(1, optim={"lr_generator": 1e30})
    slot = Worker(1, 0, most=2)
    slot.follow(Orders(begin=(make_job(0), wild)))
    calm, gone = slot.advance()
    assert (calm.ended, gone.ended) == ("", "diverged")
    assert gone.cause
    slot.follow(Orders(go_on=(0,)))
    assert [report.number for report in slot.advance()] == [0]


def test_one_that_cannot_begin_leaves_the_others(make_job) -> None:
    """A state of another configuration is that trial's own death."""
    slot = Worker(1, 0, most=2)
    slot.follow(Orders(begin=(make_job(0),)))
    (report,) = slot.advance()
    wrong = make_job(0, resume=report, generator={"width": 8})
    slot.follow(Orders(go_on=(), begin=(make_job(1), wrong)))
    died, going = slot.advance()
    assert (died.number, died.ended) == (0, "died")
    assert (going.number, going.ended) == (1, "")


def test_the_capacity_is_found_by_trying(make_job) -> None:
    """At the first orders, between one and the most that there may be."""
    slot = Worker(1, 0, most=3, measure=True)
    assert (slot.capacity, slot.measured) == (1, False)
    slot.follow(Orders(begin=(make_job(0),)))
    assert slot.capacity in {1, 3}
    assert slot.measured
    assert [report.number for report in slot.advance()] == [0]
