"""Keypoint sets: every one has its names and a way to Human3.6M's joints."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from synrep.errors import InputError
from synrep.keypoint_sets import (
    COCO_17,
    KEYPOINT_SETS,
    MPI_INF_3DHP_17,
    MPI_INF_3DHP_28,
    MPI_INF_3DHP_OF_HUMAN36M,
    MPII_16,
    OPENPOSE_25,
    KeypointSet,
    MpiiMap,
    keypoint_set_by_name,
)
from synrep.skeleton import HUMAN36M_17, SKELETONS


def test_names_and_short_names() -> None:
    """What a detector is called is enough where there is one set of it; no name means two sets."""
    assert keypoint_set_by_name("openpose") is OPENPOSE_25
    assert keypoint_set_by_name("mpii") is MPII_16
    assert keypoint_set_by_name("coco") is COCO_17
    assert keypoint_set_by_name("h36m") is keypoint_set_by_name("human36m-17")
    assert all(name == entry.name for name, entry in KEYPOINT_SETS.items())
    names = [name for entry in KEYPOINT_SETS.values() for name in (entry.name, *entry.short_names)]
    assert len(names) == len(set(names))
    with pytest.raises(InputError, match="unknown name 'kinect'.*" + ", ".join(KEYPOINT_SETS)):
        keypoint_set_by_name("kinect")


@pytest.mark.parametrize("name", SKELETONS)
def test_skeletons_are_keypoint_sets(name: str) -> None:
    """Poses of every skeleton can be given as 2D keypoints, under the same name and joints."""
    assert KEYPOINT_SETS[name].joints == SKELETONS[name].joints


def test_variants_are_those_of_the_configuration() -> None:
    """MPII's has each map that `data.sh_map` can name; sets without variants have one map."""
    assert {"geometric", *MPII_16.variants} == set(get_args(MpiiMap))
    fitted = MPII_16.conversion("fitted")
    assert fitted["Nose"] == {"UpperNeck": 0.76, "HeadTop": 0.24}
    assert fitted["Head"] == {"UpperNeck": 0.37, "HeadTop": 0.63}
    assert fitted["Spine"] == MPII_16.conversion("geometric")["Spine"]
    assert MPII_16.conversion("kudo")["Spine"] == {"Chest": 1.0}
    assert "Nose" not in MPII_16.conversion("martinez")
    assert COCO_17.conversion("kudo") is COCO_17.to_human36m


def identity(**changes: Any) -> dict[str, Any]:
    """Arguments of a set with the joints of Human3.6M, with changes to its conversion."""
    made = {joint: {joint: 1.0} for joint in HUMAN36M_17.joints} | changes
    conversion = {joint: shares for joint, shares in made.items() if shares is not None}
    return {"name": "x", "help": "", "joints": HUMAN36M_17.joints, "to_human36m": conversion}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (identity(Nose=None, Hip=None), "nothing says what Hip, Nose of Human3.6M is made of"),
        (identity(Nose={}), "Nose of Human3.6M can't be {}"),
        (identity(Nose={"Beak": 1.0}), "Nose of Human3.6M can't be {'Beak': 1.0}"),
        (identity(Nose={"Head": 0.5}), "Nose of Human3.6M can't be {'Head': 0.5}"),
        (identity(Tail={"Hip": 1.0}), "Tail of Human3.6M can't be"),
        (identity() | {"variants": {"kudo": {"Hip": {"Tail": 1.0}}}}, "Hip of Human3.6M can't be"),
        (identity() | {"joints": ("Hip", "Hip")}, "a joint comes twice"),
    ],
)
def test_sets_without_a_whole_conversion_are_refused(
    arguments: dict[str, Any], message: str
) -> None:
    """When they are made: none falls back to another set's conversion."""
    with pytest.raises(ValueError, match=message):
        KeypointSet(**arguments)
    with pytest.raises(TypeError, match="to_human36m"):
        KeypointSet(name="x", help="", joints=("Hip",))  # type: ignore[call-arg]


@pytest.mark.parametrize("joints", [MPI_INF_3DHP_28, MPI_INF_3DHP_17])
def test_mpi_inf_3dhp_has_every_joint_of_human36m(joints: tuple[str, ...]) -> None:
    """Each stands for one of the data set's own joints, and no two for the same."""
    assert set(MPI_INF_3DHP_OF_HUMAN36M) == set(HUMAN36M_17.joints)
    assert set(MPI_INF_3DHP_OF_HUMAN36M.values()) <= set(joints)
    assert len(set(MPI_INF_3DHP_OF_HUMAN36M.values())) == len(HUMAN36M_17)
