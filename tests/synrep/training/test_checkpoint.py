"""Checkpoints and storage: atomic writes and verified reads."""

from __future__ import annotations

import pickle
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from synrep.errors import DamagedError, InputError
from synrep.storage import Storage
from synrep.training.checkpoint import (
    CheckpointRef,
    TrainingState,
    identify_checkpoint,
    load_checkpoint,
    newest_checkpoints,
    prune_checkpoints,
    read_checkpoint,
    save_checkpoint,
)

if TYPE_CHECKING:
    from pathlib import Path

STATE = TrainingState(
    arrays={"weight": np.arange(6.0).reshape(2, 3), "steps": np.array(3, dtype=np.int64)},
    meta={"iteration": 7, "best": None},
)


def test_round_trip(tmp_path: Path) -> None:
    """Arrays and JSON come back as they were, and the name carries iteration and checksum."""
    storage = Storage.at(tmp_path)
    ref = save_checkpoint(storage, STATE, 7)
    found = load_checkpoint(storage, ref)
    assert ref.file == f"00000007-{ref.sha256[:16]}.safetensors"
    assert found.meta == STATE.meta
    assert found.arrays["weight"].tobytes() == STATE.arrays["weight"].tobytes()
    assert found.arrays["steps"].dtype == np.int64


def test_transposed_arrays_come_back_in_order(tmp_path: Path) -> None:
    """An array that is not C-contiguous keeps its values."""
    storage = Storage.at(tmp_path)
    transposed = np.arange(6.0).reshape(2, 3).T
    ref = save_checkpoint(
        storage, TrainingState(arrays={"t": transposed, "zero": np.array(2.0)}), 1
    )
    found = load_checkpoint(storage, ref).arrays
    np.testing.assert_array_equal(found["t"], transposed)
    assert found["zero"].shape == ()


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "missing"])
def test_damage_is_detected(damage: str, tmp_path: Path) -> None:
    """A flipped bit and a truncated, empty or missing file each raise an error with the name."""
    storage = Storage.at(tmp_path)
    ref = save_checkpoint(storage, STATE, 7)
    path = tmp_path / ref.file
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[-3] ^= 1
    path.write_bytes({"truncate": content[:-8], "empty": b""}.get(damage, content))
    if damage == "missing":
        path.unlink()
    with pytest.raises(DamagedError, match=ref.file):
        load_checkpoint(storage, ref)
    with pytest.raises(DamagedError, match=ref.file):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({"weight": 1}),
        struct.pack("<Q", 10 * 2**30) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        b'{"not": "safetensors"}',
    ],
    ids=["pickle", "10 GB header", "no metadata", "json"],
)
def test_foreign_files_are_refused(content: bytes, tmp_path: Path) -> None:
    """No code in a file is executed, and no header size beyond the file's size is accepted."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(DamagedError, match="not a checkpoint"):
        read_checkpoint(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_random_bytes_are_refused(content: bytes, tmp_path: Path) -> None:
    """Any content raises DamagedError."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(DamagedError):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.safetensors",
        "/etc/passwd",
        "x/../00000001-0123456789abcdef.safetensors",
        "00000001-0123456789abcdef.safetensors\n",
        "a\0b",
        "..",
        "",
    ],
)
def test_only_a_checkpoints_name_refers_to_one(name: str) -> None:
    """A reference never points outside its folder, because its file may be read and deleted."""
    good = CheckpointRef(file="00000001-0123456789abcdef.safetensors", iteration=1, sha256="0" * 64)
    with pytest.raises(ValidationError, match="file"):
        CheckpointRef.model_validate(good.model_dump() | {"file": name})


@pytest.mark.parametrize("name", ["²-{}.safetensors", "7-{}.safetensors", "x.safetensors"])
def test_files_of_other_names_are_no_checkpoints(tmp_path: Path, name: str) -> None:
    """Not even if the content is a checkpoint. A superscript two is a digit, but not a number."""
    storage = Storage.at(tmp_path)
    ref = save_checkpoint(storage, STATE, 7)
    assert identify_checkpoint(storage, ref.file)[0] == ref
    other = name.format(ref.sha256[:16])
    (tmp_path / ref.file).rename(tmp_path / other)
    with pytest.raises(DamagedError, match="not that of a checkpoint"):
        identify_checkpoint(storage, other)


def test_prune_keeps_the_newest(tmp_path: Path) -> None:
    """The two newest checkpoints remain, newest first."""
    storage = Storage.at(tmp_path)
    for iteration in (30, 5, 200):
        save_checkpoint(storage, STATE, iteration)
    prune_checkpoints(storage, keep=2)
    assert [name[:8] for name in newest_checkpoints(storage)] == ["00000200", "00000030"]


def test_interrupted_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that fails half-way changes nothing and leaves nothing behind."""
    storage = Storage.at(tmp_path)
    storage.write("file", b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        storage.write("file", b"new")
    assert storage.read("file") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_uri_with_credentials_is_refused_without_showing_them() -> None:
    """Secrets never appear in a message."""
    with pytest.raises(InputError, match="carries credentials") as caught:
        Storage.at("s3://key:secret@bucket/folder")
    assert "secret" not in str(caught.value)


def test_unknown_scheme_is_refused() -> None:
    """The message names the supported schemes."""
    with pytest.raises(InputError, match="use a path, s3"):
        Storage.at("ftp://host/folder")


def test_folders_and_deletion(tmp_path: Path) -> None:
    """Children are folders; listing an absent folder is empty; deleting twice is no error."""
    storage = Storage.at(tmp_path).child("a").child("b")
    assert storage.list() == []
    storage.write("x/file", b"1")
    assert storage.list("x") == ["file"]
    assert storage.exists("x/file")
    storage.delete("x/file")
    storage.delete("x/file")
    assert not storage.exists("x/file")
