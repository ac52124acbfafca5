"""SkeletonMotion capture in BVH files: a folder of them becomes poses of 17 Human3.6M joints.

Axes: T frames of a file, J joints, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from synrep.datasets.mocap.motion import SkeletonMotion, check_size, stride, turn
from synrep.datasets.mocap.reading import MocapOptions, read_folder
from synrep.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.datasets.store.poses import Poses

MOST_CHANNELS = 9
"""Of a joint; files have three or six."""
SHORTEST_S, LONGEST_S = 1e-5, 100.0
"""Duration of a frame."""


class BvhOptions(MocapOptions):
    """How to read a folder of BVH files."""


def read_bvh_folder(
    root: str | Path,
    options: BvhOptions,
    on_file: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[Poses, list[str]]:
    """Poses of all BVH files under a folder, in world millimetres with z up.

    See `synrep.datasets.mocap.reading.read_folder` for arguments, result and errors.
    """
    return read_folder(
        root, ".bvh", lambda path: (read_bvh(path, options.fps), ""), options, on_file
    )


def read_bvh(path: Path, wanted_fps: float) -> SkeletonMotion:
    """The motion in a BVH file, at about the wanted rate.

    A joint may have position channels too: they take the place of its offset, as in the files of
    Bandai Namco Research, whose every joint has six channels.

    Raises:
        InputError: the file can't be read.
    """
    try:
        words = path.read_text(encoding="utf-8").split()
        reader = _Reader(words)
        joints = reader.hierarchy()
        frames, fps = reader.motion(sum(len(joint.channels) for joint in joints))
        step = stride(fps, wanted_fps)
        check_size(-(-len(frames) // step), len(joints))
    except (ValueError, IndexError, OSError) as error:
        reason = "it ends too early" if isinstance(error, IndexError) else str(error)
        raise InputError(
            str(path), f"not readable as BVH: {reason}", "export it again from its source"
        ) from None
    return _assemble(joints, frames[::step], fps / step)


@dataclass
class _Joint:
    name: str
    parent: int
    offset: tuple[float, ...] = (0.0, 0.0, 0.0)
    channels: list[str] = field(default_factory=list)


class _Reader:
    """Goes through the words of a file; ValueError or IndexError where the format is broken."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.at = 0

    def word(self) -> str:
        self.at += 1
        return self.words[self.at - 1]

    def expect(self, *words: str) -> None:
        for word in words:
            if (found := self.word()).lower() != word.lower():
                raise ValueError(f"{found!r} where {word!r} belongs")

    def numbers(self, count: int) -> tuple[float, ...]:
        found = tuple(float(self.word()) for _ in range(count))
        if not np.isfinite(found).all():
            raise ValueError("an offset is not finite")
        return found

    def hierarchy(self) -> list[_Joint]:
        """The joints in the order of their channels."""
        self.expect("HIERARCHY", "ROOT")
        joints: list[_Joint] = []
        open_blocks = [self._open(joints, -1)]
        while open_blocks:
            word = self.word()
            if word == "}":
                open_blocks.pop()
            elif word == "JOINT":
                open_blocks.append(self._open(joints, open_blocks[-1]))
            elif word == "End":
                self.expect("Site", "{", "OFFSET")
                self.numbers(3)
                self.expect("}")
            elif word == "OFFSET":
                joints[open_blocks[-1]].offset = self.numbers(3)
            elif word == "CHANNELS":
                joints[open_blocks[-1]].channels = self._channels()
            else:
                raise ValueError(f"unknown word {word!r} in the hierarchy")
        return joints

    def _open(self, joints: list[_Joint], parent: int) -> int:
        """Start a joint; its name may hold spaces."""
        name = [self.word()]
        while (word := self.word()) != "{":
            name.append(word)
        joints.append(_Joint(" ".join(name), parent))
        return len(joints) - 1

    def _channels(self) -> list[str]:
        names = [self.word().lower() for _ in range(int(self.word()))]
        if len(names) > MOST_CHANNELS:
            raise ValueError(f"a joint of more than {MOST_CHANNELS} channels")
        for name in names:
            if name[:1] not in {"x", "y", "z"} or name[1:] not in {"position", "rotation"}:
                raise ValueError(f"unknown channel {name!r}")
        return names

    def motion(self, channels: int) -> tuple[NDArray[np.float64], float]:
        """Frames (T, C), and how many there are a second."""
        self.expect("MOTION", "Frames:")
        count = int(self.word())
        self.expect("Frame", "Time:")
        seconds = float(self.word())
        values = np.array(self.words[self.at :], np.float64)
        if count < 1 or not SHORTEST_S <= seconds <= LONGEST_S:
            raise ValueError(f"it declares {count} frames of {seconds:g} s")
        if len(values) != count * channels:
            raise ValueError(
                f"it declares {count} frames of {channels} channels but holds {len(values)} numbers"
            )
        if not np.isfinite(values).all():
            raise ValueError("some of its numbers are not finite")
        # Frame times are rounded in the files: 0.0083333 means 120 frames per second.
        return values.reshape(count, channels), round(1 / seconds, 2)


def _assemble(joints: list[_Joint], frames: NDArray[np.float64], fps: float) -> SkeletonMotion:
    offsets = np.empty((len(frames), len(joints), 3))
    turns = np.empty((len(frames), len(joints), 3, 3))
    column = 0
    for index, joint in enumerate(joints):
        mine = frames[:, column : column + len(joint.channels)]
        column += len(joint.channels)
        offsets[:, index] = joint.offset
        rotations = [k for k, name in enumerate(joint.channels) if name.endswith("rotation")]
        for k, name in enumerate(joint.channels):
            if k not in rotations:
                offsets[:, index, "xyz".index(name[0])] = mine[:, k]
        axes = "".join(joint.channels[k][0] for k in rotations)
        turns[:, index] = turn(axes, mine[:, rotations])
    return SkeletonMotion(
        names=tuple(joint.name for joint in joints),
        parents=tuple(joint.parent for joint in joints),
        offsets=offsets,
        turns=turns,
        fps=fps,
    )
