"""How to read Human3.6M."""

from __future__ import annotations

from typing import Literal

from synrep.datasets.human36m.detections import Detector
from synrep.datasets.human36m.layouts import Layout
from synrep.datasets.options import Options


class Human36MOptions(Options):
    """How to read Human3.6M."""

    layout: Layout | Literal["auto"] = "auto"
    """Which files to read; `auto`: those that are there."""
    keypoints: Detector | Literal["gt"] = "gt"
    """2D joints to store; with `gt` none, since views project the poses."""
    drop_damaged: bool = False
    """Leave out the three recordings of S9 whose poses are shifted against the images."""
    train_on_s8: bool = False
    """Put S8 into training too, which leaves no validation split (row 33)."""
