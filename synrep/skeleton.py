"""Named skeletons: joints, their parents, and what follows from the tree.

A joint is always addressed by its name; the number it has is a property of one skeleton.
Axes: J joints, b = J - 1 bones. Bone k joins joint k + 1 to its parent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from synrep.errors import InputError


@dataclass(frozen=True)
class Skeleton:
    """A tree of named joints.

    Args:
        name: identifier used in pose stores, configurations and options.
        joints: J joint names; the first is the root.
        parents: parent name of each joint; empty for the root. Parents precede children.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.joints) != len(self.parents) or len(set(self.joints)) != len(self.joints):
            raise ValueError(f"skeleton {self.name}: one parent for each of the distinct joints")
        for joint, parent in zip(self.joints[1:], self.parents[1:], strict=True):
            if parent not in self.joints[: self.joints.index(joint)]:
                raise ValueError(f"skeleton {self.name}: the parent of {joint} must precede it")

    def __len__(self) -> int:
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Number of a joint.

        Raises:
            InputError: the skeleton has no such joint.
        """
        try:
            return self.joints.index(joint)
        except ValueError:
            raise InputError(
                f"skeleton {self.name}", f"no joint {joint!r}", "it has " + ", ".join(self.joints)
            ) from None

    def indices(self, *joints: str) -> list[int]:
        """Numbers of several joints, in the order given."""
        return [self.index(joint) for joint in joints]

    @cached_property
    def parent_indices(self) -> tuple[int, ...]:
        """Number of each joint's parent; -1 for the root."""
        return (-1, *(self.joints.index(parent) for parent in self.parents[1:]))

    @cached_property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """The b bones as (parent, child) joint numbers."""
        return tuple((p, child) for child, p in enumerate(self.parent_indices) if p >= 0)

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(left, right) numbers of joints that mirror each other."""
        return tuple(
            (index, self.joints.index("R" + name[1:]))
            for index, name in enumerate(self.joints)
            if name.startswith("L") and "R" + name[1:] in self.joints
        )

    @cached_property
    def bone_distances(self) -> tuple[tuple[int, ...], ...]:
        """(b, b) hops between bones in the skeleton's line graph: 0 itself, 1 adjacent (Fig. 4)."""
        bones = self.bones
        rows = []
        for start in range(len(bones)):
            distance = {start: 0}
            frontier = [start]
            while frontier:
                step = []
                for bone in frontier:
                    for other in range(len(bones)):
                        if other not in distance and set(bones[bone]) & set(bones[other]):
                            distance[other] = distance[bone] + 1
                            step.append(other)
                frontier = step
            rows.append(tuple(distance[other] for other in range(len(bones))))
        return tuple(rows)


HUMAN36M_17 = Skeleton(
    "human36m-17",
    (
        "Hip", "RHip", "RKnee", "RFoot", "LHip", "LKnee", "LFoot", "Spine", "Thorax", "Nose",
        "Head", "LShoulder", "LElbow", "LWrist", "RShoulder", "RElbow", "RWrist",
    ),
    (
        "", "Hip", "RHip", "RKnee", "Hip", "LHip", "LKnee", "Hip", "Spine", "Thorax",
        "Nose", "Thorax", "LShoulder", "LElbow", "Thorax", "RShoulder", "RElbow",
    ),
)  # fmt: skip
"""The 17 joints of Human3.6M, the skeleton of every model here."""

HUMAN36M_16 = Skeleton(
    "human36m-16",
    tuple(joint for joint in HUMAN36M_17.joints if joint != "Nose"),
    tuple(
        "Thorax" if joint == "Head" else parent
        for joint, parent in zip(HUMAN36M_17.joints, HUMAN36M_17.parents, strict=True)
        if joint != "Nose"
    ),
)
"""Human3.6M without the nose: the head hangs on the thorax."""


SKELETONS = {skeleton.name: skeleton for skeleton in (HUMAN36M_17, HUMAN36M_16)}


def skeleton_by_name(name: str) -> Skeleton:
    """The skeleton of that name.

    Raises:
        InputError: no such skeleton.
    """
    if name not in SKELETONS:
        raise InputError("skeleton", f"unknown name {name!r}", "known: " + ", ".join(SKELETONS))
    return SKELETONS[name]
