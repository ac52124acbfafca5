"""Splits by subject: chosen by the user, drawn at random, and refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from synrep.datasets.store.poses import Poses
from synrep.datasets.store.splitting import draw_subjects, split_by_subject
from synrep.errors import InputError

People = Callable[[int], Poses]


@pytest.fixture
def people(make_poses: Callable[..., Poses]) -> People:
    """Return a function that creates poses of the given number of subjects."""
    return lambda count: Poses.concatenate([make_poses(f"subject{n}") for n in range(count)])


def test_chosen_subjects_make_the_splits(people: People) -> None:
    """Each split has exactly its subjects; those not named are left out."""
    poses = people(5)
    splits = split_by_subject(
        poses,
        {"train": ["subject0", "subject4"], "validation": ["subject1"], "test": ["subject2"]},
    )
    assert {split: sorted(set(part.subject.tolist())) for split, part in splits.items()} == {
        "train": ["subject0", "subject4"],
        "validation": ["subject1"],
        "test": ["subject2"],
    }


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"train": ["subject0"], "validation": ["subject1"]}, "--test: no subjects"),
        (
            {"train": ["anna"], "validation": ["subject1"], "test": ["subject2"]},
            "no subject 'anna'",
        ),
        (
            {"train": ["subject0"], "validation": ["subject0"], "test": ["subject2"]},
            "--validation: subject 'subject0' is also in train",
        ),
    ],
)
def test_wrong_choices_are_refused(people: People, chosen: Any, message: str) -> None:
    """Empty, unknown or duplicate choices raise an error that names the option and the subjects."""
    with pytest.raises(InputError, match=message):
        split_by_subject(people(3), chosen)


def test_drawn_subjects_are_seeded_and_disjoint(people: People) -> None:
    """Equal seeds draw equal splits; every subject is in exactly one."""
    poses = people(12)
    drawn = draw_subjects(poses, 1)
    assert drawn == draw_subjects(poses, 1)
    assert drawn != draw_subjects(poses, 2)
    assert [len(names) for names in drawn.values()] == [8, 2, 2]
    assert len(set().union(*drawn.values())) == 12


def test_two_people_are_too_few(people: People) -> None:
    """Three splits need three subjects."""
    with pytest.raises(InputError, match="2 subjects can't be split"):
        draw_subjects(people(2), 0)
