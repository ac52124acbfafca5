"""Where synrep keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """The cache folder: $SYNREP_CACHE, or ~/.cache/synrep. Everything in it can be deleted."""
    return Path(os.environ.get("SYNREP_CACHE") or Path.home() / ".cache" / "synrep")
