"""Provenance of a search: unique id, code version, data fingerprint and creation time."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from synrep.errors import InputError
from synrep_search import __version__
from synrep_search.search_file.effects import check_store

if TYPE_CHECKING:
    from synrep_search.search_file import SearchSpec

LONGEST_TAG = 5000
"""Characters that a tag in MLflow can hold."""
CODE = ("synrep", "platform", "pyproject.toml", "requirements.lock")
"""Paths in the repository that the code version covers."""


def provenance(spec: SearchSpec) -> dict[str, str]:
    """Return id, code version, data fingerprint, subjects and creation time of a new search.

    The subjects of each split are JSON; they are left out where a tag in MLflow can't hold them.

    Raises:
        InputError: the poses can't be used. This is checked before anything is written.
    """
    return {
        "id": uuid.uuid4().hex,  # names are not unique on a tracking server shared by several homes
        "code": code_version(),
        "data": data_fingerprint(spec),
        **_subjects(spec),
        "created": _now(),
    }


def _subjects(spec: SearchSpec) -> dict[str, str]:
    poses = spec.train.get("data", {}).get("poses")
    if poses is None:
        return {}
    from synrep.datasets import (  # noqa: PLC0415 - loads pyarrow, which other trainers don't need
        open_poses,
    )

    store = open_poses(poses)
    text = json.dumps({split: store.listed_subjects(split) for split in store.splits})
    return {"subjects": text} if len(text) <= LONGEST_TAG else {}


def code_version() -> str:
    """Return the last git revision that changed the code, or the package version without git.

    For uncommitted changes, including untracked files, a hash of them is appended. Only the paths
    in `CODE` are considered, so that documents and results may change while a search runs.
    """
    root = Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> bytes:
        command = ["git", "-C", str(root), *arguments, "--", *CODE]
        return subprocess.run(command, capture_output=True, check=True).stdout  # noqa: S603 - fixed arguments, no shell

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
    """Return the content of an untracked file.

    For a dangling link (e.g. an editor's lock file), return its target; for a nested repository,
    nothing.
    """
    try:
        return path.read_bytes()
    except OSError:
        return os.fsencode(path.readlink()) if path.is_symlink() else b""


def data_fingerprint(spec: SearchSpec) -> str:
    """Return the fingerprint of the pose store, or an empty string for a trainer without poses.

    Raises:
        InputError: the folder is missing, damaged or not a pose store, or the search minimizes
            an error on training poses that it must not, or a field has no effect on these
            poses.
    """
    poses = spec.train.get("data", {}).get("poses")
    if poses is None:
        return ""
    from synrep.datasets import (  # noqa: PLC0415 - loads pyarrow, which other trainers don't need
        open_poses,
    )

    store = open_poses(poses)
    check_store(spec, store.header.effects)
    validation = _needs_validation(spec, held_out="validation" in store.splits)
    if poses != "synthetic":
        for split in ("train", *["validation"] * validation):
            store.read(split)
    return store.fingerprint


def _needs_validation(spec: SearchSpec, *, held_out: bool) -> bool:
    """Return whether a search needs validation subjects.

    Only a search that selects nothing (neither points nor trials nor generators) may do without.

    Args:
        spec: specification of the search.
        held_out: whether the pose store has validation subjects.

    Raises:
        InputError: the search minimizes an error on training poses where it must not.
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
            f"a search can't select by {metric}, an error on its training poses",
            "give all points under start_from, no early stopping and tracking.keep_best: 0; or use "
            "poses with validation subjects",
        )
    return False


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
