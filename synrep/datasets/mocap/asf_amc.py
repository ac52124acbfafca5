"""Read motion capture in Acclaim's ASF and AMC files, the native format of the CMU database.

An .asf file describes a skeleton, an .amc file a motion of it. A joint is named after the bone that
starts there, so that positions and rotations have the same meaning as in a BVH file.
Axes: T frames of a file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from synrep.datasets.mocap.files import MACOS, listed, read_text, refusal
from synrep.datasets.mocap.motion import SkeletonMotion, check_size, extrinsic_rotation, stride
from synrep.datasets.mocap.options import MocapOptions
from synrep.datasets.mocap.reading import MocapFormat, Recording, read_folder
from synrep.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.datasets.store.poses import Poses

ROOT = "root"
ROTATIONS = {"rx": "x", "ry": "y", "rz": "z"}
TRANSLATIONS = {"tx": 0, "ty": 1, "tz": 2}


class AsfAmcOptions(MocapOptions):
    """Options of the reader of ASF and AMC files."""

    recorded_fps: Annotated[float, Field(gt=0)] = 120.0
    """Frame rate of the recordings, which the files don't state; nearly all of CMU's have 120."""


@dataclass(frozen=True, kw_only=True)
class Bone:
    """One bone, or the root.

    Attributes:
        offset: (3,) vector from start to end in the base pose, in the file's unit.
        axis: (3, 3) axes of the bone's rotations.
        channels: degrees of freedom in the order of the .amc file: 'rx', 'tz' and so on.
        parent: name of the bone at whose end this one starts; empty for the root.
    """

    offset: NDArray[np.float64]
    axis: NDArray[np.float64]
    channels: tuple[str, ...]
    parent: str = ""


@dataclass(frozen=True, kw_only=True)
class AsfSkeleton:
    """The skeleton of an .asf file.

    Attributes:
        bones: bones by name, with the root first and parents before children.
        position: (3,) position of the root in the base pose.
        in_degrees: whether angles are in degrees instead of radians.
    """

    bones: dict[str, Bone]
    position: NDArray[np.float64]
    in_degrees: bool


def read_asf_amc_folder(
    root: str | Path,
    options: AsfAmcOptions,
    on_file: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[Poses, list[str]]:
    """Read the poses of all AMC files under a folder, in world millimetres with z up.

    The subject of a motion is the name of its skeleton file, see `find_asf`. See
    `synrep.datasets.mocap.reading.read_folder` for arguments, result and errors.
    """
    skeletons: dict[Path, AsfSkeleton] = {}
    candidates = cache(_asf_files)

    def read(path: Path) -> Recording:
        asf = find_asf(path, candidates)
        if asf not in skeletons:
            skeletons[asf] = read_asf(asf)
        skeleton = skeletons[asf]
        return Recording(
            lambda first: read_amc(path, skeleton, options.recorded_fps, options.fps, first)
        )

    source = MocapFormat(".amc", read, lambda path: find_asf(path, candidates).stem)
    return read_folder(root, source, options, on_file)


def _asf_files(folder: Path) -> list[Path]:
    """The skeleton files of a folder, sorted."""
    files = (path for path in folder.iterdir() if path.suffix.lower() == ".asf")
    return sorted(path for path in files if not path.name.startswith(MACOS))


def find_asf(amc: Path, candidates_in: Callable[[Path], list[Path]] = _asf_files) -> Path:
    """Find the skeleton of a motion in the same folder.

    It is the .asf file with the longest name that the motion's begins with, up to a '_': for
    01_02.amc 01_02.asf or 01.asf, for HDM_mm_x_019_120.amc HDM_mm.asf. Else it is the only .asf
    file in the folder.

    Args:
        amc: the motion.
        candidates_in: lists the .asf files of a folder.

    Raises:
        InputError: there is no such file, or more than one candidate.
    """
    candidates = candidates_in(amc.parent)
    named = [asf for asf in candidates if f"{amc.stem}_".startswith(f"{asf.stem}_")]
    if named:
        return max(named, key=lambda asf: len(asf.stem))
    if len(candidates) == 1:
        return candidates[0]
    names = listed([asf.name for asf in candidates])
    rule = f"its skeleton could be any of {len(candidates)} .asf files in its folder: {names}"
    raise InputError(
        str(amc),
        rule if candidates else "no .asf file in its folder",
        "add the person's .asf file, named like the beginning of the motion's name up to a '_'",
    )


def read_asf(path: Path) -> AsfSkeleton:
    """Read the skeleton in an .asf file.

    Raises:
        InputError: the file can't be read or has unsupported degrees of freedom.
    """
    try:
        sections = _sections(read_text(path))
        return _skeleton(sections)
    except (ValueError, IndexError, KeyError, OSError) as error:
        raise _unreadable(path, "ASF", error) from None


def read_amc(
    path: Path, skeleton: AsfSkeleton, recorded_fps: float, target_fps: float, first: int = 0
) -> SkeletonMotion:
    """Read the motion in an .amc file, at about the target frame rate, from frame `first` on.

    Raises:
        InputError: the file can't be read, or does not match the skeleton.
    """
    try:
        step = stride(recorded_fps, target_fps)
        lines = read_text(path).splitlines()
        radians = any(line.strip().lower() == ":radians" for line in lines)
        degrees = any(line.strip().lower() == ":degrees" for line in lines)
        values = _frames(lines, skeleton, slice(first, None, step))
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
    return refusal(path, kind, reason, "get it again from its source")


def _sections(text: str) -> dict[str, list[list[str]]]:
    """Split a file into sections by keyword; each is a list of lines, split into words."""
    sections: dict[str, list[list[str]]] = {}
    section: list[list[str]] = []
    for line in text.splitlines():
        words = line.partition("#")[0].replace(",", " ").replace("(", " ").replace(")", " ").split()
        if words and words[0].startswith(":"):
            section = sections[words[0].lower()] = [words[1:]] if words[1:] else []
        elif words:
            section.append(words)
    return sections


def _skeleton(sections: dict[str, list[list[str]]]) -> AsfSkeleton:
    """Assemble the bone hierarchy from the sections of an .asf file."""
    units = {words[0].lower(): words[1] for words in sections.get(":units", [])}
    in_degrees = units.get("angle", "deg").lower().startswith("deg")
    root = {words[0].lower(): words[1:] for words in sections[":root"]}
    if any(map(float, root.get("orientation", []))):
        raise ValueError("its root has an orientation, which programs interpret differently")
    order = _channels(root["order"], [*TRANSLATIONS, *ROTATIONS])
    if not order:
        raise ValueError("its root can't move: the order is empty")
    bones = {ROOT: Bone(offset=np.zeros(3), axis=np.eye(3), channels=order)}
    unconnected = dict(_bones(sections[":bonedata"], in_degrees=in_degrees))
    lines = [words for words in sections[":hierarchy"] if words[0] not in {"begin", "end"}]
    children = {words[0]: words[1:] for words in lines}
    pending = [ROOT]
    while pending:
        parent = pending.pop()
        for child in children.get(parent, []):
            bones[child] = replace(unconnected.pop(child), parent=parent)
            pending.append(child)
    if unconnected:
        raise ValueError(f"nothing connects {', '.join(unconnected)} to the root")
    position = _vector(root.get("position", ["0", "0", "0"]), "the root's position")
    return AsfSkeleton(bones=bones, position=position, in_degrees=in_degrees)


def _vector(words: list[str], what: str) -> NDArray[np.float64]:
    """Parse the first three words as a finite vector (3,)."""
    vector = np.array(words[:3], np.float64)
    if vector.shape != (3,) or not np.isfinite(vector).all():
        raise ValueError(f"{what} is not three numbers: {' '.join(words[:3])!r}")
    return vector


def _bones(lines: list[list[str]], *, in_degrees: bool) -> Iterator[tuple[str, Bone]]:
    """Yield the bones of the section `:bonedata` with their names."""
    block: dict[str, list[str]] = {}
    for words in lines:
        if words[0] == "begin":
            block = {}
        elif words[0] == "end":
            name, length = block["name"][0], float(block["length"][0])
            direction = _vector(block["direction"], f"the direction of {name}")
            direction /= max(float(np.linalg.norm(direction)), 1e-12)
            angles, order = _vector(block["axis"], f"the axis of {name}")[None], block["axis"][3]
            if not np.isfinite(length) or sorted(order.lower()) != ["x", "y", "z"]:
                raise ValueError(f"{name} has the length {length} and the axis order {order!r}")
            axis = extrinsic_rotation(order.lower(), angles if in_degrees else np.degrees(angles))
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


def _channels(words: list[str], supported: Collection[str]) -> tuple[str, ...]:
    """Parse the names of degrees of freedom."""
    names = tuple(word.lower() for word in words)
    if len(set(names)) < len(names):
        raise ValueError(f"a degree of freedom occurs twice in {' '.join(names)}")
    for name in names:
        if name not in supported:
            raise ValueError(f"degree of freedom {name!r} instead of {', '.join(supported)}")
    return names


def _frames(lines: list[str], skeleton: AsfSkeleton, kept: slice) -> dict[str, NDArray[np.float64]]:
    """Parse the frames that are kept; return the values (T, channels) of each bone with any."""
    starts = [index for index, line in enumerate(lines) if line.strip().isdigit()]
    if not starts[kept]:
        raise ValueError(
            f"it holds {len(starts)} frames, and {kept.start} are left out"
            if starts
            else "no frames"
        )
    counts = {name: len(bone.channels) for name, bone in skeleton.bones.items() if bone.channels}
    rows: dict[str, list[list[float]]] = {name: [] for name in counts}
    for start, end in list(zip(starts, [*starts[1:], len(lines)], strict=True))[kept]:
        frame = {words[0]: words[1:] for line in lines[start + 1 : end] if (words := line.split())}
        for name, count in counts.items():
            if len(frame.get(name, [])) != count:
                number = lines[start].strip()
                given = len(frame[name]) if name in frame else "none"
                raise ValueError(f"frame {number}: {name} needs {count} numbers, not {given}")
            rows[name].append([float(word) for word in frame[name]])
    values = {name: np.array(frames) for name, frames in rows.items()}
    if not all(np.isfinite(frames).all() for frames in values.values()):
        raise ValueError("some of its numbers are not finite")
    return values


def _assemble(
    skeleton: AsfSkeleton, values: dict[str, NDArray[np.float64]], *, in_degrees: bool, fps: float
) -> SkeletonMotion:
    """Convert channel values to offsets and rotations of the joints at which bones start.

    The rotation of a bone is C M C^-1, with its axes C and the rotation M of its channels.
    """
    names = list(skeleton.bones)
    count = len(values[ROOT])
    offsets = np.zeros((count, len(names), 3))
    rotations = np.empty((count, len(names), 3, 3))
    for index, (name, bone) in enumerate(skeleton.bones.items()):
        channels = values.get(name, np.zeros((count, 0)))
        columns = [k for k, channel in enumerate(bone.channels) if channel in ROTATIONS]
        axes = "".join(ROTATIONS[bone.channels[k]] for k in columns)
        angles = channels[:, columns] if in_degrees else np.degrees(channels[:, columns])
        rotations[:, index] = bone.axis @ extrinsic_rotation(axes, angles) @ bone.axis.T
        if bone.parent:
            offsets[:, index] = skeleton.bones[bone.parent].offset
            continue
        offsets[:, index] = skeleton.position
        for k, channel in enumerate(bone.channels):
            if channel in TRANSLATIONS:
                offsets[:, index, TRANSLATIONS[channel]] += channels[:, k]
    return SkeletonMotion(
        names=tuple(names),
        parents=tuple(names.index(b.parent) if b.parent else -1 for b in skeleton.bones.values()),
        offsets=offsets,
        rotations=rotations,
        fps=fps,
    )
