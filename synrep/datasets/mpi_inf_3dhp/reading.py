"""Read MPI-INF-3DHP from a folder: poses in camera frames, with their 2D annotations.

The keypoints of each row are `annot2`, the 2D input of published results; near the border of a
distorted image they differ slightly from a pinhole projection. The 3D poses are placed where they
project to these keypoints (see `synrep.datasets.mpi_inf_3dhp.cameras`), so that the 2D pose which
the critic gets with a real 3D pose is correct too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from synrep.datasets.mpi_inf_3dhp import archives, cameras, matlab
from synrep.datasets.mpi_inf_3dhp.layout import Layout, find_layout
from synrep.datasets.mpi_inf_3dhp.placing import PosePlacer
from synrep.datasets.mpi_inf_3dhp.published import CAMERAS, FPS, VALID_FRAMES, CameraSet
from synrep.datasets.options import Options
from synrep.datasets.store.header import SPLITS, Description, Intrinsics, Split
from synrep.datasets.store.poses import Poses
from synrep.errors import InputError
from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from synrep.datasets.mpi_inf_3dhp.recording import SequenceRead

LICENCE = "MPI-INF-3DHP: for research only, not for commercial use; see the data set's licence"
ACKNOWLEDGEMENT = (
    "Mehta et al., Monocular 3D Human Pose Estimation In The Wild Using Improved CNN Supervision, "
    "3DV 2017"
)


class MpiInf3dhpOptions(Options):
    """Options of the MPI-INF-3DHP reader."""

    poses: Literal["univ", "annot3"] = "univ"
    """`univ` reads `univ_annot3`, in which all people have the same height, as in the official
    evaluation; `annot3` keeps each person's size. Only millimetres differ, not normalised poses."""
    cameras: CameraSet = "chest-8"
    """Cameras of the training sequences to read."""
    validation: tuple[str, ...] = ("S8",)
    """Training subjects that are held out for validation (row 33)."""


@dataclass(frozen=True, kw_only=True)
class MpiInf3dhp:
    """The data set as read: everything that a pose store needs."""

    splits: dict[Split, Poses]
    """Poses of each split for which the folder has files."""
    cameras: dict[str, Intrinsics]
    """Intrinsics by camera name."""
    notes: list[str]
    """Notes for the user on the files."""

    def description(self, name: str, licence: str = LICENCE) -> Description:
        """Return the description of a pose store with these poses."""
        return Description(
            name=name,
            skeleton=HUMAN36M_17.name,
            frame="camera",
            up="-y",
            fps=FPS,
            licence=licence,
            acknowledgement=ACKNOWLEDGEMENT,
            cameras=self.cameras,
        )


def read_mpi_inf_3dhp(
    root: str | Path,
    options: MpiInf3dhpOptions,
    on_sequence: Callable[[str], None] = lambda _name: None,
) -> MpiInf3dhp:
    """Read MPI-INF-3DHP from a folder in either layout.

    Args:
        root: folder of the data set; sequences can be up to two levels below it.
        options: reader options.
        on_sequence: callback that receives the name of each sequence after it was read.

    Raises:
        InputError: the layout is unknown or mixed, a sequence, camera, variable or joint is
            missing, a shape or unit is wrong, or 2D and 3D don't belong together.
        DamagedError: a file can't be read.
    """
    layout = find_layout(root)
    placer = PosePlacer()
    parts: dict[Split, list[Poses]] = {}
    notes = [layout.described()]
    valid_frames: dict[str, int] = {}
    for sequence in _sequences(layout, options):
        split = _split(sequence.name, options)
        poses = [placer.add(recording) for recording in sequence.recordings]
        parts.setdefault(split, []).extend(poses)
        if split == "test":
            valid_frames[sequence.name] = sum(map(len, poses))
        notes += sequence.notes
        on_sequence(sequence.name)
    splits = {split: Poses.concatenate(parts[split]) for split in SPLITS if split in parts}
    _check_held_out(root, splits, options)
    notes += [*placer.notes(), *_test_notes(valid_frames)]
    notes += [f"no {split} split: no files for it" for split in SPLITS if split not in splits]
    return MpiInf3dhp(splits=splits, cameras=placer.intrinsics, notes=notes)


def _sequences(layout: Layout, options: MpiInf3dhpOptions) -> Iterator[SequenceRead]:
    """Yield all sequences of the files in a layout."""
    selected = CAMERAS[options.cameras]
    archive = layout.training_archive or layout.test_archive
    if archive and options.poses == "annot3":
        raise InputError(
            str(archive),
            "contains universal poses only",
            "use --poses univ, or the annotations of the data set",
        )
    kind = "univ_annot3" if options.poses == "univ" else "annot3"
    for name, path in layout.training.items():
        file = path.with_name("camera.calibration")
        calibration = cameras.read_calibration(file) if file.is_file() else {}
        yield matlab.training_sequence(path, name, selected, kind, calibration)
    for name, path in layout.test.items():
        yield matlab.test_sequence(path, name, kind)
    if layout.training_archive:
        yield from archives.training_sequences(layout.training_archive, selected)
    if layout.test_archive:
        yield from archives.test_sequences(layout.test_archive)


def _split(name: str, options: MpiInf3dhpOptions) -> Split:
    """Return the split of a sequence."""
    if name in VALID_FRAMES:
        return "test"
    subject, _ = name.split("/")
    return "validation" if subject in options.validation else "train"


def _check_held_out(
    root: str | Path, splits: dict[Split, Poses], options: MpiInf3dhpOptions
) -> None:
    """Check that the held-out subjects exist and that others remain to train on.

    A folder with only the test set passes.
    """
    training = [split for split in splits if split != "test"]
    subjects = sorted({name for split in training for name in splits[split].subject.tolist()})
    missing = sorted(set(options.validation) - set(subjects))
    if subjects and missing:
        raise InputError(
            "--validation",
            f"no training subject {missing[0]!r} in {root}",
            "there are " + ", ".join(subjects),
        )
    if subjects and "train" not in splits:
        raise InputError(
            "--validation",
            f"{', '.join(subjects)} held out, and nobody is left to train on",
            "hold out fewer, or add training subjects",
        )


def _test_notes(valid: dict[str, int]) -> list[str]:
    """Return notes that compare the valid frames of the test set with the published numbers."""
    if not valid:
        return []
    published = sum(VALID_FRAMES.values())
    wrong = [
        f"{name} {valid.get(name, 0)} instead of {count}"
        for name, count in VALID_FRAMES.items()
        if valid.get(name, 0) != count
    ]
    if not wrong:
        return [f"{published} valid test frames, as published"]
    return [f"{sum(valid.values())} valid test frames, not {published}: {', '.join(wrong)}"]
