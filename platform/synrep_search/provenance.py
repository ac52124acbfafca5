"""Which code and which data a search ran on, and an id that no other search has."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from synrep.errors import InputError
from synrep_search import __version__

if TYPE_CHECKING:
    from synrep_search.search_file import SearchSpec

CODE = ("synrep", "platform", "pyproject.toml", "requirements.lock")
"""What a search runs on, as paths of the repository."""


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
    """Git revision that the code of this checkout last changed in; else the package's version.

    Changes that are not committed, new modules among them, add a hash. Only `CODE` counts: notes,
    documents and results may change while a search runs.
    """
    root = Path(__file__).resolve().parents[2]

    def git(*words: str) -> bytes:
        command = ["git", "-C", str(root), *words, "--", *CODE]
        return subprocess.run(command, capture_output=True, check=True).stdout  # noqa: S603 - our own words, no shell

    try:
        revision = git("log", "-1", "--format=%h", "--abbrev=12").decode().strip()
        changes = git("diff", "HEAD")
        for name in git("ls-files", "-z", "--others", "--exclude-standard").split(b"\0")[:-1]:
            changes += name + _content(root / os.fsdecode(name))
    except (OSError, subprocess.CalledProcessError):
        return __version__
    if not revision or not changes:
        return revision or __version__
    return f"{revision}+dirty.{hashlib.sha256(changes).hexdigest()[:8]}"


def _content(path: Path) -> bytes:
    """Of a new file. A link to nothing (an editor's lock) has its aim, another repository none."""
    try:
        return path.read_bytes()
    except OSError:
        return os.fsencode(path.readlink()) if path.is_symlink() else b""


def data_fingerprint(spec: SearchSpec) -> str:
    """Fingerprint of the pose store; empty for a trainer without poses.

    Raises:
        InputError: the store is missing, damaged or not one.
    """
    poses = spec.train.get("data", {}).get("poses")
    if poses is None:
        return ""
    from synrep.datasets import (  # noqa: PLC0415 - loads pyarrow, which other trainers spare
        open_poses,
    )

    store = open_poses(poses)
    validation = _needs_validation(spec, held_out="validation" in store.splits)
    if poses != "synthetic":
        for split in ("train", *["validation"] * validation):
            store.read(split)
    return store.fingerprint


def _needs_validation(spec: SearchSpec, *, held_out: bool) -> bool:
    """Whether a search reads validation subjects; only one that chooses nothing does without.

    Raises:
        InputError: its goal is an error on training poses where it must not be.
    """
    metric = spec.search.metric
    if not metric.startswith("training/"):
        return True
    if held_out:
        rule = f"{metric} is not reported: these poses have validation subjects"
        raise InputError("search.minimize", rule, "use validation/mpjpe_mm")
    fixed = len(spec.start_from) >= spec.search.trials or not spec.space.names
    if not fixed or spec.search.early_stopping is not None or spec.tracking.keep_best:
        raise InputError(
            "search.minimize",
            f"nothing may be chosen by {metric}, an error on poses that were trained on",
            "give all points under start_from, no early stopping and tracking.keep_best: 0; or "
            "poses with validation subjects",
        )
    return False


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
