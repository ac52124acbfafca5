"""Trainings whose total was reduced below the number of iterations done."""

from __future__ import annotations

import json
from typing import Any

import pytest

from synrep.config import TrainConfig, set_dotted
from synrep.training.fused import FusedTraining
from synrep.training.loop import Training

SMALL: dict[str, Any] = {
    "reports": 2,
    "batch_size": 16,
    "generator.width": 16,
    "reprojection_network.width": 16,
    "critic.branch_width": 8,
    "evaluation.views": 32,
}


def small(iterations: int) -> TrainConfig:
    """Return a small configuration with this number of iterations."""
    content: dict[str, Any] = {}
    for key, value in (SMALL | {"iterations": iterations}).items():
        set_dotted(content, key, value)
    return TrainConfig.model_validate_json(json.dumps(content))


@pytest.mark.parametrize("total", [2, 3, 4])
def test_a_training_beyond_its_end_reports_where_it_is(total: int) -> None:
    """It reports the same generator again and is finished, without another iteration."""
    longer = Training(small(8), threads=1)
    before = longer.advance()
    assert before is not None
    training = Training(small(total), threads=1)
    training.restore(longer.state())
    again = training.advance()
    assert (training.iteration, training.finished) == (4, True)
    assert again == {k: v for k, v in before.items() if not k.startswith("train/")}


def test_a_pause_beyond_its_end_is_reported() -> None:
    """The losses since the last report are kept."""
    longer = Training(small(8), threads=1)
    longer.advance()
    asked = iter([False, True])
    assert longer.advance(lambda: next(asked)) is None
    training = Training(small(4), threads=1)
    training.restore(longer.state())
    metrics = training.advance()
    assert metrics is not None
    assert (training.iteration, training.finished) == (5, True)
    assert "train/critic_loss" in metrics


def test_a_member_beyond_its_end_reports_where_it_is() -> None:
    """It reports at once, and the other members train on."""
    longer = Training(small(8), threads=1)
    longer.advance()
    fused = FusedTraining(2, threads=1)
    other = fused.join(small(8))
    slot = fused.join(small(2), longer.state())
    assert set(fused.advance()) == {slot}
    assert (fused.iteration(slot), fused.finished(slot)) == (4, True)
    assert set(fused.advance()) == {other}
