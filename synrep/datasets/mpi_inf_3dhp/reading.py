"""MPI-INF-3DHP from a user's folder: poses in camera frames, with their 2D annotations.

Each row keeps `annot2` as its keypoints: it is the 2D pose that published results start from, and
near the edge of an image with distortion it is not exactly what a pinhole camera gives. The 3D
poses stand where they project to those keypoints (see `synrep.datasets.mpi_inf_3dhp.cameras`), so
the 2D pose that a critic sees with a real 3D pose is right too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from synrep.datasets.mpi_inf_3dhp import archives, cameras, matlab
from synrep.datasets.mpi_inf_3dhp.layout import Layout, find_layout
from synrep.datasets.mpi_inf_3dhp.placing import Placing
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
    """How to read MPI-INF-3DHP."""

    poses: Literal["univ", "annot3"] = "univ"
    """`univ_annot3`, everybody at one height, as the official scores use it; or `annot3`, each
    person's own size. Normalised poses are equal; millimetres differ."""
    cameras: CameraSet = "chest-8"
    """Which cameras of the training sequences."""
    validation: tuple[str, ...] = ("S8",)
    """Training subjects that are held out (row 33)."""


@dataclass(frozen=True, kw_only=True)
class MpiInf3dhp:
    """What was read: everything that a pose store needs."""

    splits: dict[Split, Poses]
    """Train without the held-out subjects, validation with them, test; those that there are."""
    cameras: dict[str, Intrinsics]
    """Intrinsics by camera."""
    notes: list[str]
    """What a user should know about the files."""

    def description(self, name: str, licence: str = LICENCE) -> Description:
        """The header of a store with these poses."""
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
    """Poses of a folder with MPI-INF-3DHP, in whatever layout it has.

    Args:
        root: the folder; the sequences may lie up to two folders below it.
        options: how to read.
        on_sequence: called with the name of each sequence that is done.

    Raises:
        InputError: the layout is unknown or mixed, a sequence, camera, variable or joint is
            missing, a shape or unit is wrong, or 2D and 3D don't belong together.
        DamagedError: a file can't be read.
    """
    layout = find_layout(root)
    placing = Placing()
    parts: dict[Split, list[Poses]] = {}
    notes = [layout.described()]
    valid: dict[str, int] = {}
    for sequence in _sequences(layout, options):
        split = _split(sequence.name, options)
        made = [placing.add(recording) for recording in sequence.recordings]
        parts.setdefault(split, []).extend(made)
        if split == "test":
            valid[sequence.name] = sum(map(len, made))
        notes += sequence.notes
        on_sequence(sequence.name)
    splits = {split: Poses.concatenate(parts[split]) for split in SPLITS if split in parts}
    _check_held_out(root, splits, options)
    notes += [*placing.notes(), *_about_test(valid)]
    notes += [f"no {split} split: nothing for it here" for split in SPLITS if split not in splits]
    return MpiInf3dhp(splits=splits, cameras=placing.intrinsics, notes=notes)


def _sequences(layout: Layout, options: MpiInf3dhpOptions) -> Iterator[SequenceRead]:
    wanted = CAMERAS[options.cameras]
    archive = layout.training_archive or layout.test_archive
    if archive and options.poses == "annot3":
        raise InputError(
            str(archive),
            "has universal poses only",
            "use --poses univ, or the annotations of the data set",
        )
    kind = "univ_annot3" if options.poses == "univ" else "annot3"
    for name, path in layout.training.items():
        file = path.with_name("camera.calibration")
        calibration = cameras.read_calibration(file) if file.is_file() else {}
        yield matlab.training_sequence(path, name, wanted, kind, calibration)
    for name, path in layout.test.items():
        yield matlab.test_sequence(path, name, kind)
    if layout.training_archive:
        yield from archives.training_sequences(layout.training_archive, wanted)
    if layout.test_archive:
        yield from archives.test_sequences(layout.test_archive)


def _split(name: str, options: MpiInf3dhpOptions) -> Split:
    if name in VALID_FRAMES:
        return "test"
    subject, _ = name.split("/")
    return "validation" if subject in options.validation else "train"


def _check_held_out(
    root: str | Path, splits: dict[Split, Poses], options: MpiInf3dhpOptions
) -> None:
    """The held-out subjects are there, and others too; a folder with the test alone is fine."""
    training = [split for split in splits if split != "test"]
    have = sorted({name for split in training for name in splits[split].subject.tolist()})
    missing = sorted(set(options.validation) - set(have))
    if have and missing:
        raise InputError(
            "--validation",
            f"no training subject {missing[0]!r} in {root}",
            "there are " + ", ".join(have),
        )
    if have and "train" not in splits:
        raise InputError(
            "--validation",
            f"{', '.join(have)} held out, and nobody is left to train on",
            "hold out fewer, or add training subjects",
        )


def _about_test(valid: dict[str, int]) -> list[str]:
    """Valid frames of the test, beside the published numbers."""
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
