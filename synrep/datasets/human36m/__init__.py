"""Reader of Human3.6M in its four common distributions."""

from __future__ import annotations

from synrep.datasets.human36m.options import Human36MOptions
from synrep.datasets.human36m.reading import read_human36m

__all__ = ["Human36MOptions", "read_human36m"]
