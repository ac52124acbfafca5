"""Checkpoints and exported generators from strangers: read as data or refused."""

from __future__ import annotations

import json
import os
import pickle
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from synrep.errors import DamagedError
from synrep.storage import Storage
from synrep.training.checkpoint import CheckpointRef, load_checkpoint
from tests.security import seeds
from tests.security.conftest import Evil

if TYPE_CHECKING:
    from pathlib import Path

Refused = Any


def raw(header: str | bytes, data: bytes = b"", claimed: int | None = None) -> bytes:
    """A safetensors file as bytes, whatever its header says."""
    text = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(text) if claimed is None else claimed) + text + data


def tensor(shape: list[int], start: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    """An entry of a safetensors header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def checkpoint(state: Any = None, **changes: Any) -> bytes:
    """A checkpoint of a small generator, with some of what it tells changed."""
    meta, weights = seeds.generator()
    arrays = {f"generator.{name}": value for name, value in weights.items()}
    told = meta | changes if state is None else state
    return save(arrays, {"state": told if isinstance(told, str) else json.dumps(told)})


def config(**generator: Any) -> dict[str, Any]:
    """The configuration of a small generator with other sizes."""
    content = json.loads(json.dumps(seeds.generator()[0]["config"]))
    content["generator"] |= generator
    found: dict[str, Any] = content
    return found


STATE = json.dumps({"state": "{}"})
CHECKPOINTS = {
    "ten gigabytes of header": raw("{}", claimed=10 << 30),
    "a header longer than the file": raw("{}", claimed=1000),
    "a header that is no JSON": raw("{" * 50),
    "a header nested without end": raw('{"a":' * 100_000),
    "a tensor that begins behind the file": raw(json.dumps({"a": tensor([2], 800, 808)}), b"0" * 8),
    "tensors over each other": raw(
        json.dumps({"a": tensor([2], 0, 8), "b": tensor([2], 4, 12)}), b"0" * 12
    ),
    "a shape of 2^62 numbers": raw(json.dumps({"a": tensor([1 << 31, 1 << 31], 0, 8)}), b"0" * 8),
    "a shape that overflows": raw(json.dumps({"a": tensor([1 << 63, 2], 0, 8)}), b"0" * 8),
    "a negative shape": raw(json.dumps({"a": tensor([-1], 0, 8)}), b"0" * 8),
    "an unknown type": raw(json.dumps({"a": tensor([1], 0, 8, "OBJECT")}), b"0" * 8),
    "metadata that is a number": raw('{"__metadata__": {"state": NaN}}'),
    "a name given twice": raw(
        f'{{"a": {json.dumps(tensor([2], 0, 8))}, "a": {json.dumps(tensor([1], 0, 4))}}}', b"0" * 8
    ),
    "a state nested without end": checkpoint("[" * 100_000),
    "a state nested just too deep": checkpoint('{"config":' * 900 + "1" + "}" * 900),
    "a state with a number of a million digits": checkpoint('{"best": ' + "9" * 1_000_000 + "}"),
    "a state that is a list": checkpoint("[]"),
    "a network a billion wide": checkpoint(config=config(width=10**9)),
    "a network of a billion blocks": checkpoint(config=config(blocks=10**9)),
    "a network of another size": checkpoint(config=config(width=1)),
    "a size that is a text": checkpoint(scale_mm="../../x"),
    "a size that is no number": checkpoint(bone_length_sum_mm=float("nan")),
    "a best result that is a list": checkpoint(best=[1]),
    "half of a file": checkpoint()[:2000],
    "nothing": b"",
}


@pytest.mark.parametrize("content", CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_checkpoints_that_lie(tmp_path: Path, refused: Refused, content: bytes) -> None:
    """One message that names the file or what is wrong in it."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    refused("synrep", "export", path, "--to", tmp_path / "out")


def test_pickles_in_the_place_of_a_checkpoint(
    tmp_path: Path, refused: Refused, trace: Path
) -> None:
    """PyTorch's files, NumPy's and plain pickles run code when they are read; here they are not."""
    evil = Evil(trace)
    path, folder = tmp_path / "x.safetensors", tmp_path / "export"
    torch.save({"state": evil}, path)
    for _ in range(2):
        refused("synrep", "export", path, "--to", tmp_path / "out", says="not a checkpoint")
        path.write_bytes(pickle.dumps(evil))
    with path.open("wb") as file:
        np.savez(file, allow_pickle=True, state=np.array([evil], object))
    refused("synrep", "export", path, "--to", tmp_path / "out", says="not a checkpoint")
    folder.mkdir()
    (folder / "config.json").write_bytes(seeds.export()[0])
    torch.save(evil, folder / "generator.safetensors")
    (tmp_path / "k.json").write_bytes(seeds.json_forms()[1])
    says = "do not match their checksum"
    refused("synrep", "lift", folder, tmp_path / "k.json", "--out", tmp_path / "o.npz", says=says)


EXPORTS = {
    "nested without end": b"[" * 100_000,
    "no mapping": b"[]",
    "a number of a million digits": b'{"format": ' + b"9" * 1_000_000 + b"}",
    "a network a billion wide": seeds.export()[0].replace(b'"width": 2', b'"width": 1000000000'),
    "no text": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("content", EXPORTS.values(), ids=EXPORTS)
def test_exports_that_lie(tmp_path: Path, refused: Refused, content: bytes) -> None:
    """Their configuration is checked before anything is built by it."""
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "config.json").write_bytes(content)
    (folder / "generator.safetensors").write_bytes(seeds.weights())
    (tmp_path / "k.json").write_bytes(seeds.json_forms()[1])
    refused("synrep", "lift", folder, tmp_path / "k.json", "--out", tmp_path / "o.npz")


@pytest.mark.parametrize("name", ["config.json", "generator.safetensors"])
def test_links_to_what_never_ends(tmp_path: Path, refused: Refused, name: str) -> None:
    """An archive can hold a link to a device, and reading that would fill the memory."""
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "config.json").write_bytes(seeds.export()[0])
    (folder / "generator.safetensors").write_bytes(seeds.weights())
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    refused("synrep", "evaluate", folder, says="no exported generator")
    (tmp_path / "x.safetensors").symlink_to("/dev/zero")
    refused("synrep", "export", tmp_path / "x.safetensors", "--to", tmp_path / "o")


def test_a_checkpoint_that_is_a_link_is_held_against_its_checksum(tmp_path: Path) -> None:
    """A link in a shared folder can lead anywhere; what is there has another checksum."""
    (tmp_path / "other").write_bytes(os.urandom(100))
    name = "00000001-0123456789abcdef.safetensors"
    (tmp_path / name).symlink_to(tmp_path / "other")
    ref = CheckpointRef(file=name, iteration=1, sha256="0" * 64)
    with pytest.raises(DamagedError, match="does not match its checksum"):
        load_checkpoint(Storage.at(tmp_path), ref)
