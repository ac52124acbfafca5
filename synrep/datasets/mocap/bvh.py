"""Read motion capture in BVH files and convert it to poses of 17 Human3.6M joints.

Axes: T frames of a file, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from synrep.datasets.mocap.files import read_text, refusal
from synrep.datasets.mocap.motion import SkeletonMotion, check_size, intrinsic_rotation, stride
from synrep.datasets.mocap.options import MocapOptions
from synrep.datasets.mocap.reading import MocapFormat, Recording, read_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.datasets.store.poses import Poses
    from synrep.errors import InputError

MAX_CHANNELS = 9
"""Most channels of a joint; files have three or six."""
MIN_FRAME_S, MAX_FRAME_S = 1e-5, 100.0
"""Accepted range of the duration of a frame."""


class BvhOptions(MocapOptions):
    """Options of the reader of BVH files."""


def read_bvh_folder(
    root: str | Path,
    options: BvhOptions,
    on_file: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[Poses, list[str]]:
    """Read the poses of all BVH files under a folder, in world millimetres with z up.

    See `synrep.datasets.mocap.reading.read_folder` for arguments, result and errors.
    """

    def read(path: Path) -> Recording:
        file = _BvhFile.read(path)
        return Recording(lambda first: file.motion(options.fps, first), file.notes)

    return read_folder(root, MocapFormat(".bvh", read), options, on_file)


def read_bvh(path: Path, target_fps: float, first: int = 0) -> SkeletonMotion:
    """Read the motion in a BVH file, at about the target frame rate.

    Position channels of a joint replace its offset, as in the files of Bandai Namco Research, in
    which every joint has six channels.

    Args:
        path: the file.
        target_fps: frames per second; every n-th frame is kept, with n chosen to come nearest.
        first: number of frames at the beginning to leave out.

    Raises:
        InputError: the file can't be read.
    """
    return _BvhFile.read(path).motion(target_fps, first)


@dataclass
class _Joint:
    name: str
    parent: int
    offset: tuple[float, ...] = (0.0, 0.0, 0.0)
    channels: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _BvhFile:
    """A parsed file: joints, channel values (T, C) and frame rate."""

    path: Path
    joints: list[_Joint]
    frames: NDArray[np.float64]
    fps: float
    notes: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> _BvhFile:
        """Parse a file; raises InputError if that fails."""
        try:
            parser = _Parser(read_text(path).split())
            joints = parser.hierarchy()
            frames, fps = parser.motion(sum(len(joint.channels) for joint in joints))
        except (ValueError, IndexError, OSError) as error:
            reason = "it ends too early" if isinstance(error, IndexError) else str(error)
            raise _unreadable(path, reason) from None
        return cls(path, joints, frames, fps, tuple(parser.notes))

    def motion(self, target_fps: float, first: int) -> SkeletonMotion:
        """The motion from frame `first` on; raises InputError if it is too long or none is left."""
        if first >= len(self.frames):
            rule = f"it holds {len(self.frames)} frames, and {first} are left out"
            raise _unreadable(self.path, rule)
        try:
            step = stride(self.fps, target_fps)
            frames = self.frames[first::step]
            check_size(len(frames), len(self.joints))
        except ValueError as error:
            raise _unreadable(self.path, str(error)) from None
        return _assemble(self.joints, frames, self.fps / step)


def _unreadable(path: Path, reason: str) -> InputError:
    return refusal(path, "BVH", reason, "export it again from its source")


class _Parser:
    """Parser of the words of a BVH file; raises ValueError or IndexError on invalid files."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.position = 0
        self.notes: list[str] = []

    def word(self) -> str:
        self.position += 1
        return self.words[self.position - 1]

    def expect(self, *words: str) -> None:
        for word in words:
            if (actual := self.word()).lower() != word.lower():
                raise ValueError(f"{actual!r} where {word!r} is expected")

    def numbers(self, count: int) -> tuple[float, ...]:
        values = tuple(float(self.word()) for _ in range(count))
        if not np.isfinite(values).all():
            raise ValueError("an offset is not finite")
        return values

    def hierarchy(self) -> list[_Joint]:
        """Parse the hierarchy; return the joints in the order of their channels."""
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
        """Parse the start of a joint, whose name can contain spaces; return its index."""
        name = [self.word()]
        while (word := self.word()) != "{":
            name.append(word)
        joints.append(_Joint(" ".join(name), parent))
        return len(joints) - 1

    def _channels(self) -> list[str]:
        names = [self.word().lower() for _ in range(int(self.word()))]
        if len(names) > MAX_CHANNELS:
            raise ValueError(f"a joint with more than {MAX_CHANNELS} channels")
        for name in names:
            if name[:1] not in {"x", "y", "z"} or name[1:] not in {"position", "rotation"}:
                raise ValueError(f"unknown channel {name!r}")
        return names

    def motion(self, channels: int) -> tuple[NDArray[np.float64], float]:
        """Parse the motion; return the channel values (T, C) and the frame rate."""
        self.expect("MOTION")
        count = int(self._after("Frames"))
        self.expect("Frame")
        seconds = float(self._after("Time"))
        values = np.array(self.words[self.position :], np.float64)
        if count < 1 or not MIN_FRAME_S <= seconds <= MAX_FRAME_S:
            raise ValueError(f"it declares {count} frames of {seconds:g} s")
        held = len(values) // max(channels, 1)
        if held * channels != len(values) or held < 1 or abs(held - count) > 1:
            raise ValueError(
                f"it declares {count} frames of {channels} channels but holds {len(values)} numbers"
            )
        if held != count:
            self.notes.append("hold one frame more or less than they declare: all frames are read")
        if not np.isfinite(values).all():
            raise ValueError("some of its numbers are not finite")
        # Frame times are rounded in the files: 0.0083333 s means 120 frames per second.
        return values.reshape(held, channels), round(1 / seconds, 2)

    def _after(self, label: str) -> str:
        """Parse `label: value`, with or without a space on each side of the colon."""
        found = self.word()
        if ":" not in found:
            found += self.word()
        name, _, value = found.partition(":")
        if name.lower() != label.lower():
            raise ValueError(f"{found!r} where '{label}:' is expected")
        return value or self.word()


def _assemble(joints: list[_Joint], frames: NDArray[np.float64], fps: float) -> SkeletonMotion:
    """Convert channel values (T, C) to offsets and rotations."""
    offsets = np.empty((len(frames), len(joints), 3))
    rotations = np.empty((len(frames), len(joints), 3, 3))
    column = 0
    for index, joint in enumerate(joints):
        values = frames[:, column : column + len(joint.channels)]
        column += len(joint.channels)
        offsets[:, index] = joint.offset
        angles = [k for k, name in enumerate(joint.channels) if name.endswith("rotation")]
        for k, name in enumerate(joint.channels):
            if k not in angles:
                offsets[:, index, "xyz".index(name[0])] = values[:, k]
        axes = "".join(joint.channels[k][0] for k in angles)
        rotations[:, index] = intrinsic_rotation(axes, values[:, angles])
    return SkeletonMotion(
        names=tuple(joint.name for joint in joints),
        parents=tuple(joint.parent for joint in joints),
        offsets=offsets,
        rotations=rotations,
        fps=fps,
    )
