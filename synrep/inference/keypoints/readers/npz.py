"""NumPy's npz: an array of keypoints, which may stand beside the name of its joints."""

from __future__ import annotations

from synrep.datasets.untrusted.npz import read_npz
from synrep.errors import InputError
from synrep.inference.keypoints.source import Content, Format, Source


def recognises(source: Source) -> bool:
    """A file that ends in .npz."""
    return not source.is_folder and bool(source.files(".npz"))


def read(source: Source, _skeleton: str | None) -> Content:
    """The array `keypoints`, or the only one; pickled objects are never read."""
    arrays = read_npz(source.path, objects=False)
    named = str(arrays.pop("skeleton")) if "skeleton" in arrays else None
    frames = arrays.pop("frames", None)
    if "keypoints" not in arrays and len(arrays) != 1:
        raise InputError(
            str(source.path),
            "it has no array 'keypoints', but " + (", ".join(arrays) or "none"),
            "name one of them 'keypoints'",
        )
    points = arrays["keypoints"] if "keypoints" in arrays else next(iter(arrays.values()))
    return Content(points=points, skeleton=named, frames=frames)


FORMAT = Format(
    name="npz",
    help="NumPy archive with an array `keypoints` (frames, joints, 2 or 3), or just one array; "
    "also `skeleton` and `frames`, if you like.",
    recognises=recognises,
    read=read,
)
