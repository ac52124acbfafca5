"""Convert recordings in world coordinates to poses in each camera's frame, split by subject.

Axes: T frames of a recording.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from synrep.datasets.human36m.cameras import require_camera
from synrep.datasets.human36m.plausible import ConsistencyCheck, check_size
from synrep.datasets.human36m.protocol import (
    CAMERAS,
    DAMAGED,
    FPS,
    SPLIT_SUBJECTS,
    SUBJECTS,
    action_of,
    split_of,
)
from synrep.datasets.store.header import SPLITS
from synrep.datasets.store.poses import Poses
from synrep.errors import DamagedError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from synrep.datasets.human36m.cameras import Cameras
    from synrep.datasets.human36m.detections import Detections
    from synrep.datasets.human36m.layouts import PoseRecording
    from synrep.datasets.human36m.options import Human36MOptions
    from synrep.datasets.store.header import Split

SHOWN = 4
"""Number of recordings that a note lists; the others are counted."""

NO_KEYPOINTS = "no keypoints, left out: "


@dataclass
class _Part:
    """Accumulated data of one split; arrays in the order of `labels`."""

    joints_mm: list[NDArray[np.float32]] = field(default_factory=list)
    keypoints_px: list[NDArray[np.float32]] = field(default_factory=list)
    labels: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Subject, action, clip and camera of each array."""

    def poses(self) -> Poses:
        """Concatenate the poses of the split, and clear the lists to free their memory."""
        counts = [len(part) for part in self.joints_mm]
        columns = [np.repeat(np.array(values), counts) for values in zip(*self.labels, strict=True)]
        subject, action, clip, camera = columns
        return Poses(
            joints_mm=_joined(self.joints_mm),
            subject=subject,
            action=action,
            clip=clip,
            camera=camera,
            frame=np.concatenate([np.arange(count, dtype=np.int32) for count in counts]),
            fps=FPS,
            keypoints_px=_joined(self.keypoints_px) if self.keypoints_px else None,
        )


