"""Find the files of MPI-INF-3DHP in a folder: the data set's own or P-STMO's archives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synrep.datasets.mpi_inf_3dhp.published import FRAMES, VALID_FRAMES
from synrep.errors import InputError

ARCHIVES = ("data_train_3dhp.npz", "data_test_3dhp.npz")
"""Names of P-STMO's archives of the training and the test set."""
DEPTHS = ("", "*/", "*/*/")
"""Glob patterns of the subfolders to search; deeper ones contain only images."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Files of the data set: either its own (the first two fields) or archives (the last two)."""

    training: dict[str, Path]
    """Path of annot.mat by training sequence, such as "S1/Seq1"."""
    test: dict[str, Path]
    """Path of annot_data.mat by test sequence, such as "TS1"."""
    training_archive: Path | None
    """Path of data_train_3dhp.npz."""
    test_archive: Path | None
    """Path of data_test_3dhp.npz."""

    def described(self) -> str:
        """Return a description of the layout for the user."""
        if names := [path.name for path in (self.training_archive, self.test_archive) if path]:
            return f"P-STMO's {' and '.join(names)}"
        counts = f"{len(self.training)} training and {len(self.test)} test sequences"
        return f"the data set's own files: {counts}"


def find_layout(root: str | Path) -> Layout:
    """Find the files of the data set in a folder.

    Raises:
        InputError: the folder does not exist, or contains no files of the data set, a file twice,
            or both layouts.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise InputError(str(folder), "there is no such folder", "give the folder of the data set")
    training = {name: _only(folder, f"{name}/annot.mat") for name in FRAMES}
    test = {name: _only(folder, f"{name}/annot_data.mat") for name in VALID_FRAMES}
    archives = [_only(folder, name) for name in ARCHIVES]
    layout = Layout(
        training={name: path for name, path in training.items() if path},
        test={name: path for name, path in test.items() if path},
        training_archive=archives[0],
        test_archive=archives[1],
    )
    published = layout.training or layout.test
    if published and any(archives):
        raise InputError(
            str(folder),
            f"contains both {next(iter(published.values()))} and {next(filter(None, archives))}",
            "give a folder with one of them",
        )
    if not published and not any(archives):
        raise InputError(
            str(folder),
            "contains no files of MPI-INF-3DHP",
            "it must contain S1/Seq1/annot.mat and so on, TS1/annot_data.mat and so on, or "
            + " and ".join(ARCHIVES),
        )
    return layout


def _only(folder: Path, name: str) -> Path | None:
    """Return the only file of that name in the folder or up to two folders below, if any."""
    paths = [path for depth in DEPTHS for path in sorted(folder.glob(depth + name))]
    if len(paths) > 1:
        raise InputError(
            str(folder),
            f"contains both {paths[0]} and {paths[1]}",
            "give the folder of one of them",
        )
    return paths[0] if paths else None
