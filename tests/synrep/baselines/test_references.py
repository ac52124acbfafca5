"""References: what stands beside a model's number."""

from __future__ import annotations

from copy import deepcopy

import torch

from synrep.baselines.config import SupervisedConfig
from synrep.baselines.predict import predict_poses
from synrep.baselines.references import mean_depth, perfect_depth, supervised
from synrep.baselines.supervised import SupervisedTraining
from synrep.config import DataConfig, EvaluationConfig, GeneratorConfig, TrainConfig
from synrep.datasets.views import load_views
from synrep.evaluation.tables import errors
from synrep.training.checkpoint import TrainingState

CONFIG = TrainConfig(iterations=3, batch_size=32, generator=GeneratorConfig(width=16, dropout=0.5))


def test_supervised_reference_is_reproducible_with_dropout() -> None:
    """The same configuration gives the same poses, whatever the state of torch's own generator."""
    views = load_views(DataConfig(), "validation").evenly_spaced(200)
    torch.manual_seed(1)
    first = supervised(CONFIG, views)
    torch.manual_seed(2)
    assert torch.equal(supervised(CONFIG, views), first)


def test_depth_references_copy_the_input() -> None:
    """Only depths differ from the 2D pose: they are the training mean, or the truth."""
    train = load_views(DataConfig(), "train")
    views = load_views(DataConfig(), "validation").evenly_spaced(200)
    mean, perfect = mean_depth(train, views), perfect_depth(views)
    for made in (mean, perfect):
        assert torch.equal(made[..., :2], views.keypoints)
    assert torch.equal(perfect[..., 2], views.poses[..., 2])
    torch.testing.assert_close(mean[0, :, 2], train.poses[..., 2].mean(0))
    assert torch.equal(mean[0, :, 2], mean[-1, :, 2])


def test_supervision_learns_and_goes_on_to_the_bit() -> None:
    """It beats the mean depth soon, and a state of it goes on as if it had never stopped."""
    config = SupervisedConfig(
        iterations=60,
        reports=2,
        batch_size=64,
        generator=GeneratorConfig(width=32, dropout=0.1),
        evaluation=EvaluationConfig(views=256),
    )
    whole = SupervisedTraining(config, threads=1)
    first = whole.advance()
    saved = deepcopy(whole.state())  # its arrays share the memory of the training
    last = whole.advance()
    resumed = SupervisedTraining(config, threads=1)
    resumed.restore(saved)
    assert resumed.advance() == last
    train, views = load_views(DataConfig(), "train"), whole.validation
    guess = errors(mean_depth(train, views), views, config.evaluation, whole.body)
    known = float(guess["mpjpe_mm"].mean())
    assert last["validation/mpjpe_mm"] < first["validation/mpjpe_mm"] < known
    assert last["validation/mpjpe_mm"] < 0.8 * known


def test_a_state_is_read_whatever_its_order() -> None:
    """Batch normalisation counts in integers: the precision is that of the weights."""
    config = SupervisedConfig(
        iterations=4, reports=1, batch_size=16, generator=GeneratorConfig(width=16)
    )
    training = SupervisedTraining(config, threads=1)
    training.advance()
    state, views = training.state(), training.validation.evenly_spaced(50)
    integers = sorted(state.arrays, key=lambda name: state.arrays[name].dtype.kind == "f")
    turned = TrainingState(arrays={name: state.arrays[name] for name in integers}, meta=state.meta)
    assert state.arrays[integers[0]].dtype.kind == "i"
    assert torch.equal(predict_poses(turned, views), predict_poses(training, views))
