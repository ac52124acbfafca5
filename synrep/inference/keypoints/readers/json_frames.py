"""Plain JSON: a list of frames, or an object that also names the joints and numbers the frames."""

from __future__ import annotations

from synrep.errors import InputError
from synrep.inference.keypoints.source import Content, Format, Source


def recognises(source: Source) -> bool:
    """Any JSON file; other formats in JSON are asked before."""
    return not source.is_folder and bool(source.files(".json"))


def read(source: Source, _skeleton: str | None) -> Content:
    """`[[x, y], ...]` for each frame or for one, or these under `keypoints`."""
    content, place = source.first_json, str(source.path)
    if not isinstance(content, dict):
        return Content(points=content)
    if "keypoints" not in content:
        keys = ", ".join(map(str, list(content)[:5])) or "nothing"
        remedy = f"it has {keys}; `synrep lift --help` lists the formats in JSON"
        raise InputError(place, "it has no key 'keypoints'", remedy)
    named = content.get("skeleton")
    if not isinstance(named, str | None):
        raise InputError(place, f"its 'skeleton' is {named!r}", "give the name as text")
    return Content(points=content["keypoints"], skeleton=named, frames=content.get("frames"))


FORMAT = Format(
    name="json",
    help="JSON list of frames of [x, y] or [x, y, confidence], or one such frame, or an object "
    "with `keypoints` and, if you like, `skeleton` and `frames` (their numbers).",
    recognises=recognises,
    read=read,
)
