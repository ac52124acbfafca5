"""One person of the several that a detector found in the frames of a video.

Axes: F frames, J joints.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synrep.errors import InputError, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

JUMP = 1.0
"""Farthest that a person moves between frames, in radii: more is another person."""
SHOWN = 5
"""Frames or names that a message lists one by one."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """One person in one frame, as a detector found them.

    Attributes:
        points: (J, 3) x, y and confidence.
        score: how sure the detector is; compared within a frame only.
        track: the same in all frames for the same person; None if the detector does not follow
            people.
    """

    points: NDArray[np.float64]
    score: float
    track: str | None = None

    @property
    def seen(self) -> NDArray[np.bool_]:
        """(J) Whether a joint was detected."""
        places = self.points[:, :2]
        return (
            np.isfinite(places).all(-1)
            & (places != 0).any(-1)
            & ~(self.points[:, 2] <= 0)  # a confidence that is not there is none
        )


def same_joints(people: Sequence[Sequence[Person]], places: Sequence[str], source: str) -> int:
    """The number of joints that all people have.

    Args:
        people: in each frame.
        places: of each frame, for messages.
        source: of all of them, for messages.

    Raises:
        InputError: nobody is in any frame, or people differ in their number of joints.
    """
    joints = 0
    for frame, place in zip(people, places, strict=True):
        for person in frame:
            joints = joints or len(person.points)
            if len(person.points) != joints:
                rule = f"{len(person.points)} joints, where other frames have {joints}"
                raise InputError(place, rule, "give the output of one detector")
    if not joints:
        frames = "this frame" if len(people) == 1 else "any frame"
        raise InputError(source, f"nobody was detected in {frames}", "leave it out")
    return joints


def follow(
    people: Sequence[Sequence[Person]],
    numbers: Sequence[int],
    wanted: str | None,
    place: str,
) -> NDArray[np.float64]:
    """One person over all frames, (F, J, 3); NaN in frames without them.

    By track where the detector follows people: the one in most frames. Otherwise the surest person
    of the first frame is followed, in each frame the nearest; where nobody is near, it is the
    surest again. Several people, and such jumps, are told.

    Args:
        people: in each frame, of the same joints.
        numbers: (F) of the frames.
        wanted: a track, or the position of a person in the first frame with so many, from 0.
        place: where they are from, for messages.

    Raises:
        InputError: nobody is the person that is wanted.
    """
    people = [[person for person in frame if person.seen.any()] for frame in people]
    joints = max((len(p.points) for frame in people for p in frame), default=0)
    if not joints:
        raise InputError(place, "nobody was detected in any frame", "leave it out")
    how = _by_track if _tracked(people) else _by_place
    chosen = how(people, numbers, wanted, place)
    empty = np.full((joints, 3), np.nan)
    return np.stack([empty if person is None else person.points for person in chosen])


def _tracked(people: Sequence[Sequence[Person]]) -> bool:
    """Whether people have tracks; an id of two people in a frame, such as 0 for all, is none."""
    tracks = [[p.track for p in frame if p.track is not None] for frame in people]
    return any(tracks) and all(len(set(frame)) == len(frame) for frame in tracks)


def _by_track(
    people: Sequence[Sequence[Person]], numbers: Sequence[int], wanted: str | None, place: str
) -> list[Person | None]:
    frames = Counter(
        track
        for frame in people
        for track in {person.track for person in frame if person.track is not None}
    )
    tracks = list(dict.fromkeys(p.track for frame in people for p in frame if p.track is not None))
    track = max(tracks, key=lambda name: (frames[name], -tracks.index(name)))
    if wanted is not None:
        track = _named(tracks, wanted, place)
    chosen = [
        max((p for p in frame if p.track == track), key=lambda p: p.score, default=None)
        for frame in people
    ]
    if len(tracks) > 1 or any(len(frame) > 1 for frame in people):
        shown = ", ".join(tracks[:SHOWN]) + (", ..." if len(tracks) > SHOWN else "")
        absent = [number for number, person in zip(numbers, chosen, strict=True) if person is None]
        tell(
            place,
            f"several people, tracks {shown}: {track} was taken, which is in {frames[track]} of "
            f"{len(people)} frames" + (f", not in {listed(absent)}" if absent else ""),
            "--person with another track",
        )
    return chosen


def _named(tracks: list[str], wanted: str, place: str) -> str:
    if wanted in tracks:
        return wanted
    numbered = all(track.lstrip("-").isdecimal() for track in tracks)
    if not numbered and wanted.isdecimal() and len(wanted) < SHOWN and int(wanted) < len(tracks):
        return tracks[int(wanted)]
    more = ", ..." if len(tracks) > 4 * SHOWN else ""
    raise InputError(
        "--person",
        f"{place} has no track {wanted!r}",
        "it has " + ", ".join(tracks[: 4 * SHOWN]) + more,
    )


def _by_place(
    people: Sequence[Sequence[Person]], numbers: Sequence[int], wanted: str | None, place: str
) -> list[Person | None]:
    start, index = _start(people, wanted)
    chosen: list[Person | None] = [None] * len(people)
    last = chosen[start] = people[start][index]
    jumps = []
    for rows in (range(start + 1, len(people)), range(start - 1, -1, -1)):
        last = people[start][index]
        for row in rows:
            if not people[row]:
                continue
            near = min(people[row], key=lambda person: _distance(last, person))
            if _distance(last, near) > JUMP:
                near = max(people[row], key=lambda person: person.score)
                jumps.append(numbers[row])
            last = chosen[row] = near
    _tell_choice(people, numbers, place, (start, index, sorted(jumps)))
    return chosen


def _start(people: Sequence[Sequence[Person]], wanted: str | None) -> tuple[int, int]:
    """The frame in which the person is found first, and their position in it."""
    if wanted is None:
        start = next(row for row, frame in enumerate(people) if frame)
        scores = [person.score for person in people[start]]
        return start, scores.index(max(scores))
    most = max(len(frame) for frame in people)
    if not wanted.isdecimal() or len(wanted) > SHOWN or int(wanted) >= most:
        rule = f"nobody is {wanted!r}: no frame has more than {most} people, and none has tracks"
        raise InputError("--person", rule, f"give 0 to {most - 1}, their order in the frame")
    index = int(wanted)
    return next(row for row, frame in enumerate(people) if len(frame) > index), index


def _tell_choice(
    people: Sequence[Sequence[Person]],
    numbers: Sequence[int],
    place: str,
    choice: tuple[int, int, list[int]],
) -> None:
    start, index, jumps = choice
    several = [n for n, frame in zip(numbers, people, strict=True) if len(frame) > 1]
    jumped = f"the choice jumped to somebody far away in {listed(jumps)}"
    if several:
        rule = (
            f"several people in {listed(several)}: number {index} of frame {numbers[start]} was "
            "followed" + (f"; {jumped}" if jumps else "")
        )
        tell(place, rule, "--person chooses another")
    elif jumps:
        tell(place, jumped, "check that all frames show one person")


def listed(frames: Sequence[int]) -> str:
    """Frames in words: 'frames 1, 2, 3 and 4 more'."""
    more = f" and {len(frames) - SHOWN} more" if len(frames) > SHOWN else ""
    word = "frame " if len(frames) == 1 else "frames "
    return word + ", ".join(map(str, frames[:SHOWN])) + more


def _distance(last: Person, person: Person) -> float:
    """How far apart two people are, in radii of both; a difference in size adds to it."""
    both = last.seen & person.seen
    a, b = _middle_and_radius(last), _middle_and_radius(person)
    if both.sum() < 3:
        moved = float(np.linalg.norm(a[0] - b[0]))
    else:
        lines = last.points[both, :2] - person.points[both, :2]
        moved = float(np.linalg.norm(lines, axis=-1).mean())
    small = 1e-9 + 1e-6 * float(np.abs(a[0]).max())
    radii = max(a[1], small), max(b[1], small)
    return moved / float(np.sqrt(radii[0] * radii[1])) + abs(float(np.log(radii[0] / radii[1])))


def _middle_and_radius(person: Person) -> tuple[NDArray[np.float64], float]:
    points = person.points[person.seen, :2]
    middle = points.mean(0)
    return middle, float(np.sqrt(((points - middle) ** 2).sum(-1).mean()))
