"""References: what stands beside a model's number."""

from __future__ import annotations

import torch

from synrep.config import DataConfig, GeneratorConfig, TrainConfig
from synrep.references import mean_depth, perfect_depth, supervised
from synrep.views import open_views

CONFIG = TrainConfig(iterations=3, batch_size=32, generator=GeneratorConfig(width=16, dropout=0.5))


def test_supervised_reference_is_reproducible_with_dropout() -> None:
    """The same configuration gives the same poses, whatever the state of torch's own generator."""
    views = open_views(DataConfig(), "validation").evenly(200)
    torch.manual_seed(1)
    first = supervised(CONFIG, views, views)
    torch.manual_seed(2)
    assert torch.equal(supervised(CONFIG, views, views), first)


def test_depth_references_copy_the_input() -> None:
    """Only depths differ from the 2D pose: they are the training mean, or the truth."""
    train = open_views(DataConfig(), "train")
    views = open_views(DataConfig(), "validation").evenly(200)
    mean, perfect = mean_depth(train, views), perfect_depth(views)
    for made in (mean, perfect):
        assert torch.equal(made[..., :2], views.keypoints)
    assert torch.equal(perfect[..., 2], views.poses[..., 2])
    torch.testing.assert_close(mean[0, :, 2], train.poses[..., 2].mean(0))
    assert torch.equal(mean[0, :, 2], mean[-1, :, 2])
