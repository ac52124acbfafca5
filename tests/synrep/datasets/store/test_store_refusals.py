"""Pose stores that are missing, damaged or not what their header says: one clear error each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from synrep.datasets import open_poses
from synrep.datasets.store.store import PoseStore
from synrep.errors import DamagedError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


def test_no_folder(tmp_path: Path) -> None:
    """The error for a missing folder names it and says how to make a store."""
    with pytest.raises(InputError, match=r"nowhere: there is no such folder .*data prepare"):
        open_poses(str(tmp_path / "nowhere"))


def test_folder_without_header(tmp_path: Path) -> None:
    """A folder that is no store says which file is missing."""
    with pytest.raises(InputError, match=r"it has no store\.json"):
        PoseStore.open(tmp_path)


def test_missing_split_file(raw_store: Callable[..., Path]) -> None:
    """A split without its file is found when the store is opened."""
    folder = raw_store()
    (folder / "test.parquet").unlink()
    with pytest.raises(InputError, match=r"no test\.parquet"):
        PoseStore.open(folder)


def test_unknown_split(raw_store: Callable[..., Path]) -> None:
    """Asking for a split that the store lacks lists those it has."""
    with pytest.raises(InputError, match=r"no split 'valid' \(it has train, validation, test\)"):
        PoseStore.open(raw_store()).read("valid")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable as JSON"),
        ("[]", "format is None"),
        (b"\xff\xfe", "not readable as JSON"),
    ],
)
def test_broken_header(raw_store: Callable[..., Path], text: str | bytes, message: str) -> None:
    """A header that is no JSON object is named with its file."""
    folder = raw_store()
    content = text if isinstance(text, bytes) else text.encode()
    (folder / "store.json").write_bytes(content)
    with pytest.raises(InputError, match=rf"store\.json: {message}"):
        PoseStore.open(folder)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"format": "synrep-poses/2"}, "format is 'synrep-poses/2'"),
        ({"units": "m"}, "units: Input should be 'mm'"),
        ({"up": "z"}, "up: Input should be"),
        ({"fps": 0}, "fps: Input should be greater than 0"),
        ({"skeleton": "smpl-24"}, "unknown skeleton 'smpl-24' .*human36m-17"),
        ({"licence": None}, "licence: Field required"),
        ({"splits": {}}, "`splits` is empty"),
        ({"splits": {"training": 12}}, r"splits\.training"),
        ({"sha256": {"train": "0" * 64}}, "no SHA-256 for the split test, validation"),
        ({"sha256": {"train": "short"}}, r"sha256\.train: String should match"),
        ({"frame": "camera"}, "no joints_camera_mm"),
        ({"colour": "red"}, "colour: unknown field"),
        ({"licens": "CC0"}, "licens: unknown field, did you mean licence"),
        ({"cameras": {"front": {"focal": 3}}}, r"cameras\.front\.focal_px: Field required"),
    ],
)
def test_header_rules(raw_store: Callable[..., Path], header: dict[str, Any], message: str) -> None:
    """Each broken rule of the header is an error that names file and field."""
    with pytest.raises(InputError, match=rf"store\.json: .*{message}"):
        PoseStore.open(raw_store(header))


def test_all_header_faults_come_at_once(raw_store: Callable[..., Path]) -> None:
    """A header with two faults is reported once with both."""
    with pytest.raises(DamagedError, match=r"fps: .*; units: "):
        PoseStore.open(raw_store({"units": "cm", "fps": "fast"}))


def test_altered_file_is_damaged(raw_store: Callable[..., Path]) -> None:
    """One changed byte is found by reading and by verifying, and the file is named."""
    folder = raw_store()
    path = folder / "train.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    store = PoseStore.open(folder)
    with pytest.raises(DamagedError, match=r"train\.parquet: SHA-256 is .* altered or cut off"):
        store.read("train")
    with pytest.raises(DamagedError, match=r"train\.parquet: checksum"):
        store.verify()
    assert [check.name for check in store.checks() if check.status == "failed"] == ["checksum"]
    assert len(store.read("test")) == 12


def test_file_that_is_no_parquet(raw_store: Callable[..., Path]) -> None:
    """A file with the right checksum that can't be parsed is a damaged file."""
    folder = raw_store()
    (folder / "train.parquet").write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    header = json.loads((folder / "store.json").read_text())
    header["sha256"]["train"] = empty
    (folder / "store.json").write_text(json.dumps(header))
    with pytest.raises(DamagedError, match=r"train\.parquet: not readable as Parquet"):
        PoseStore.open(folder).read("train")


def test_row_count_must_match(raw_store: Callable[..., Path]) -> None:
    """The header's counts are those of the files."""
    folder = raw_store({"splits": {"train": 13, "validation": 12, "test": 12}})
    with pytest.raises(DamagedError, match=r"train\.parquet: 12 rows, store\.json says 13"):
        PoseStore.open(folder).read("train")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"frame": None}, "no column frame"),
        ({"frame": pa.array(range(12), pa.int64())}, "column frame is int64 .*must be int32"),
        ({"subject": pa.array(range(12))}, "column subject is int64 .*must be string"),
        ({"action": pa.array(["a"] * 11 + [None])}, "column action has empty rows"),
        ({"fps": pa.array([50.0] * 12, pa.float32())}, "column fps holds 50 .*says 25"),
        (
            {"joints_world_mm": pa.array([[0.0] * 51] * 12)},
            "joints_world_mm is list.*must be fixed_size_list<float32>",
        ),
    ],
)
def test_column_rules(
    raw_store: Callable[..., Path], columns: dict[str, Any], message: str
) -> None:
    """A missing or wrong column is named, with what it must be."""
    with pytest.raises(DamagedError, match=rf"train\.parquet: .*{message}"):
        PoseStore.open(raw_store(columns=columns)).read("train")


def test_wrong_joint_count(raw_store: Callable[..., Path], person: NDArray[np.float32]) -> None:
    """16 joints under a 17-joint skeleton are refused."""
    folder = raw_store(joints=np.repeat(person[None, :16], 12, axis=0))
    with pytest.raises(DamagedError, match="16 joints a row, the header's skeleton has 17"):
        PoseStore.open(folder).read("train")
