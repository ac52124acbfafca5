"""Which files of MPI-INF-3DHP a folder has: those of the data set, or the archives of P-STMO."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synrep.datasets.mpi_inf_3dhp.published import FRAMES, VALID_FRAMES
from synrep.errors import InputError

ARCHIVES = ("data_train_3dhp.npz", "data_test_3dhp.npz")
DEPTHS = ("", "*/", "*/*/")
"""Where the sequences may lie below the folder; deeper there are only images."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Files by sequence; both of the first two, or both of the last two, are empty."""

    training: dict[str, Path]
    """annot.mat of each training sequence, such as "S1/Seq1"."""
    test: dict[str, Path]
    """annot_data.mat of each test sequence, such as "TS1"."""
    training_archive: Path | None
    """data_train_3dhp.npz."""
    test_archive: Path | None
    """data_test_3dhp.npz."""

    def described(self) -> str:
        """The layout in words."""
        if found := [path.name for path in (self.training_archive, self.test_archive) if path]:
            return f"P-STMO's {' and '.join(found)}"
        counts = f"{len(self.training)} training and {len(self.test)} test sequences"
        return f"the data set's own files: {counts}"


def find_layout(root: str | Path) -> Layout:
    """The layout of a folder.

    Raises:
        InputError: no folder, nothing known in it, a sequence twice, or both layouts.
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
            f"holds both {next(iter(published.values()))} and {next(filter(None, archives))}",
            "give a folder with one of them",
        )
    if not published and not any(archives):
        raise InputError(
            str(folder),
            "nothing of MPI-INF-3DHP in it",
            "it must hold S1/Seq1/annot.mat and so on, TS1/annot_data.mat and so on, or "
            + " and ".join(ARCHIVES),
        )
    return layout


def _only(folder: Path, name: str) -> Path | None:
    """The one file of that name in the folder or up to two folders below."""
    found = [path for depth in DEPTHS for path in sorted(folder.glob(depth + name))]
    if len(found) > 1:
        raise InputError(
            str(folder), f"holds both {found[0]} and {found[1]}", "give the folder of one of them"
        )
    return found[0] if found else None
