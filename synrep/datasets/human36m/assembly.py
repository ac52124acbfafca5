"""From recordings in the room to poses before each camera, split by subject.

Axes: T frames of a recording.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from synrep.datasets.human36m.cameras import require_camera
from synrep.datasets.human36m.plausible import Evidence, check_size
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
"""Recordings that a note names one by one."""


@dataclass
class _Part:
    """What belongs to one split so far; arrays in the order of `labels`."""

    joints_mm: list[NDArray[np.float32]] = field(default_factory=list)
    keypoints_px: list[NDArray[np.float32]] = field(default_factory=list)
    labels: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Subject, action, clip and camera."""

    def poses(self) -> Poses:
        """All poses of the split; empties the lists, so that no second copy stays."""
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
    joined = np.concatenate(parts)
    parts.clear()
    return joined


@dataclass(kw_only=True)
class Assembly:
    """Takes recordings one by one and ends with the poses of all splits.

    Attributes:
        place: the files, for messages.
        unit: of the files, for messages.
        cameras: of every subject.
        detections: keypoints to store, if any.
        projected: keypoints of another program to compare with, if any.
        options: how to read.
        notes: what a user should know; complete after `run`.
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
        """The poses of every split.

        Raises:
            InputError: a camera or all poses of a split are missing.
            DamagedError: poses, cameras and keypoints don't fit, or keypoints are too few.
        """
        evidence = Evidence(self.place)
        for recording in recordings:
            if self.options.drop_damaged and (recording.subject, recording.name) in DAMAGED:
                self._dropped.append(f"{recording.subject} {recording.name}")
                continue
            check_size(recording.joints_mm, self.unit, recording.place)
            evidence.world(recording.subject, recording.joints_mm)
            self._add(recording, evidence)
        evidence.judge(self._keypoints_place)
        self._note()
        splits = {name: part.poses() for name, part in self._parts.items() if part.labels}
        return complete(splits, self.options, self.notes, self.place)

    def _add(self, recording: PoseRecording, evidence: Evidence) -> None:
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
            evidence.view((recording.subject, name), camera, joints, detected, projected)
            self._parts[split].joints_mm.append(joints.astype(np.float32))
            self._parts[split].labels.append(
                (recording.subject, action_of(recording.name), clip, name)
            )

    def _keypoints(
        self, source: Detections | None, recording: PoseRecording, camera: str
    ) -> NDArray[np.float32] | None:
        """Keypoints cut to the length of the motion capture; videos may be longer."""
        found = source.of(recording.subject, recording.name, camera) if source else None
        if found is None:
            return None
        count = len(recording.joints_mm)
        place = f"{self._keypoints_place}, {recording.subject} {recording.name}, camera {camera}"
        if len(found) < count:
            raise DamagedError(
                place,
                f"{len(found)} frames of keypoints for {count} poses",
                "get the file again",
            )
        if len(found) > count:
            self._cut.append(len(found) - count)
        if not np.isfinite(found[:count]).all():
            raise DamagedError(place, "a keypoint is not a number", "get the file again")
        return found[:count]

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
            self.notes.append("no keypoints, left out: " + _some(self._missing))
        if self._dropped:
            self.notes.append("damaged, left out: " + _some(self._dropped))


def clip_name(subject: str, recording: str, camera: str) -> str:
    """The name of a recording before one camera, as the official video files have it."""
    return f"{subject}/{recording}.{camera}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def complete(
    splits: Mapping[Split, Poses], options: Human36MOptions, notes: list[str], place: str
) -> dict[Split, Poses]:
    """Splits in their order; missing subjects are noted.

    Raises:
        InputError: a split has no poses.
    """
    have = {name for poses in splits.values() for name in np.unique(poses.subject).tolist()}
    if lost := [subject for subject in SUBJECTS if subject not in have]:
        notes.append("no poses of " + ", ".join(lost))
    wanted = {split_of(subject, train_on_s8=options.train_on_s8) for subject in SUBJECTS}
    for split in SPLITS:
        if split in wanted and split not in splits:
            raise InputError(
                place,
                f"no poses of {' or '.join(SPLIT_SUBJECTS[split])} for the split {split}",
                "add that subject's files",
            )
    if options.train_on_s8:
        notes.append("S8 is in training: there is no validation split")
    return {split: splits[split] for split in SPLITS if split in splits}
