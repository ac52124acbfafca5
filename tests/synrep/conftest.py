"""A standing person drawn by hand, and stores written without the code under test."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synrep.datasets.store.store import Description, Poses

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

# Facing +x, left is +y, up is +z; knees slightly bent so that they point forward.
PERSON = [
    ("Hip", 0, 0, 900), ("RHip", 0, -110, 900), ("RKnee", 90, -110, 480), ("RFoot", 0, -110, 75),
    ("LHip", 0, 110, 900), ("LKnee", 90, 110, 480), ("LFoot", 0, 110, 75),
    ("Spine", 0, 0, 1140), ("Thorax", 10, 0, 1400), ("Nose", 80, 0, 1490), ("Head", 20, 0, 1600),
    ("LShoulder", 0, 170, 1380), ("LElbow", -20, 200, 1100), ("LWrist", 60, 200, 870),
    ("RShoulder", 0, -170, 1380), ("RElbow", -20, -200, 1100), ("RWrist", 60, -200, 870),
]  # fmt: skip

ABOUT: dict[str, Any] = {
    "name": "hand-made",
    "skeleton": "human36m-17",
    "fps": 25.0,
    "licence": "CC0-1.0",
}


@pytest.fixture
def person() -> NDArray[np.float32]:
    """(17, 3) joints of one standing person in millimetres."""
    return np.array([row[1:] for row in PERSON], np.float32)


@pytest.fixture
def about() -> Description:
    """A description that fits `make_poses`."""
    return Description(**ABOUT)


@pytest.fixture
def make_poses(person: NDArray[np.float32]) -> Callable[..., Poses]:
    """Function: (subject, count) -> poses of that subject walking stiffly along x."""

    def make(subject: str, count: int = 12) -> Poses:
        steps = np.arange(count, dtype=np.float32)
        joints = np.repeat(person[None], count, axis=0)
        joints[:, :, 0] += 20 * steps[:, None]
        return Poses(
            joints_mm=joints,
            subject=np.full(count, subject),
            action=np.where(steps < count // 2, "stand", "slide"),
            clip=np.full(count, f"{subject}_1"),
            frame=np.arange(count, dtype=np.int32),
            fps=25.0,
        )

    return make


def split_table(joints: NDArray[np.float32], subject: str, columns: dict[str, Any]) -> pa.Table:
    """A split of a store, with some columns replaced or, if None, left out."""
    count = len(joints)
    flat = pa.array(joints.astype(np.float32).reshape(-1))
    content = {
        "subject": pa.array([subject] * count),
        "action": pa.array(["stand"] * count),
        "clip": pa.array([f"{subject}_1"] * count),
        "frame": pa.array(range(count), pa.int32()),
        "fps": pa.array([25.0] * count, pa.float32()),
        "joints_world_mm": pa.FixedSizeListArray.from_arrays(flat, joints[0].size),
    }
    content |= columns
    return pa.table({name: value for name, value in content.items() if value is not None})


@pytest.fixture
def raw_store(tmp_path: Path, person: NDArray[np.float32]) -> Callable[..., Path]:
    """Function that writes a store with pyarrow and json alone, with any fault wanted.

    Args of the function: `header` replaces header fields (None removes one), `columns` replaces
    columns of the train split, `joints` (N, J, 3) its joints, `subject` its subject.
    """

    def write(
        header: dict[str, Any] | None = None,
        columns: dict[str, Any] | None = None,
        joints: NDArray[np.float32] | None = None,
        subject: str = "anna",
    ) -> Path:
        folder = tmp_path / "store"
        folder.mkdir()
        standing = np.repeat(person[None], 12, axis=0)
        tables = {
            "train": split_table(standing if joints is None else joints, subject, columns or {}),
            "validation": split_table(standing, "bert", {}),
            "test": split_table(standing, "cleo", {}),
        }
        sums = {}
        for split, content in tables.items():
            pq.write_table(content, folder / f"{split}.parquet")
            sums[split] = hashlib.sha256((folder / f"{split}.parquet").read_bytes()).hexdigest()
        fields: dict[str, Any] = {
            "format": "synrep-poses/1",
            "units": "mm",
            "frame": "world",
            "up": "+z",
            "columns": dict.fromkeys(tables["test"].column_names, ""),
            "splits": {split: content.num_rows for split, content in tables.items()},
            "sha256": sums,
            "split_by": "subject",
        }
        fields |= ABOUT | (header or {})
        kept = {name: value for name, value in fields.items() if value is not None}
        (folder / "store.json").write_text(json.dumps(kept))
        return folder

    return write
