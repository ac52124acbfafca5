"""The registry of trainers: names, what can be searched, and that its promises are true."""

from __future__ import annotations

import pytest
from synrep_search.trainers import TRAINERS, trainer_named

from synrep.config import TrainConfig
from synrep.errors import InputError
from synrep.training.loop import Training


def test_synrep_is_resolved_by_name() -> None:
    """The import strings lead to the configuration and the training of the model library."""
    trainer = trainer_named("synrep")
    assert trainer.config_model() is TrainConfig
    assert trainer.training_class() is Training


def test_an_unknown_trainer_is_refused() -> None:
    """The message lists the trainers that there are."""
    with pytest.raises(
        InputError,
        match=r"no trainer is called 'keras' \(valid: synrep, repnet, kudo, supervised, scripted\)",
    ):
        trainer_named("keras")


def test_what_cannot_be_searched_covers_whole_sections() -> None:
    """A reason given for a section holds for its fields, not for names that begin alike."""
    trainer = TRAINERS["synrep"]
    assert trainer.why_unsearchable("evaluation.views") == trainer.unsearchable["evaluation"]
    assert trainer.why_unsearchable("data.poses") == trainer.unsearchable["data.poses"]
    assert trainer.why_unsearchable("data.poses_extra") is None
    assert trainer.why_unsearchable("critic.steps") is None


def test_the_goals_are_reported() -> None:
    """Every goal that a search may name is a metric of the first report."""
    small = {"width": 8, "blocks": 1}
    config = {"iterations": 2, "reports": 1, "batch_size": 8, "evaluation": {"views": 32}}
    model = TrainConfig.model_validate(
        config | {"generator": small, "reprojection_network": small, "critic": {"branch_width": 8}}
    )
    metrics = Training(model, threads=1).advance()
    assert metrics is not None
    assert set(TRAINERS["synrep"].goals) - set(metrics) == {"training/mpjpe_mm"}
