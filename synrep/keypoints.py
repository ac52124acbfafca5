"""2D keypoints from files, and from detectors' joints to Human3.6M's.

Every array of keypoints comes with the name of its joints: a file says it, or the user does.
Axes: F frames, J joints.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from synrep.errors import InputError
from synrep.skeleton import HUMAN36M_17, KEYPOINT_SETS, SKELETONS, KeypointSet, Skeleton

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

MpiiMap = Literal["geometric", "martinez", "kudo"]
Rule = dict[str, dict[str, float]]

OPENPOSE_KEY = "pose_keypoints_2d"
SHOWN = 5
"""Missing joints that an error message names one by one."""


@dataclass(frozen=True, kw_only=True)
class Keypoints:
    """2D keypoints of one person over frames.

    Attributes:
        joints: the skeleton or keypoint set whose joints they are.
        points_px: (F, J, 2) pixels, y down; NaN where a joint is missing.
        source: where they come from, for messages.
    """

    joints: Skeleton | KeypointSet
    points_px: NDArray[np.float64]
    source: str


def joints_by_name(name: str) -> Skeleton | KeypointSet:
    """A skeleton or keypoint set.

    Raises:
        InputError: neither has that name.
    """
    known: dict[str, Skeleton | KeypointSet] = {**SKELETONS, **KEYPOINT_SETS}
    if name not in known:
        raise InputError("skeleton", f"unknown name {name!r}", "known: " + ", ".join(known))
    return known[name]


def read_keypoints(source: Path, skeleton: str | None = None) -> Keypoints:
    """Read 2D keypoints of one person.

    JSON: a list of frames `[[x, y], ...]`, one such frame, `{"skeleton": ..., "keypoints": ...}`,
    or what OpenPose writes for one frame. A folder: OpenPose's files of a video, by name. npz: the
    array `keypoints`, or the only one. A third number beside x and y is a confidence; where it is
    0, and where a coordinate is null or NaN, the joint is missing. Of several people in an OpenPose
    frame, the one with the highest sum of confidences is taken.

    Args:
        source: file or folder.
        skeleton: name of the joints, for a file that does not say it.

    Raises:
        InputError: the source can't be understood, or nothing says which joints it holds.
    """
    place = str(source)
    named, frames = _read(source)
    if named and skeleton and named != skeleton:
        raise InputError(
            place, f"it holds {named} keypoints, not {skeleton}", f"use --skeleton {named}"
        )
    name = named or skeleton
    if name is None:
        raise InputError(
            place,
            "nothing says which joints these are",
            "use --skeleton with one of " + ", ".join([*SKELETONS, *KEYPOINT_SETS]),
        )
    joints = joints_by_name(name)
    return Keypoints(
        joints=joints, points_px=_points(frames, len(joints.joints), name, place), source=place
    )


def to_skeleton(
    keypoints: Keypoints, target: Skeleton = HUMAN36M_17, mpii_map: MpiiMap = "geometric"
) -> NDArray[np.float64]:
    """Keypoints as the joints of a Human3.6M skeleton, (F, J, 2) pixels.

    Args:
        keypoints: of any known set.
        target: with or without the nose.
        mpii_map: how MPII joints become Human3.6M's (row 35).

    Raises:
        InputError: a joint that the target needs is missing in a frame, or has no counterpart.
    """
    rule = conversion(keypoints.joints.name, mpii_map)
    used = [joint for name in target.joints for joint in rule.get(name, {})]
    _require(keypoints, list(dict.fromkeys(used)))
    points = np.zeros((len(keypoints.points_px), len(target), 2))
    for index, name in enumerate(target.joints):
        if name not in rule:
            raise InputError(
                "data.sh_map",
                f"the map {mpii_map!r} has no {name}",
                f"not usable for {target.name}",
            )
        for joint, share in rule[name].items():
            points[:, index] += share * keypoints.points_px[:, keypoints.joints.index(joint)]
    return points


def conversion(source: str, mpii_map: MpiiMap = "geometric") -> Rule:
    """How each Human3.6M joint is made from a set's joints: the share of each in a weighted sum."""
    rule: Rule = {joint: {joint: 1.0} for joint in HUMAN36M_17.joints}
    match source:
        case "human36m-16":
            rule["Nose"] = _middle("Thorax", "Head")
        case "mpii-16":
            rule |= {
                "Hip": {"Pelvis": 1.0},
                "Thorax": {"UpperNeck": 1.0},
                "Nose": _middle("UpperNeck", "HeadTop"),
                "Head": {"HeadTop": 1.0},
            }
            # MPII's chest lies on the shoulder line, where Human3.6M has no joint.
            geometric = mpii_map == "geometric"
            rule["Spine"] = _middle("Pelvis", "UpperNeck") if geometric else {"Chest": 1.0}
            if mpii_map == "martinez":
                del rule["Nose"]
        case "coco-17":
            rule |= {
                "Hip": _middle("LHip", "RHip"),
                "Spine": _middle("LShoulder", "RShoulder", "LHip", "RHip"),
                "Thorax": _middle("LShoulder", "RShoulder"),
                "Head": _beyond("Nose", _middle("LShoulder", "RShoulder")),
            }
        case "openpose-25":
            rule |= {
                "Hip": {"MidHip": 1.0},
                "Spine": _middle("MidHip", "Neck"),
                "Thorax": {"Neck": 1.0},
                "Head": _beyond("Nose", {"Neck": 1.0}),
            }
    return rule


