"""Options of the Human3.6M reader."""

from __future__ import annotations

from typing import Literal

from synrep.datasets.human36m.detections import Detector
from synrep.datasets.human36m.layouts import Layout
from synrep.datasets.options import Options


class Human36MOptions(Options):
    """Options of the Human3.6M reader."""

    layout: Layout | Literal["auto"] = "auto"
    """Layout of the files; `auto` detects it."""
    keypoints: Detector | Literal["gt"] = "gt"
    """Detector whose 2D joints are stored; `gt` stores none, since views project the poses."""
    drop_damaged: bool = False
    """Leave out the three recordings of S9 whose poses are shifted against the images."""
    train_on_s8: bool = False
    """Add S8 to the training split, which leaves no validation split (row 33)."""
