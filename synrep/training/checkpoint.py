"""Checkpoints: all state of a training in one file that names its own checksum.

A checkpoint is a safetensors file: named arrays, and the rest of the state as JSON in its header.
Reading one runs no code. Its name is `<iteration>-<start of its SHA-256>.safetensors`, so a
damaged or truncated file is detected, and the one before it can be used.
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
    """Everything a training needs to go on as if it had never stopped.

    Attributes:
        arrays: weights, optimiser moments, running statistics, by dotted name.
        meta: the rest, as JSON values: iteration, configuration, best result so far.
    """

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)


class CheckpointRef(Section):
    """Names one checkpoint and what it must contain.

    Attributes:
        file: name within the trial's checkpoint folder. No other name is taken: whoever has a
            reference reads and deletes that file.
        iteration: generator updates done.
        sha256: checksum of the whole file.
    """

    file: Annotated[str, Field(pattern=_NAME)]
    iteration: int
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def save_checkpoint(storage: Storage, state: TrainingState, iteration: int) -> CheckpointRef:
    """Write a state, atomically."""
    # The writer stores memory as it lies, so a transposed array would come back scrambled.
    arrays = {name: np.asarray(array, order="C") for name, array in state.arrays.items()}
    content = save(arrays, metadata={"state": json.dumps(state.meta)})
    digest = hashlib.sha256(content).hexdigest()
    name = f"{iteration:08d}-{digest[:16]}{SUFFIX}"
    storage.write(name, content)
    return CheckpointRef(file=name, iteration=iteration, sha256=digest)


def load_checkpoint(storage: Storage, ref: CheckpointRef) -> TrainingState:
    """Read a state and check it against its checksum.

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
    """Read a checkpoint file that a user names; the checksum in its name is verified.

    Raises:
        DamagedError: the file is missing, not a checkpoint, altered or truncated.
    """
    if path.exists() and not path.is_file():  # a device would never end
        raise DamagedError(str(path), "can't be read: it is no file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DamagedError(str(path), f"can't be read: {error.strerror}") from None
    named = path.name.removesuffix(SUFFIX).rpartition("-")[2]
    if len(named) == 16 and not hashlib.sha256(content).hexdigest().startswith(named):
        raise DamagedError(str(path), "the checkpoint does not match the checksum in its name")
    return _parse(content, str(path))


def identify_checkpoint(storage: Storage, name: str) -> tuple[CheckpointRef, TrainingState]:
    """A checkpoint of which only the name is known; the checksum in it is verified.

    Raises:
        DamagedError: the file is missing, not a checkpoint, altered or truncated.
    """
    place = f"{storage.uri}/{name}"
    if not re.fullmatch(_NAME, name):
        raise DamagedError(place, "this is no name of a checkpoint")
    iteration, _, named = name.removesuffix(SUFFIX).partition("-")
    try:
        content = storage.read(name)
    except FileNotFoundError:
        raise DamagedError(place, "the checkpoint is missing") from None
    digest = hashlib.sha256(content).hexdigest()
    if not digest.startswith(named):
        raise DamagedError(place, "the checkpoint does not match the checksum in its name")
    ref = CheckpointRef(file=name, iteration=int(iteration), sha256=digest)
    return ref, _parse(content, place)


def newest_checkpoints(storage: Storage) -> list[str]:
    """Names of the checkpoints in a folder, newest first."""
    return [name for name in reversed(storage.list()) if name.endswith(SUFFIX)]


def prune_checkpoints(storage: Storage, keep: int = 2) -> None:
    """Delete all but the newest checkpoints of a folder."""
    for name in newest_checkpoints(storage)[keep:]:
        storage.delete(name)


def _parse(content: bytes, place: str) -> TrainingState:
    try:
        arrays = load(content)
        header = int.from_bytes(content[:8], "little")
        metadata = parse_json(content[8 : 8 + header])["__metadata__"]
        meta = parse_json(metadata["state"])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(place, f"not a checkpoint: {error}") from None
    if not isinstance(meta, dict):
        raise DamagedError(place, "not a checkpoint: its state is not a mapping")
    return TrainingState(arrays=arrays, meta=meta)