def _middle(*joints: str) -> dict[str, float]:
    return dict.fromkeys(joints, 1 / len(joints))


def _beyond(joint: str, base: Mapping[str, float]) -> dict[str, float]:
    """As far beyond a joint as that is from the base."""
    return {joint: 2.0} | {name: -share for name, share in base.items()}


def _require(keypoints: Keypoints, joints: list[str]) -> None:
    numbers = [keypoints.joints.index(joint) for joint in joints]
    frames, columns = np.nonzero(~np.isfinite(keypoints.points_px[:, numbers]).all(-1))
    if len(frames) == 0:
        return
    found = [f"frame {f}: {joints[c]}" for f, c in zip(frames, columns, strict=True)]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    raise InputError(
        keypoints.source,
        "missing joints: " + "; ".join(found[:SHOWN]) + more,
        "fill them in or leave these frames out; frames count from 0",
    )


def _read(source: Path) -> tuple[str | None, Any]:
    """The name of the joints, if the source says it, and nested lists or an array of frames."""
    if source.is_dir():
        files = sorted(source.glob("*.json"))
        if not files:
            raise InputError(str(source), "the folder holds no .json files")
        return "openpose-25", [_openpose_frame(_json(file), str(file)) for file in files]
    if source.suffix == ".npz":
        return _npz(source)
    if source.suffix != ".json":
        raise InputError(
            str(source), f"unknown kind of file {source.suffix!r}", "give .json or .npz"
        )
    content = _json(source)
    if isinstance(content, dict) and "people" in content:
        return "openpose-25", [_openpose_frame(content, str(source))]
    if isinstance(content, dict):
        if "keypoints" not in content:
            raise InputError(str(source), "it has no key 'keypoints'")
        named = content.get("skeleton")
        if not isinstance(named, str | None):
            raise InputError(str(source), f"its 'skeleton' is {named!r}", "give the name as text")
        return named, content["keypoints"]
    return None, content


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(str(path), f"can't be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(str(path), f"not JSON: {error}") from None


def _npz(path: Path) -> tuple[str | None, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in names}
    except OSError as error:
        raise InputError(str(path), f"can't be read: {error}") from None
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(str(path), f"not an npz file of plain arrays: {error}") from None
    named = str(arrays.pop("skeleton")) if "skeleton" in arrays else None
    if "keypoints" not in arrays and len(arrays) != 1:
        raise InputError(
            str(path),
            "it has no array 'keypoints', but " + (", ".join(arrays) or "none"),
            "name one of them 'keypoints'",
        )
    return named, arrays["keypoints"] if "keypoints" in arrays else next(iter(arrays.values()))


def _openpose_frame(content: Any, place: str) -> list[list[float]]:
    """The (x, y, confidence) triples of the person whose keypoints are surest."""
    try:
        people = [np.array(person[OPENPOSE_KEY], float) for person in content["people"]]
        frames = [person.reshape(-1, 3) for person in people]
    except (KeyError, TypeError, ValueError):
        raise InputError(place, f"not OpenPose JSON: people with {OPENPOSE_KEY}") from None
    if not frames:
        raise InputError(place, "nobody was detected in this frame", "leave the frame out")
    surest: list[list[float]] = max(frames, key=lambda points: points[:, 2].sum()).tolist()
    return surest


def _points(frames: Any, joints: int, name: str, place: str) -> NDArray[np.float64]:
    """Checked (F, J, 2) pixels; NaN where a joint is missing."""
    try:
        points = np.array(_with_nan(frames), dtype=np.float64)
    except (ValueError, TypeError):
        raise InputError(
            place, "not numbers in the shape frames x joints x (x, y)", "give every joint in order"
        ) from None
    if points.ndim == 2:
        points = points[None]
    if points.ndim != 3 or points.shape[1] != joints or points.shape[2] not in {2, 3}:
        raise InputError(
            place,
            f"its shape is {points.shape}",
            f"{name} needs (frames, {joints}, 2), or 3 with confidences",
        )
    if len(points) == 0:
        raise InputError(place, "it holds no frames")
    if points.shape[2] == 3:
        points[~(points[..., 2] > 0)] = np.nan
    return points[..., :2]


def _with_nan(value: Any) -> Any:
    """Nested lists in which a missing joint or coordinate (null) is NaN."""
    if not isinstance(value, list):
        return np.nan if value is None else value
    length = next((len(item) for item in value if isinstance(item, list)), 0)
    return [[np.nan] * length if item is None and length else _with_nan(item) for item in value]
