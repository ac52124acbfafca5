"""MMPose's predictions in JSON, with or without `meta_info`, of a video or of single images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synrep.errors import InputError
from synrep.inference.keypoints.people import Person, same_joints
from synrep.inference.keypoints.readers.spelling import numbers_of, plain
from synrep.inference.keypoints.source import Content, Format, read_json
from synrep.keypoint_sets import COCO_17, HALPE_26, KEYPOINT_SETS

if TYPE_CHECKING:
    from synrep.inference.keypoints.source import Source

BODIES = {17: COCO_17, 26: HALPE_26, 133: COCO_17}
"""The joints with which a list begins, by its length, if the file does not name them."""
REMEDY = "give the predictions that MMPose's inferencer or its demos wrote"


def recognises(source: Source) -> bool:
    """Instances with `keypoint_scores`, in lists of frames or not; or a folder of such files."""
    content = source.first_json
    if isinstance(content, dict):
        return "instance_info" in content
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, dict) and ("instances" in first or "keypoint_scores" in first)


def read(source: Source, skeleton: str | None) -> Content:
    """Everybody in each frame; a frame is numbered by `frame_id`, or by the name of its file."""
    files, place = source.files(".json"), str(source.path)
    people: list[list[Person]] = []
    frames: list[int] | None = []
    meta: dict[str, Any] = {}
    for file in files:
        content = read_json(file)
        if isinstance(content, dict):
            meta = content.get("meta_info") or meta
            content = content.get("instance_info")
        if not isinstance(content, list):
            raise InputError(str(file), "it holds no list of instances", REMEDY)
        if content and isinstance(content[0], dict) and "instances" in content[0]:
            if source.is_folder:
                rule = "a video among files of a folder"
                raise InputError(str(file), rule, "give it alone")
            people, frames = _video(content, str(file))
        else:
            people.append(_people(content, str(file)))
            frames = None
    count = same_joints(people, _places(people, frames, files, place), place)
    name, columns = _joints(meta, count, skeleton, place)
    chosen = [[_only(person, columns) for person in frame] for frame in people]
    return Content(people=chosen, skeleton=name, frames=frames or source.numbers(files))


def _places(people: list[Any], frames: list[int] | None, files: list[Any], place: str) -> list[str]:
    if frames is None:
        return [str(file) for file in files]
    return [f"{place}, frame {number}" for number, _ in zip(frames, people, strict=True)]


def _video(content: list[Any], place: str) -> tuple[list[list[Person]], list[int]]:
    try:
        numbers = [int(entry["frame_id"]) for entry in content]
        lists = [entry["instances"] for entry in content]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InputError(place, "a frame has no frame_id and instances", REMEDY) from None
    found = [_people(instances, place) for instances in lists]
    return found, numbers


def _people(instances: Any, place: str) -> list[Person]:
    try:
        return [_person(instance) for instance in instances]
    except DepthError:
        raise InputError(place, "it holds 3D keypoints", "give those of a 2D detector") from None
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        rule = "an instance has no keypoints (x, y) with a keypoint_scores for each"
        raise InputError(place, rule, REMEDY) from None


class DepthError(Exception):
    """Keypoints have three coordinates."""


def _person(instance: dict[str, Any]) -> Person:
    points = np.array(instance["keypoints"], float)
    if points.ndim != 2 or points.shape[1] not in {2, 3}:
        raise ValueError(points.shape)
    if "keypoint_scores" in instance:
        if points.shape[1] == 3:
            raise DepthError
        scores = np.array(instance["keypoint_scores"], float).reshape(len(points), 1)
        points = np.concatenate([points, scores], 1)
    elif points.shape[1] == 2:
        points = np.concatenate([points, np.ones((len(points), 1))], 1)
    track = instance.get("track_id", instance.get("instance_id"))
    return Person(
        points=points,
        score=float(np.mean(instance.get("bbox_score", points[:, 2].mean()))),
        track=None if track is None or track == -1 else str(track),
    )


def _joints(
    meta: dict[str, Any], count: int, skeleton: str | None, place: str
) -> tuple[str, list[int]]:
    """The set of the joints, and where each of it lies in the file's lists."""
    if skeleton is not None and len(KEYPOINT_SETS[skeleton].joints) == count:
        return skeleton, list(range(count))
    names = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if isinstance(names, dict) and len(names) == count and skeleton is None:
        spelt = [plain(str(names.get(str(number), ""))) for number in range(count)]
        for name in KEYPOINT_SETS:
            if set(numbers_of(name)) == set(spelt):
                return name, [spelt.index(joint) for joint in numbers_of(name)]
    if count not in BODIES:
        known = ", ".join(f"{number} ({body.name})" for number, body in BODIES.items())
        raise InputError(
            place,
            f"MMPose's predictions of {count} joints",
            f"those of {known} are read, and others with --skeleton",
        )
    return BODIES[count].name, list(range(len(BODIES[count].joints)))


def _only(person: Person, columns: list[int]) -> Person:
    return Person(points=person.points[columns], score=person.score, track=person.track)


FORMAT = Format(
    name="mmpose",
    help="MMPose's predictions in JSON, of a video or an image, or a folder with a file an image. "
    "Unless the file or --skeleton names them, 17 joints are COCO's and 26 Halpe's.",
    recognises=recognises,
    read=read,
)
