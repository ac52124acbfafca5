"""Published facts of MPI-INF-3DHP: sequences, frames, cameras and activities.

Scenes of the test set, by its own notes: TS1 and TS2 in the studio with a green screen, TS3 and TS4
in the studio without it, TS5 and TS6 outdoors. Neither these notes nor the public readers that we
examined state the frame rate of the test sequences. 25 fps is assumed; scores do not depend on it,
but the speed of an animated clip does.
"""

from __future__ import annotations

from typing import Literal

FPS = 25
"""Frame rate of all poses; of sequences at 50 fps every second frame is kept."""

FRAMES = {
    "S1/Seq1": (6416, 25), "S1/Seq2": (12430, 50), "S2/Seq1": (6502, 25), "S2/Seq2": (6081, 25),
    "S3/Seq1": (12488, 50), "S3/Seq2": (12283, 50), "S4/Seq1": (6171, 25), "S4/Seq2": (6675, 25),
    "S5/Seq1": (12820, 50), "S5/Seq2": (12312, 50), "S6/Seq1": (6188, 25), "S6/Seq2": (6145, 25),
    "S7/Seq1": (6239, 25), "S7/Seq2": (6320, 25), "S8/Seq1": (6468, 25), "S8/Seq2": (6054, 25),
}  # fmt: skip
"""Number of usable frames and frame rate of each training sequence (`mpii_get_sequence_info.m`)."""

VALID_FRAMES = {"TS1": 603, "TS2": 540, "TS3": 505, "TS4": 553, "TS5": 276, "TS6": 452}
"""Number of valid frames of each test sequence, which are scored; 2929 in all, 728 outdoors."""

ACTIVITIES = (
    "Standing/Walking", "Exercising", "Sitting", "Reaching/Crouching", "On The Floor",
    "Sports", "Miscellaneous",
)  # fmt: skip
"""Names of the activities 1 to 7 of the test set (`mpii_get_activity_name.m`)."""

CameraSet = Literal["chest-5", "chest-8", "all"]

CAMERAS: dict[CameraSet, tuple[int, ...]] = {
    "chest-5": (0, 2, 4, 7, 8),
    "chest-8": (0, 1, 2, 4, 5, 6, 7, 8),
    "all": tuple(range(14)),
}
"""Sets of the 14 cameras: 5 at chest height, 8 around chest height, or all (row 38)."""
