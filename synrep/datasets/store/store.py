"""Pose stores: folders of poses with a header, validated when read and written atomically.

A store is immutable; its fingerprint identifies its content.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from synrep.datasets.store import checks, clip_checks, published_counts
from synrep.datasets.store.checks import Check
from synrep.datasets.store.header import (
    HEADER_FILE,
    SPLITS,
    Description,
    Split,
    StoreHeader,
    read_header,
)
from synrep.datasets.store.poses import Poses
from synrep.datasets.store.table import LABELS, columns, from_table, to_table
from synrep.errors import DamagedError, InputError
from synrep.skeleton import Skeleton, skeleton_by_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Check", "Description", "PoseStore", "Poses", "StoreHeader", "write_store"]

MIN_ROW_BYTES = 100
"""Lower bound of the memory that a row takes."""
MAX_UNCHECKED_BYTES, MAX_COMPRESSION = 1 << 30, 1000
"""Memory that any file may take, and largest compression ratio of files that take more."""
_REMEDY = "restore the file from its source, or make the store again"


class PoseStore:
    """A pose store on disk.

    Opening a store reads only its header. Instances are read-only and can be used by several
    threads and processes at once.
    """

    def __init__(self, folder: Path, header: StoreHeader) -> None:
        self.folder = folder
        self.header = header

    @classmethod
    def open(cls, folder: str | Path) -> PoseStore:
        """Open a store, validate its header and check that its files exist.

        Raises:
            InputError: the folder or a file does not exist, or the folder is not a pose store of a
                known format.
            DamagedError: the header can't be read or is inconsistent.
        """
        store = cls(Path(folder), read_header(Path(folder)))
        for split in store.splits:
            if not store.path(split).is_file():
                raise InputError(
                    str(folder),
                    f"{HEADER_FILE} names the split {split!r} but there is no "
                    f"{store.path(split).name}",
                    _REMEDY,
                )
        return store

    @property
    def splits(self) -> tuple[Split, ...]:
        """Splits of this store, in the order train, validation, test."""
        return tuple(split for split in SPLITS if split in self.header.splits)

    @property
    def skeleton(self) -> Skeleton:
        """Skeleton of the poses, which gives the names and order of the joints."""
        return skeleton_by_name(self.header.skeleton)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the checksums of all splits; equal for equal files."""
        lines = "".join(f"{split} {self.header.sha256[split]}\n" for split in self.splits)
        return hashlib.sha256(lines.encode()).hexdigest()

    def path(self, split: Split) -> Path:
        """Return the path of a split's file."""
        return self.folder / f"{split}.parquet"

    def read(self, split: str) -> Poses:
        """Read the poses of a split and run the cheap checks.

        The arrays are read-only views of the table's memory.

        Raises:
            InputError: the store has no such split.
            DamagedError: the file does not match the header (checksum, columns, rows), a joint is
                not a number, or the unit or up axis is not the declared one.
        """
        if split not in self.splits:
            remedy = "it has " + ", ".join(self.splits)
            if split == "validation":
                remedy += "; a search needs validation subjects to choose by"
            raise InputError(str(self.folder), f"no split {split!r}", remedy)
        poses = self._parse(split, self._content(split))
        for check in checks.run(checks.REQUIRED, poses, self.header, self._place(split)):
            if check.status == "failed":
                raise DamagedError(check.place, check.detail, check.remedy)
        return poses

    def subjects(self, split: Split) -> set[str]:
        """Return the subjects of a split.

        Raises:
            DamagedError: the file does not match the header.
        """
        return set(self._parse(split, self._content(split)).subject.tolist())

    def listed_subjects(self, split: Split) -> list[str]:
        """Return the subjects of a split, sorted, from that column alone.

        Unlike `subjects`, this neither verifies the file nor reads its poses.

        Raises:
            DamagedError: the file can't be read.
        """
        try:
            column = pq.read_table(self.path(split), columns=["subject"]).column("subject")
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            raise DamagedError(self._place(split), f"can't be read: {error}", _REMEDY) from None
        return sorted(map(str, column.unique().to_pylist()))

    def checks(self) -> Iterator[Check]:
        """Run all checks and yield their outcomes; reads the whole store.

        A failed check is yielded, not raised. The order is checksum, columns, joints and anatomy
        of each split, then disjoint splits, then published counts.
        """
        splits: dict[Split, Poses] = {}
        for split in self.splits:
            place = self._place(split)
            step = "checksum"
            try:
                content = self._content(split)
                yield _passed(place, step, f"SHA-256 {self.header.sha256[split][:12]}...")
                step = "columns"
                splits[split] = self._parse(split, content)
                yield _passed(place, step, f"{len(splits[split])} poses")
            except InputError as error:
                yield Check(
                    place=place,
                    name=step,
                    status="failed",
                    detail=error.rule,
                    remedy=error.remedy,
                )
                continue
            yield from _anatomy(splits[split], self.header, place)
        yield from checks.shared(splits, str(self.folder))
        yield from published_counts.compare(splits, self.header, str(self.folder))

    def verify(self) -> list[Check]:
        """Run all checks and raise if one fails.

        Returns:
            The outcomes, which can include warnings.

        Raises:
            DamagedError: a check failed; the message describes the first one.
        """
        outcomes = []
        for check in self.checks():
            if check.status == "failed":
                raise DamagedError(check.place, f"{check.name}: {check.detail}", check.remedy)
            outcomes.append(check)
        return outcomes

    def _place(self, split: str) -> str:
        return str(self.folder / f"{split}.parquet")

    def _content(self, split: Split) -> bytes:
        """Read a split's file and verify its checksum.

        The file is read once, so that the bytes that are parsed are the bytes that were hashed.
        """
        try:
            content = self.path(split).read_bytes()
        except OSError as error:
            raise DamagedError(
                self._place(split), f"can't be read: {error.strerror}", _REMEDY
            ) from None
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.header.sha256[split]:
            raise DamagedError(
                self._place(split),
                f"SHA-256 is {digest[:12]}..., {HEADER_FILE} says "
                f"{self.header.sha256[split][:12]}...: the file was altered or cut off",
                _REMEDY,
            )
        return content

    def _parse(self, split: Split, content: bytes) -> Poses:
        place = self._place(split)
        try:
            rows = pq.read_metadata(pa.BufferReader(content)).num_rows
            if rows != self.header.splits[split]:
                rule = f"{rows} rows, {HEADER_FILE} says {self.header.splits[split]}"
                raise DamagedError(place, rule, _REMEDY)
            if rows * MIN_ROW_BYTES > max(MAX_UNCHECKED_BYTES, MAX_COMPRESSION * len(content)):
                rule = f"it declares {rows} rows, which {len(content)} bytes can't contain"
                raise DamagedError(place, rule, _REMEDY)
            table = pq.read_table(pa.BufferReader(content), read_dictionary=list(LABELS))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DamagedError(place, f"not readable as Parquet: {error}", _REMEDY) from None
        return from_table(table, self.header, place)


