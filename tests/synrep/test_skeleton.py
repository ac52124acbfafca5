"""Skeleton trees, bone distances and mirror pairs."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from synrep.errors import InputError
from synrep.model.kcs import incidence
from synrep.skeleton import HUMAN36M_16, HUMAN36M_17, SKELETONS, Skeleton, skeleton_by_name


def test_bone_distances_from_the_right_hip_match_the_paper() -> None:
    """Figure 4: three bones at distance 1 and two at distance 5 from the right hip bone."""
    bone = HUMAN36M_17.bones.index((HUMAN36M_17.index("Hip"), HUMAN36M_17.index("RHip")))
    assert Counter(HUMAN36M_17.bone_distances[bone]) == {0: 1, 1: 3, 2: 3, 3: 4, 4: 3, 5: 2}


def test_bone_distances_of_all_pairs() -> None:
    """The 120 pairs of the 17-joint tree, counted by distance."""
    upper = np.array(HUMAN36M_17.bone_distances)[np.triu_indices(16, 1)]
    assert Counter(upper.tolist()) == {1: 19, 2: 22, 3: 25, 4: 22, 5: 18, 6: 10, 7: 4}


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=str)
def test_incidence_matrix_spans_the_tree(skeleton: Skeleton) -> None:
    """C has one bone a column and full rank J - 1: a tree without loops or gaps."""
    matrix = incidence(skeleton).numpy()
    assert matrix.shape == (len(skeleton), len(skeleton) - 1)
    assert np.linalg.matrix_rank(matrix) == len(skeleton) - 1
    assert (np.abs(matrix).sum(0) == 2).all()
    assert (matrix.sum(0) == 0).all()


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=str)
def test_pairs_are_left_and_right(skeleton: Skeleton) -> None:
    """Six pairs; the parents of a pair are a pair or the same joint."""
    assert len(skeleton.pairs) == 6
    parents = skeleton.parent_indices
    for left, right in skeleton.pairs:
        assert skeleton.joints[left][1:] == skeleton.joints[right][1:]
        above = (parents[left], parents[right])
        assert above in skeleton.pairs or above[0] == above[1]


def test_sixteen_joints_are_seventeen_without_the_nose() -> None:
    """The head hangs on the thorax when there is no nose."""
    assert set(HUMAN36M_17.joints) - set(HUMAN36M_16.joints) == {"Nose"}
    assert HUMAN36M_16.parents[HUMAN36M_16.index("Head")] == "Thorax"


def test_unknown_names_are_refused() -> None:
    """The message lists what there is."""
    with pytest.raises(InputError, match=r"no joint 'Neck' \(it has Hip, RHip"):
        HUMAN36M_17.index("Neck")
    with pytest.raises(InputError, match="known: human36m-17, human36m-16"):
        skeleton_by_name("coco")


def test_a_child_before_its_parent_is_refused() -> None:
    """Parents precede children, so that one pass along the joints walks the tree."""
    with pytest.raises(ValueError, match="must precede"):
        Skeleton("odd", ("Hip", "Knee", "Foot"), ("", "Foot", "Hip"))
