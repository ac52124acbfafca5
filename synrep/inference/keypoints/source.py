"""A file or folder of 2D keypoints, what is read from it, and what a file format is.

Formats say what a source holds; which person is taken, which joints are missing and whether the
numbers are pixels is decided for all of them in `keypoints`.

Axes: F frames, J joints.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from synrep.datasets.untrusted.json_text import parse_json
from synrep.errors import InputError, tell
from synrep.inference.keypoints.numbering import frame_numbers, natural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.inference.keypoints.people import Person


@dataclass(frozen=True)
class Source:
    """A file, or a folder with a file for each frame of a video.

    Args:
        path: of the file or folder.
    """

    path: Path

    @cached_property
    def is_folder(self) -> bool:
        """Whether there is a file for each frame."""
        return self.path.is_dir()

    def files(self, suffix: str) -> list[Path]:
        """The file, or those of the folder, if they have this suffix, such as '.json'.

        They come in natural order: '2.json' before '10.json'. Hidden ones are left out.
        """
        if self.is_folder:
            found = [
                path
                for path in self.path.iterdir()
                if not path.name.startswith(".")
                and (path.suffix.lower() == suffix or (not suffix and path.is_file()))
            ]
            return sorted(found, key=lambda path: natural(path.name))
        return [self.path] if self.path.suffix.lower() == suffix else []

    def numbers(self, files: Sequence[Path]) -> list[int] | None:
        """The frames that files of the folder show, by their names; None for a single file.

        Where the names do not say it, frames count from 0, which is told.
        """
        if not self.is_folder:
            return None
        numbers = frame_numbers([file.stem for file in files])
        if numbers is None:
            rule = "the names of its files do not number the frames: they count from 0"
            tell(str(self.path), rule, f"from {files[0].name} on, in natural order")
        return numbers

    @cached_property
    def first_json(self) -> Any:
        """Content of the first JSON file, by which formats are told apart; None without one.

        In a folder, files with nothing in them, such as an empty list of people, are passed over.

        Raises:
            InputError: it can't be read, or is no JSON.
        """
        content = None
        for file in self.files(".json"):
            content = read_json(file)
            if content:
                break
        return content


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a source holds, not yet checked.

    Attributes:
        points: nested lists or an array, (F, J, 2 or 3), of one person; null or NaN where a joint
            is missing.
        people: (F) everybody in each frame, for formats of several people; takes the place of
            `points`.
        skeleton: name of the keypoint set, if the source says it.
        frames: numbers of the frames, if the source says them.
    """

    points: Any = None
    people: Sequence[Sequence[Person]] | None = None
    skeleton: str | None = None
    frames: Any = None


@dataclass(frozen=True, kw_only=True)
class Format:
    """A file format of 2D keypoints.

    Attributes:
        name: one word, for messages.
        help: one line that says what a source holds, for the help of commands.
        recognises: whether a source is of this format.
        read: what a source that was recognised holds; the name of the keypoint set is given if the
            user said it. Raises `InputError` where it can't be understood.
    """

    name: str
    help: str
    recognises: Callable[[Source], bool]
    read: Callable[[Source, str | None], Content]


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        InputError: it can't be read, or is no JSON.
    """
    try:
        content = path.read_bytes()
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return parse_json(content.decode("utf-16" if wide else "utf-8-sig"))
    except OSError as error:
        raise InputError(str(path), f"can't be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(str(path), f"not JSON: {error}") from None


def stack_frames(
    frames: list[NDArray[np.float64] | None], files: list[Path], source: Source
) -> NDArray[np.float64]:
    """The frames of a video as one array (F, J, 3); a frame without anybody has no joints.

    Args:
        frames: (J, 3) x, y and confidence in each file; None where nobody was detected.
        files: the file of each frame, for messages.
        source: which has these files.

    Raises:
        InputError: nobody is in any frame, or frames differ in their number of joints.
    """
    shape = next((frame.shape for frame in frames if frame is not None), None)
    if shape is None:
        rule = "nobody was detected in this frame" if len(frames) == 1 else "nobody was detected"
        raise InputError(str(source.path), rule, "leave it out")
    for frame, file in zip(frames, files, strict=True):
        if frame is not None and frame.shape != shape:
            rule = f"{len(frame)} joints, where other frames have {shape[0]}"
            raise InputError(str(file), rule)
    empty = np.full(shape, np.nan)
    return np.stack([empty if frame is None else frame for frame in frames])