def _passed(place: str, name: str, detail: str) -> Check:
    return Check(place=place, name=name, status="passed", detail=detail)


def _anatomy(poses: Poses, about: Description, place: str) -> Iterator[Check]:
    """Run the checks of the poses; those of the anatomy only if the required ones passed."""
    for check in checks.run(checks.REQUIRED, poses, about, place):
        yield check
        if check.status == "failed":
            return
    yield from checks.run(checks.THOROUGH | clip_checks.CHECKS, poses, about, place)


def write_store(folder: str | Path, about: Description, splits: Mapping[Split, Poses]) -> PoseStore:
    """Write a pose store atomically: to a temporary folder, which is renamed when complete.

    Args:
        folder: folder of the new store; must not exist.
        about: metadata for the header.
        splits: poses of each split.

    Raises:
        InputError: the folder exists, or the poses fail a check.
    """
    target = Path(folder)
    if target.exists():
        raise InputError(str(target), "exists already", "name a new folder or delete this one")
    for check in _before_writing(about, splits):
        if check.status == "failed":
            raise InputError(check.place, f"{check.name}: {check.detail}", check.remedy)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    temporary.mkdir()
    try:
        header = _write_files(temporary, about, splits)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return PoseStore(target, header)


def _before_writing(about: Description, splits: Mapping[Split, Poses]) -> Iterator[Check]:
    for split, poses in splits.items():
        if fault := _mismatch(about, poses):
            raise InputError(f"split {split}", fault)
        yield from _anatomy(poses, about, f"split {split}")
    yield from checks.shared(splits, about.name)


def _mismatch(about: Description, poses: Poses) -> str:
    """Return how the poses contradict their description, or an empty string."""
    joints = len(skeleton_by_name(about.skeleton))
    if not len(poses):
        return "no poses"
    if poses.joints_mm.shape[1] != joints:
        return f"{poses.joints_mm.shape[1]} joints, {about.skeleton} has {joints}"
    if abs(poses.fps - about.fps) > 1e-6 * about.fps:
        return f"{poses.fps:g} frames per second, the description says {about.fps:g}"
    if about.frame == "camera" and poses.camera is None:
        return "poses in a camera frame need the name of the camera"
    return ""


def _write_files(folder: Path, about: Description, splits: Mapping[Split, Poses]) -> StoreHeader:
    sums = {}
    for split, poses in splits.items():
        sink = io.BytesIO()
        pq.write_table(to_table(poses, about), sink, compression="zstd")
        (folder / f"{split}.parquet").write_bytes(sink.getvalue())
        sums[split] = hashlib.sha256(sink.getvalue()).hexdigest()
    any_split = next(iter(splits.values()))
    header = StoreHeader(
        **about.model_dump(),
        columns=columns(
            about,
            camera=any_split.camera is not None,
            keypoints=any_split.keypoints_px is not None,
        ),
        splits={split: len(poses) for split, poses in splits.items()},
        sha256=sums,
    )
    # Versions before notes refuse the field; without notes they read new stores.
    without = None if header.notes else {"notes"}
    text = header.model_dump_json(indent=1, exclude=without)
    (folder / HEADER_FILE).write_text(text + "\n", "utf-8")
    return header
