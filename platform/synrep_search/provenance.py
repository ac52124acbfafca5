"""Which code and which data a search ran on, and an id that no other search has."""

from __future__ import annotations

import hashlib
import subprocess
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from synrep_search import __version__

if TYPE_CHECKING:
    from synrep_search.spec import SearchSpec


def provenance(spec: SearchSpec) -> dict[str, str]:
    """Id, code version, data fingerprint and time of a new search.

    Raises:
        InputError: the poses can't be used; found here, before anything is written.
    """
    return {
        "id": uuid.uuid4().hex,  # names alone repeat: other homes may share a tracking server
        "code": code_version(),
        "data": data_fingerprint(spec),
        "created": _now(),
    }


def code_version() -> str:
    """Git revision of the checkout, with a hash of uncommitted changes; else the package's."""
    root = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        command = ["git", "-C", str(root), *words]
        return subprocess.run(  # noqa: S603 - our own words, no shell
            command, capture_output=True, text=True, check=True
        ).stdout

    try:
        revision = git("rev-parse", "--short=12", "HEAD").strip()
        changes = git("diff", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return __version__
    if not changes:
        return revision
    return f"{revision}+dirty.{hashlib.sha256(changes.encode()).hexdigest()[:8]}"


def data_fingerprint(spec: SearchSpec) -> str:
    """Fingerprint of the pose store; empty for a trainer without poses.

    Raises:
        InputError: the store is missing, damaged or not one.
    """
    poses = spec.train.get("data", {}).get("poses")
    if poses is None:
        return ""
    from synrep.data import open_poses  # noqa: PLC0415 - loads pyarrow, which other trainers spare

    store = open_poses(poses)
    if poses != "synthetic":
        for split in ("train", "validation"):
            store.read(split)
    return store.fingerprint


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
