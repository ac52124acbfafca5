"""Data sets: pose stores on disk, the readers that create them, and the views to train on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synrep.datasets.store.store import PoseStore


def open_poses(poses: str | os.PathLike[str]) -> PoseStore:
    """Open the pose store that a configuration names.

    Args:
        poses: the folder of a pose store, or `synthetic` for the built-in motion, which is
            generated into the cache folder on first use.

    Raises:
        InputError: the store does not exist or can't be opened.
    """
    if poses == "synthetic":
        from synrep.datasets.synthetic.generate import cached_store  # noqa: PLC0415 - loads scipy

        return cached_store()
    from synrep.datasets.store.store import PoseStore  # noqa: PLC0415 - loads pyarrow

    return PoseStore.open(os.fspath(poses))
