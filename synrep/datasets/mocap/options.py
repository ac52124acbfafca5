"""Options of the readers of motion-capture files."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from synrep.datasets.mocap.calibration import FirstFrame
from synrep.datasets.options import Options
from synrep.datasets.store.header import Axis

Unit = Literal["mm", "cm", "m", "inch", "cmu"]
"""Unit of length of a file; `cmu` is that of the CMU database."""


class MocapOptions(Options):
    """Options of the readers of motion-capture files."""

    joint_map: str = "auto"
    """Name of a joint map or a JSON file; `auto` detects it from each file's skeleton."""
    unit: Unit | Literal["auto"] = "auto"
    """Unit of length in the files; `auto` detects it from the length of the legs."""
    up: Axis | Literal["auto"] = "auto"
    """Axis that points up; `auto` detects it from the direction of the trunks."""
    fps: Annotated[float, Field(gt=0)] = 25.0
    """Target frame rate; of each file every n-th frame is kept, with n chosen to come nearest."""
    path: str = ""
    """Regular expression of a file's path below the folder, without suffix, with the groups
    `subject` and `action`; empty for that of the joint map."""
    first_frame: FirstFrame = "auto"
    """Whether to keep the first frame of each file; `auto` drops a known calibration pose."""
    skip_bad: bool = False
    """Leave out files that can't be read instead of refusing them all."""
