"""What the scale modes of errors mean, in words."""

from __future__ import annotations

SCALES = {
    "gt_xy": "scaled by each frame's true xy-radius (GT-scaled)",
    "nmpjpe": "each prediction scaled by its best factor",
    "bone_length": "scaled to the training poses' bone lengths",
    "constant": "scaled by one constant",
}
