"""The file formats of 2D keypoints, and which one a source has.

To add a format, write a module with a `Format` and name it in `FORMATS`: reading, messages and the
help of `synrep lift` then know it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synrep.errors import InputError
from synrep.inference.keypoints.readers import (
    alphapose,
    coco,
    csv_table,
    deeplabcut,
    json_frames,
    mediapipe,
    mmpose,
    npz,
    openpose,
    videopose3d,
    yolo,
)

if TYPE_CHECKING:
    from synrep.inference.keypoints.source import Format, Source

FORMATS: tuple[Format, ...] = (
    openpose.FORMAT,
    mmpose.FORMAT,
    alphapose.FORMAT,
    mediapipe.FORMAT,
    coco.FORMAT,
    json_frames.FORMAT,
    videopose3d.FORMAT,
    npz.FORMAT,
    deeplabcut.FORMAT,
    csv_table.FORMAT,
    yolo.FORMAT,
)
"""In the order in which they are asked: more specific ones first."""


HINTS = {
    **dict.fromkeys(
        (".mp4", ".avi", ".mov", ".mkv", ".jpg", ".png"), "run a 2D detector on it first"
    ),
    **dict.fromkeys((".pkl", ".pickle"), "pickles are never read: save it as JSON or npz"),
    ".npy": "save it with numpy.savez as npz",
    ".h5": "of DeepLabCut's files, give the CSV",
    ".xlsx": "save it as CSV",
}
"""What to do with files of other kinds, by suffix."""


def format_of(source: Source) -> Format:
    """The format of a source.

    Raises:
        InputError: it is of none, or can't be read.
    """
    for entry in FORMATS:
        if entry.recognises(source):
            return entry
    hint = HINTS.get(source.path.suffix.lower())
    if not source.is_folder and hint:
        rule = f"{source.path.suffix} files are not read: {hint}"
    elif not source.is_folder:
        rule = f"unknown kind of file {source.path.suffix!r}"
    elif files := source.files(""):
        rule = f"the folder is of no known format; its first file is {files[0].name!r}"
    else:
        rule = "the folder is empty"
    known = ", ".join(entry.name for entry in FORMATS)
    raise InputError(str(source.path), rule, f"known: {known}; `synrep lift --help` describes them")