def _joined(parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Concatenate arrays and clear the list."""
    joined = np.concatenate(parts)
    parts.clear()
    return joined


@dataclass(kw_only=True)
class Assembly:
    """Collects recordings one by one and converts them to the poses of all splits.

    Attributes:
        place: name of the source, for messages.
        unit: unit of the source, for messages.
        cameras: cameras of every subject.
        detections: keypoints to store, if any.
        options: reader options.
        projected: keypoints projected by another program to compare with, if any.
        notes: notes for the user; complete after `run`.
    """

    place: str
    unit: str
    cameras: Cameras
    detections: Detections | None
    options: Human36MOptions
    projected: Detections | None = None
    notes: list[str] = field(default_factory=list)
    _parts: defaultdict[Split, _Part] = field(default_factory=lambda: defaultdict(_Part))
    _missing: list[str] = field(default_factory=list)
    _cut: list[int] = field(default_factory=list)
    _dropped: list[str] = field(default_factory=list)

    def run(self, recordings: Iterable[PoseRecording]) -> dict[Split, Poses]:
        """Convert all recordings to the poses of every split.

        Raises:
            InputError: a camera or all poses of a split are missing.
            DamagedError: poses, cameras and keypoints are inconsistent, or keypoints are missing.
        """
        consistency = ConsistencyCheck(self.place)
        for recording in recordings:
            if self.options.test_only and recording.subject not in SPLIT_SUBJECTS["test"]:
                continue
            if self.options.drop_damaged and (recording.subject, recording.name) in DAMAGED:
                self._dropped.append(f"{recording.subject} {recording.name}")
                continue
            check_size(recording.joints_mm, self.unit, recording.place)
            consistency.add_world(recording.subject, recording.joints_mm)
            self._add(recording, consistency)
        consistency.check(self._keypoints_place)
        self._note()
        splits = {name: part.poses() for name, part in self._parts.items() if part.labels}
        return complete(splits, self.options, self.notes, self.place)

    def _add(self, recording: PoseRecording, consistency: ConsistencyCheck) -> None:
        split = split_of(recording.subject, train_on_s8=self.options.train_on_s8)
        for name in CAMERAS:
            camera = require_camera(self.cameras, recording.subject, name, self.place)
            clip = clip_name(recording.subject, recording.name, name)
            joints = camera.to_camera(recording.joints_mm)
            detected = self._keypoints(self.detections, recording, name)
            if self.detections and detected is None:
                self._missing.append(clip)
                continue
            if detected is not None:
                self._parts[split].keypoints_px.append(detected)
            projected = self._keypoints(self.projected, recording, name)
            key = recording.subject, name
            consistency.add_view(key, camera, joints, detected, projected)
            self._parts[split].joints_mm.append(joints.astype(np.float32))
            self._parts[split].labels.append(
                (recording.subject, action_of(recording.name), clip, name)
            )

    def _keypoints(
        self, source: Detections | None, recording: PoseRecording, camera: str
    ) -> NDArray[np.float32] | None:
        """Return the keypoints, truncated to the length of the poses; videos can be longer."""
        points = source.of(recording.subject, recording.name, camera) if source else None
        if points is None:
            return None
        count = len(recording.joints_mm)
        place = f"{self._keypoints_place}, {recording.subject} {recording.name}, camera {camera}"
        if len(points) < count:
            raise DamagedError(
                place,
                f"{len(points)} frames of keypoints for {count} poses",
                "get the file again",
            )
        if len(points) > count:
            self._cut.append(len(points) - count)
        if not np.isfinite(points[:count]).all():
            raise DamagedError(place, "a keypoint is not a number", "get the file again")
        return points[:count]

    @property
    def _keypoints_place(self) -> str:
        source = self.detections or self.projected
        return source.place if source else ""

    def _note(self) -> None:
        if self._cut:
            self.notes.append(
                f"{len(self._cut)} recordings have up to {max(self._cut)} more frames of keypoints "
                "than poses: cut to the poses' length"
            )
        if self._missing:
            self.notes.append(NO_KEYPOINTS + _listed(self._missing))
        if self._dropped:
            self.notes.append("damaged, left out: " + _listed(self._dropped))


def clip_name(subject: str, recording: str, camera: str) -> str:
    """Return the name of a recording by one camera, in the form of the official video files."""
    return f"{subject}/{recording}.{camera}"


def _listed(names: list[str]) -> str:
    """Join names, listing at most `SHOWN`."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def complete(
    splits: Mapping[Split, Poses], options: Human36MOptions, notes: list[str], place: str
) -> dict[Split, Poses]:
    """Check that no split is missing and return the splits in order; note missing subjects.

    Notes on what was left out go into the error, because they can explain it.

    Raises:
        InputError: a split has no poses.
    """
    present = {name for poses in splits.values() for name in np.unique(poses.subject).tolist()}
    wanted = SPLIT_SUBJECTS["test"] if options.test_only else SUBJECTS
    left_out = [note for note in notes if "left out" in note]
    if missing := [subject for subject in wanted if subject not in present]:
        notes.append("no poses of " + ", ".join(missing))
    required = {split_of(subject, train_on_s8=options.train_on_s8) for subject in wanted}
    for split in SPLITS:
        if split in required and split not in splits:
            raise InputError(
                place,
                f"no poses of {' or '.join(SPLIT_SUBJECTS[split])} for the split {split}"
                + "".join(f"; {note}" for note in left_out),
                _remedy(left_out, test="test" in splits),
            )
    if options.test_only:
        notes.append("only S9 and S11: for evaluation, there is nothing to train on")
        return {"test": splits["test"]}
    if options.train_on_s8:
        notes.append("S8 is in training: there is no validation split")
    return {split: splits[split] for split in SPLITS if split in splits}


def _remedy(left_out: list[str], *, test: bool) -> str:
    """What to do about a split without poses."""
    remedy = "add that subject's files"
    if any(note.startswith(NO_KEYPOINTS) for note in left_out):
        remedy = "add their keypoints, or use --keypoints gt"
    return remedy + (", or --test-only for a store to evaluate on" if test else "")
