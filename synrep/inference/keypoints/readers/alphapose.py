"""AlphaPose's `alphapose-results.json`: a list with an entry for each person in an image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from synrep.errors import InputError
from synrep.inference.keypoints.readers.coco import read_results
from synrep.inference.keypoints.source import Content, Format
from synrep.keypoint_sets import COCO_17, HALPE_26

if TYPE_CHECKING:
    from synrep.inference.keypoints.source import Source

SETS = {len(entry.joints): entry.name for entry in (COCO_17, HALPE_26)}
BODY_OF = {133: COCO_17, 136: HALPE_26}
"""Sets of the whole body, by their number of joints, that start with the body's."""
OWN = ("box", "idx")
"""Fields that COCO's results don't have."""


def recognises(source: Source) -> bool:
    """A JSON list of results with fields of AlphaPose's own, or with more joints than COCO's."""
    content = None if source.is_folder else source.first_json
    first = content[0] if isinstance(content, list) and content else None
    if not isinstance(first, dict) or "image_id" not in first or "keypoints" not in first:
        return False
    flat = first["keypoints"]
    numbers = {3 * count for count in (len(HALPE_26.joints), *BODY_OF)}
    return any(name in first for name in OWN) or (isinstance(flat, list) and len(flat) in numbers)


def read(source: Source, _skeleton: str | None) -> Content:
    """Everybody in each image, by their number of joints COCO's or Halpe's."""
    content = read_results(source, None)
    count = max(len(person.points) for frame in content.people or () for person in frame)
    if count in BODY_OF:
        body = BODY_OF[count]
        people = [
            [replace(person, points=person.points[: len(body.joints)]) for person in frame]
            for frame in content.people or ()
        ]
        return replace(content, people=people, skeleton=body.name)
    if count not in SETS:
        known = ", ".join(f"{number} ({name})" for number, name in SETS.items())
        rule = f"AlphaPose's results with {count} joints"
        raise InputError(str(source.path), rule, f"those with {known} are read")
    return replace(content, skeleton=SETS[count])


FORMAT = Format(
    name="alphapose",
    help="AlphaPose's alphapose-results.json: COCO-17, Halpe-26 and the bodies of their sets of "
    "the whole body; `idx` are track ids.",
    recognises=recognises,
    read=read,
)
