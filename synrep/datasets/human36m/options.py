"""Options of the Human3.6M reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from synrep.datasets.human36m.detections import Detector
from synrep.datasets.human36m.layouts import Layout
from synrep.datasets.options import Options
from synrep.errors import InputError

if TYPE_CHECKING:
    from synrep.keypoint_sets import MpiiMap

StoredMap = Literal["fitted", "geometric", "kudo"]
"""Maps that make all 17 joints."""


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
    test_only: bool = False
    """Read S9 and S11 alone, for a store to evaluate on."""
    sh_map: StoredMap | Literal["auto"] = "auto"
    """How MPII's joints become Human3.6M's (row 35); `auto` is `fitted` for detections of MPII's
    joints and `geometric` for a detector that was trained on Human3.6M's."""

    def require_consistent(self) -> None:
        """Check that no option lacks an effect.

        Raises:
            InputError: one does.
        """
        if self.sh_map != "auto" and self.keypoints not in {"sh", "sh-ft"}:
            rule = f"has no effect on --keypoints {self.keypoints}"
            raise InputError("--sh-map", rule, "it is for sh and sh-ft")
        if self.test_only and self.train_on_s8:
            raise InputError("--train-on-s8", "has no effect with --test-only", "choose one")

    def mpii_map(self) -> MpiiMap:
        """The map of MPII's joints."""
        if self.sh_map == "auto":
            return "fitted" if self.keypoints == "sh" else "geometric"
        return self.sh_map
