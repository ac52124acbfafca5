"""MPII Human Pose: 2D joints of people in images, as keypoints that `synrep lift` reads.

There is no 3D in it, so it makes no pose store. The joints are those of `mpii-16`; pixels count
from 1, as annotated.
Axes: N people.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synrep.datasets.untrusted.json_text import parse_json
from synrep.datasets.untrusted.matlab import load_mat
from synrep.errors import DamagedError, InputError
from synrep.keypoint_sets import MPII_16

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

JOINTS = len(MPII_16.joints)


@dataclass(frozen=True, kw_only=True, eq=False)
class MpiiPeople:
    """Annotated people."""

    points_px: NDArray[np.float64]
    """(N, 16, 2) pixels, y down; NaN where a joint is not annotated."""
    image: NDArray[np.str_]
    """(N,) file name of the image."""
    person: NDArray[np.int32]
    """(N,) number of the person in that image, from 0, in the order of the file."""

    def __len__(self) -> int:
        return len(self.points_px)

    def complete(self) -> MpiiPeople:
        """Those with all 16 joints, which is what lifting needs."""
        rows = np.isfinite(self.points_px).all(axis=(1, 2))
        return MpiiPeople(
            points_px=self.points_px[rows], image=self.image[rows], person=self.person[rows]
        )

    def npz(self) -> bytes:
        """An npz file of keypoints, as `synrep lift` reads it, with images and people."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            keypoints=self.points_px,
            skeleton=np.array(MPII_16.name),
            image=self.image,
            person=self.person,
        )
        return buffer.getvalue()


def read_mpii(path: Path) -> tuple[MpiiPeople, list[str]]:
    """The annotated people of an MPII file.

    Args:
        path: mpii_human_pose_v1_u12_1.mat, or a .json file in the form of HRNet's train.json,
            valid.json and trainval.json: a list of people with `image`, `joints` (16 x 2) and
            `joints_vis` (16), where a joint that is not annotated has visibility 0 or coordinates
            that are not positive.

    Returns:
        The people, and notes on what was read.

    Raises:
        InputError: the file is of another kind or form, or nobody in it is annotated.
        DamagedError: the file can't be read.
    """
    if path.suffix not in {".mat", ".json"}:
        raise InputError(
            str(path), f"unknown kind of file {path.suffix!r}", "give MPII's .mat or HRNet's .json"
        )
    found = list(_from_matlab(path) if path.suffix == ".mat" else _from_json(path))
    if not found:
        raise InputError(
            str(path), "nobody in it is annotated", "the annotations of the test are not public"
        )
    images, points = zip(*found, strict=True)
    seen: dict[str, int] = {}
    person = []
    for image in images:
        seen[image] = seen.get(image, -1) + 1
        person.append(seen[image])
    people = MpiiPeople(
        points_px=np.stack(points),
        image=np.array(images),
        person=np.array(person, np.int32),
    )
    missing = len(people) - len(people.complete())
    return people, [
        f"{len(people)} annotated people in {len(seen)} images",
        f"{missing} of them lack one of the 16 joints",
    ]


def _from_json(path: Path) -> Iterator[tuple[str, NDArray[np.float64]]]:
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(str(path), f"can't be read: {error.strerror}") from None
    except ValueError as error:
        raise DamagedError(str(path), f"not JSON: {error}", "get the file again") from None
    if not isinstance(content, list):
        raise InputError(str(path), f"holds a {type(content).__name__}, not a list of people")
    for number, entry in enumerate(content):
        place = f"{path}, person {number}"
        if not isinstance(entry, dict) or "image" not in entry:
            raise InputError(place, "no 'image'", "each entry needs image, joints and joints_vis")
        if "joints" not in entry:
            continue  # the test's entries have none
        yield str(entry["image"]), _json_points(entry, place)


def _json_points(entry: dict[str, Any], place: str) -> NDArray[np.float64]:
    """(16, 2) pixels of one entry."""
    try:
        points = np.array(entry["joints"], np.float64)
        visible = np.array(entry["joints_vis"], np.float64)
    except (KeyError, ValueError, TypeError, OverflowError):
        raise InputError(place, "its joints or joints_vis are no numbers") from None
    if points.shape != (JOINTS, 2) or visible.shape != (JOINTS,):
        raise InputError(
            place,
            f"joints {points.shape} and joints_vis {visible.shape}",
            f"MPII has {JOINTS} joints: ({JOINTS}, 2) and ({JOINTS},)",
        )
    points[(visible <= 0) | (points <= 0).all(axis=1)] = np.nan
    return points


def _from_matlab(path: Path) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """From RELEASE.annolist(i).annorect(j).annopoints.point(k), k by k with its x, y and id."""
    content = load_mat(path, ("RELEASE",), struct_as_record=False, squeeze_me=True)
    if not hasattr(content.get("RELEASE"), "annolist"):
        raise InputError(
            str(path), "no RELEASE.annolist in it", "give mpii_human_pose_v1_u12_1.mat"
        )
    for number, image in enumerate(_structs(content["RELEASE"].annolist)):
        name = getattr(getattr(image, "image", None), "name", None)
        name = name if isinstance(name, str) and name else str(number + 1)
        for rectangle in _structs(getattr(image, "annorect", None)):
            marked = [
                point
                for annotated in _structs(getattr(rectangle, "annopoints", None))
                for point in _structs(getattr(annotated, "point", None))
            ]
            if marked:
                place = f"{path}, image {number + 1}"
                yield name, _matlab_points(marked, place)


def _structs(value: Any) -> list[Any]:
    """MATLAB's structs, of which there can be none, one or many."""
    return [item for item in np.ravel(np.array(value, object)) if hasattr(item, "_fieldnames")]


def _matlab_points(marked: list[Any], place: str) -> NDArray[np.float64]:
    """(16, 2) pixels of one person."""
    points = np.full((JOINTS, 2), np.nan)
    for point in marked:
        try:
            number, x, y = int(point.id), float(point.x), float(point.y)
        except (AttributeError, OverflowError, TypeError, ValueError):
            raise InputError(place, "a point has no id, x and y that are numbers") from None
        if not 0 <= number < JOINTS:
            raise InputError(
                place, f"a joint has the id {number}", f"they go from 0 to {JOINTS - 1}"
            )
        points[number] = x, y
    return points
