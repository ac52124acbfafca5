"""Randomness as a function of seed, stream and step."""

from __future__ import annotations

import pytest
import torch

from synrep.errors import InputError
from synrep.training.random_streams import RandomStreams

CPU = torch.device("cpu")


def test_every_epoch_visits_every_position_once_in_a_new_order() -> None:
    """Batches of an epoch are disjoint; another epoch and another seed order them differently."""
    streams = RandomStreams(0, CPU)
    first = torch.cat([streams.batch("input", step, 5, 20) for step in range(4)])
    second = torch.cat([streams.batch("input", step, 5, 20) for step in range(4, 8)])
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(20))
    assert first.tolist() != second.tolist()
    other = torch.cat([RandomStreams(1, CPU).batch("input", step, 5, 20) for step in range(4)])
    assert other.tolist() != first.tolist()


def test_a_step_is_the_same_without_the_steps_before_it() -> None:
    """Nothing depends on what was drawn earlier."""
    one, other = RandomStreams(7, CPU), RandomStreams(7, CPU)
    for step in range(10):
        one.uniform("mix", step, (3,), torch.float32)
        one.batch("real", step, 4, 13)
    assert torch.equal(one.batch("real", 10, 4, 13), other.batch("real", 10, 4, 13))
    assert torch.equal(
        one.uniform("mix", 10, (3,), torch.float32), other.uniform("mix", 10, (3,), torch.float32)
    )


def test_streams_are_independent() -> None:
    """Two streams of one seed differ at the same step."""
    streams = RandomStreams(0, CPU)
    assert not torch.equal(streams.batch("input", 0, 8, 99), streams.batch("real", 0, 8, 99))


def test_too_few_positions_are_refused() -> None:
    """A batch can't be filled."""
    with pytest.raises(InputError, match="batch_size: 8 is more than the 7 views"):
        RandomStreams(0, CPU).batch("input", 0, 8, 7)
