"""SkeletonMotion capture in Acclaim's ASF and AMC files, the CMU database's own format.

An .asf file is a person: bones with their directions and axes. An .amc file is a motion of it.
A joint has the name of the bone that starts there, so that positions and rotations mean the same
as in a BVH file. Axes: T frames of a file, J joints.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from synrep.datasets.mocap.motion import SkeletonMotion, check_size, stride, turn_fixed
from synrep.datasets.mocap.reading import MocapOptions, read_folder
from synrep.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.datasets.store.poses import Poses

ROOT = "root"
ROTATIONS = {"rx": "x", "ry": "y", "rz": "z"}
MOVES = {"tx": 0, "ty": 1, "tz": 2}


class AsfAmcOptions(MocapOptions):
    """How to read a folder of ASF and AMC files."""

    recorded_fps: Annotated[float, Field(gt=0)] = 120.0
    """Frame rate of the motions: the files don't tell it; nearly all of CMU's have 120."""


@dataclass(frozen=True, kw_only=True)
class Bone:
    """One bone, or the root.

    Attributes:
        offset: (3,) from its start to its end in the base pose, in the file's unit.
        axis: (3, 3) the axes that its rotations are about.
        channels: what an .amc file gives for it, in that order: 'rx', 'tz'...
        parent: name of the bone at whose end it starts; empty for the root.
    """

    offset: NDArray[np.float64]
    axis: NDArray[np.float64]
    channels: tuple[str, ...]
    parent: str = ""


@dataclass(frozen=True, kw_only=True)
class AsfSkeleton:
    """The person of an .asf file.

    Attributes:
        bones: by name, the root first and parents before children.
        position: (3,) of the root before any motion.
        in_degrees: whether angles are in degrees or radians.
    """

    bones: dict[str, Bone]
    position: NDArray[np.float64]
    in_degrees: bool


def read_asf_amc_folder(
    root: str | Path,
    options: AsfAmcOptions,
    on_file: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[Poses, list[str]]:
    """Poses of all AMC files under a folder, in world millimetres with z up.

    A motion 01_02.amc is of the person 01.asf in the same folder, who is the subject '01'; else of
    the .asf with the motion's own name, or of the only one there. See
    `synrep.datasets.mocap.reading.read_folder` for arguments, result and errors.
    """
    people: dict[Path, AsfSkeleton] = {}

    def read(path: Path) -> tuple[SkeletonMotion, str]:
        asf = find_asf(path)
        if asf not in people:
            people[asf] = read_asf(asf)
        return read_amc(path, people[asf], options.recorded_fps, options.fps), asf.stem

    return read_folder(root, ".amc", read, options, on_file)


def find_asf(amc: Path) -> Path:
    """The .asf file of a motion.

    Raises:
        InputError: there is none, or nothing says which.
    """
    there = sorted(amc.parent.glob("*.asf"))
    for stem in (amc.stem, amc.stem.rpartition("_")[0]):
        for asf in there:
            if asf.stem == stem:
                return asf
    if len(there) != 1:
        raise InputError(
            str(amc),
            f"which of {len(there)} .asf files beside it is its skeleton?" if there else "no .asf",
            "put the person's .asf beside it, named like the part before the last '_'",
        )
    return there[0]


def read_asf(path: Path) -> AsfSkeleton:
    """The skeleton in an .asf file.

    Raises:
        InputError: the file can't be read, or turns or moves bones in ways that aren't supported.
    """
    try:
        sections = _sections(path.read_text(encoding="utf-8", errors="replace"))
        return _skeleton(sections)
    except (ValueError, IndexError, KeyError, OSError) as error:
        raise _unreadable(path, "ASF", error) from None


def read_amc(
    path: Path, skeleton: AsfSkeleton, recorded_fps: float, wanted_fps: float
) -> SkeletonMotion:
    """The motion in an .amc file, at about the wanted rate.

    Raises:
        InputError: the file can't be read, or its bones are not those of the skeleton.
    """
    try:
        step = stride(recorded_fps, wanted_fps)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        radians = any(line.strip().lower() == ":radians" for line in lines)
        degrees = any(line.strip().lower() == ":degrees" for line in lines)
        values = _frames(lines, skeleton, step)
        check_size(len(values[ROOT]), len(skeleton.bones))
    except (ValueError, IndexError, KeyError, OSError) as error:
        raise _unreadable(path, "AMC", error) from None
    in_degrees = degrees or (skeleton.in_degrees and not radians)
    return _assemble(skeleton, values, in_degrees=in_degrees, fps=recorded_fps / step)


def _unreadable(path: Path, kind: str, error: Exception) -> InputError:
    match error:
        case KeyError():
            reason = f"it lacks {error.args[0]!r}"
        case IndexError():
            reason = "a line ends too early"
        case _:
            reason = str(error)
    return InputError(
        str(path), f"not readable as {kind}: {reason}", "get it again from its source"
    )


def _sections(text: str) -> dict[str, list[list[str]]]:
    """Words of the lines of each section, by its keyword."""
    sections: dict[str, list[list[str]]] = {}
    mine: list[list[str]] = []
    for line in text.splitlines():
        words = line.partition("#")[0].replace(",", " ").replace("(", " ").replace(")", " ").split()
        if words and words[0].startswith(":"):
            mine = sections[words[0].lower()] = [words[1:]] if words[1:] else []
        elif words:
            mine.append(words)
    return sections


def _skeleton(sections: dict[str, list[list[str]]]) -> AsfSkeleton:
    units = {words[0].lower(): words[1] for words in sections.get(":units", [])}
    in_degrees = units.get("angle", "deg").lower().startswith("deg")
    root = {words[0].lower(): words[1:] for words in sections[":root"]}
    if any(map(float, root.get("orientation", []))):
        raise ValueError("its root has an orientation of its own, which programs read differently")
    order = _channels(root["order"], [*MOVES, *ROTATIONS])
    if not order:
        raise ValueError("its root can't move: the order is empty")
    bones = {
        ROOT: Bone(
            offset=np.zeros(3),
            axis=np.eye(3),
            channels=order,
        )
    }
    loose = dict(_bones(sections[":bonedata"], in_degrees=in_degrees))
    lines = [words for words in sections[":hierarchy"] if words[0] not in {"begin", "end"}]
    children = {words[0]: words[1:] for words in lines}
    pending = [ROOT]
    while pending:
        parent = pending.pop()
        for child in children.get(parent, []):
            bones[child] = replace(loose.pop(child), parent=parent)
            pending.append(child)
    if loose:
        raise ValueError(f"nothing joins {', '.join(loose)} to the root")
    position = _three(root.get("position", ["0", "0", "0"]), "the root's position")
    return AsfSkeleton(bones=bones, position=position, in_degrees=in_degrees)


def _three(words: list[str], what: str) -> NDArray[np.float64]:
    """(3,) finite numbers, the first of some words."""
    found = np.array(words[:3], np.float64)
    if found.shape != (3,) or not np.isfinite(found).all():
        raise ValueError(f"{what} is not three numbers: {' '.join(words[:3])!r}")
    return found


def _bones(lines: list[list[str]], *, in_degrees: bool) -> Iterator[tuple[str, Bone]]:
    """Each block of the bone data."""
    block: dict[str, list[str]] = {}
    for words in lines:
        if words[0] == "begin":
            block = {}
        elif words[0] == "end":
            name, length = block["name"][0], float(block["length"][0])
            direction = _three(block["direction"], f"the direction of {name}")
            direction /= max(float(np.linalg.norm(direction)), 1e-12)
            turned, order = _three(block["axis"], f"the axis of {name}")[None], block["axis"][3]
            if not np.isfinite(length) or sorted(order.lower()) != ["x", "y", "z"]:
                raise ValueError(f"the length {length} or the order {order!r} of {name}")
            axis = turn_fixed(order.lower(), turned if in_degrees else np.degrees(turned))
            yield (
                name,
                Bone(
                    offset=direction * length,
                    axis=axis[0],
                    channels=_channels(block.get("dof", []), ROTATIONS),
                ),
            )
        else:
            block[words[0].lower()] = words[1:]


def _channels(words: list[str], known: Collection[str]) -> tuple[str, ...]:
    names = tuple(word.lower() for word in words)
    if len(set(names)) < len(names):
        raise ValueError(f"a degree of freedom comes twice in {' '.join(names)}")
    for name in names:
        if name not in known:
            raise ValueError(f"degree of freedom {name!r}, where only {', '.join(known)} are read")
    return names


def _frames(lines: list[str], skeleton: AsfSkeleton, step: int) -> dict[str, NDArray[np.float64]]:
    """The values of each bone that moves, (T, channels), of every n-th frame."""
    starts = [index for index, line in enumerate(lines) if line.strip().isdigit()]
    if not starts:
        raise ValueError("it holds no frames")
    moving = {name: len(bone.channels) for name, bone in skeleton.bones.items() if bone.channels}
    found: dict[str, list[list[float]]] = {name: [] for name in moving}
    for start, end in list(zip(starts, [*starts[1:], len(lines)], strict=True))[::step]:
        frame = {words[0]: words[1:] for line in lines[start + 1 : end] if (words := line.split())}
        for name, count in moving.items():
            if len(frame.get(name, [])) != count:
                number = lines[start].strip()
                given = len(frame[name]) if name in frame else "none"
                raise ValueError(f"frame {number}: {name} needs {count} numbers, not {given}")
            found[name].append([float(word) for word in frame[name]])
    values = {name: np.array(rows) for name, rows in found.items()}
    if not all(np.isfinite(rows).all() for rows in values.values()):
        raise ValueError("some of its numbers are not finite")
    return values


def _assemble(
    skeleton: AsfSkeleton, values: dict[str, NDArray[np.float64]], *, in_degrees: bool, fps: float
) -> SkeletonMotion:
    """Joints where bones start; a bone turns by C M C^-1, with C its axes and M its rotations."""
    names = list(skeleton.bones)
    count = len(values[ROOT])
    offsets = np.zeros((count, len(names), 3))
    turns = np.empty((count, len(names), 3, 3))
    for index, (name, bone) in enumerate(skeleton.bones.items()):
        given = values.get(name, np.zeros((count, 0)))
        columns = [k for k, channel in enumerate(bone.channels) if channel in ROTATIONS]
        axes = "".join(ROTATIONS[bone.channels[k]] for k in columns)
        angles = given[:, columns] if in_degrees else np.degrees(given[:, columns])
        turns[:, index] = bone.axis @ turn_fixed(axes, angles) @ bone.axis.T
        if bone.parent:
            offsets[:, index] = skeleton.bones[bone.parent].offset
            continue
        offsets[:, index] = skeleton.position
        for k, channel in enumerate(bone.channels):
            if channel in MOVES:
                offsets[:, index, MOVES[channel]] += given[:, k]
    return SkeletonMotion(
        names=tuple(names),
        parents=tuple(names.index(b.parent) if b.parent else -1 for b in skeleton.bones.values()),
        offsets=offsets,
        turns=turns,
        fps=fps,
    )
