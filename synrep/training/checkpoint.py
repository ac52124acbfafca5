"""Checkpoints: the complete state of a training in one checksummed file.

A checkpoint is a safetensors file: the arrays are stored by name, and the rest of the state is JSON
in the header. Loading one executes no code. The file name is
`<iteration>-<first 16 hex digits of the SHA-256>.safetensors`, so readers can detect a corrupt or
truncated file and fall back to the previous checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field
from safetensors import SafetensorError
from safetensors.numpy import load, save

from synrep.datasets.untrusted.json_text import parse_json
from synrep.errors import DamagedError
from synrep.schema import Section

if TYPE_CHECKING:
    from pathlib import Path

    from synrep.storage import Storage

SUFFIX = ".safetensors"
_NAME = r"^[0-9]{8,}-[0-9a-f]{16}\.safetensors$"


@dataclass(kw_only=True)
class TrainingState:
    """Complete state of a training, sufficient to resume it exactly.

    Attributes:
        arrays: weights, optimiser moments and running statistics, by dotted name.
        meta: the rest of the state as JSON values: iteration, configuration, best report so far.
    """

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)


class CheckpointRef(Section):
    """Reference to a checkpoint file, with its expected checksum.

    Attributes:
        file: file name in the trial's checkpoint folder. The pattern admits no path separators,
            because holders of a reference read and delete the file it names.
        iteration: number of generator updates done.
        sha256: checksum of the whole file.
    """

    file: Annotated[str, Field(pattern=_NAME)]
    iteration: int
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def save_checkpoint(storage: Storage, state: TrainingState, iteration: int) -> CheckpointRef:
    """Write a state atomically and return a reference to its file."""
    # safetensors writes the raw buffer and ignores strides, so arrays must be C-contiguous.
    arrays = {name: np.asarray(array, order="C") for name, array in state.arrays.items()}
    content = save(arrays, metadata={"state": json.dumps(state.meta)})
    digest = hashlib.sha256(content).hexdigest()
    name = f"{iteration:08d}-{digest[:16]}{SUFFIX}"
    storage.write(name, content)
    return CheckpointRef(file=name, iteration=iteration, sha256=digest)


def load_checkpoint(storage: Storage, ref: CheckpointRef) -> TrainingState:
    """Load a checkpoint and verify its checksum.

    Raises:
        DamagedError: the file is missing, altered or truncated.
    """
    place = f"{storage.uri}/{ref.file}"
    try:
        content = storage.read(ref.file)
    except FileNotFoundError:
        raise DamagedError(place, "the checkpoint is missing") from None
    if hashlib.sha256(content).hexdigest() != ref.sha256:
        raise DamagedError(place, "the checkpoint does not match its checksum")
    return _parse(content, place)


def read_checkpoint(path: Path) -> TrainingState:
    """Load a checkpoint from a path and verify the checksum in its file name, if there is one.

    Raises:
        DamagedError: the file is missing, not a checkpoint, altered or truncated.
    """
    if path.exists() and not path.is_file():  # reading a device may never end
        raise DamagedError(str(path), "can't be read: it is not a regular file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DamagedError(str(path), f"can't be read: {error.strerror}") from None
    prefix = path.name.removesuffix(SUFFIX).rpartition("-")[2]
    if len(prefix) == 16 and not hashlib.sha256(content).hexdigest().startswith(prefix):
        raise DamagedError(str(path), "the checkpoint does not match the checksum in its name")
    return _parse(content, str(path))


def identify_checkpoint(storage: Storage, name: str) -> tuple[CheckpointRef, TrainingState]:
    """Load a checkpoint by its file name and verify the checksum in the name.

    Raises:
        DamagedError: the file is missing, not a checkpoint, altered or truncated.
    """
    place = f"{storage.uri}/{name}"
    if not re.fullmatch(_NAME, name):
        raise DamagedError(place, "the name is not that of a checkpoint")
    iteration, _, prefix = name.removesuffix(SUFFIX).partition("-")
    try:
        content = storage.read(name)
    except FileNotFoundError:
        raise DamagedError(place, "the checkpoint is missing") from None
    digest = hashlib.sha256(content).hexdigest()
    if not digest.startswith(prefix):
        raise DamagedError(place, "the checkpoint does not match the checksum in its name")
    ref = CheckpointRef(file=name, iteration=int(iteration), sha256=digest)
    return ref, _parse(content, place)


def newest_checkpoints(storage: Storage) -> list[str]:
    """List the names of the checkpoints in a folder, newest first."""
    return [name for name in reversed(storage.list()) if name.endswith(SUFFIX)]


def prune_checkpoints(storage: Storage, keep: int = 2) -> None:
    """Delete all but the `keep` newest checkpoints in a folder."""
    for name in newest_checkpoints(storage)[keep:]:
        storage.delete(name)


def _parse(content: bytes, place: str) -> TrainingState:
    try:
        arrays = load(content)
        header_length = int.from_bytes(content[:8], "little")
        metadata = parse_json(content[8 : 8 + header_length])["__metadata__"]
        meta = parse_json(metadata["state"])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(place, f"not a checkpoint: {error}") from None
    if not isinstance(meta, dict):
        raise DamagedError(place, "not a checkpoint: its state is not a mapping")
    return TrainingState(arrays=arrays, meta=meta)
