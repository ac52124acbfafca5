"""The header of a pose store: the file store.json and its validation.

A store of the format "synrep-poses/1" is a folder with store.json and one Parquet file per split.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from synrep.datasets.untrusted.json_text import parse_json
from synrep.errors import DamagedError, InputError, faults
from synrep.schema import Section
from synrep.skeleton import SKELETONS

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = "synrep-poses/1"
HEADER_FILE = "store.json"

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

Axis = Literal["+x", "-x", "+y", "-y", "+z", "-z"]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Intrinsics(Section):
    """Intrinsics of a camera (see `synrep.datasets.cameras.Camera`); no distortion by default."""

    focal_px: tuple[float, float]
    """Focal lengths along x and y."""
    centre_px: tuple[float, float]
    """Principal point."""
    radial: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Coefficients of r^2, r^4, r^6."""
    tangential: tuple[float, float] = (0.0, 0.0)
    """Coefficients (p1, p2) in Human3.6M's convention."""


class Description(Section):
    """Metadata of a set of poses: the part of the header that does not follow from the poses."""

    name: str
    """Short name of the data set."""
    skeleton: str
    """Name of the skeleton; joints are stored in its order."""
    frame: Literal["world", "camera"] = "world"
    """Coordinate frame: the world, or the camera named in each row (x right, y down, z away)."""
    up: Axis = "+z"
    """Axis that points up; "-y" in a camera frame."""
    fps: Annotated[float, Field(gt=0)]
    """Frames per second."""
    licence: str
    """Terms under which the poses may be used."""
    acknowledgement: str = ""
    """Citation or acknowledgement that users are asked to give."""
    split_by: str = "subject"
    """Label that no two splits share."""
    cameras: dict[str, Intrinsics] = Field(default_factory=dict)
    """Intrinsics by camera name, if the source provides them."""
    notes: tuple[str, ...] = ()
    """What was detected when the store was made, and what was left out."""

    @property
    def joints_column(self) -> str:
        """Name of the column with the 3D joints."""
        return f"joints_{self.frame}_mm"


class StoreHeader(Description):
    """The complete header, as stored in store.json."""

    format: Literal["synrep-poses/1"] = "synrep-poses/1"
    """Name and version of the storage format."""
    units: Literal["mm"] = "mm"
    """Unit of the 3D joints."""
    columns: dict[str, str]
    """Description of each column's type."""
    splits: dict[Split, Annotated[int, Field(ge=1)]]
    """Number of poses in each split."""
    sha256: dict[Split, Sha256]
    """SHA-256 checksum of each split's file, in hexadecimal."""

    @property
    def effects(self) -> dict[str, object]:
        """What decides whether a field has an effect on these poses; see `synrep.effects`."""
        return {"frame": self.frame, "detections": "keypoints_px" in self.columns}


def read_header(folder: Path) -> StoreHeader:
    """Read and validate store.json.

    Raises:
        InputError: the folder does not exist, is not a pose store, or has another format.
        DamagedError: the header can't be read or has invalid fields, all of which are named.
    """
    path = folder / HEADER_FILE
    if not folder.is_dir():
        raise InputError(
            str(folder),
            "there is no such folder",
            "give the folder of a pose store; `synrep data prepare` makes one",
        )
    if not path.is_file():
        raise InputError(
            str(folder),
            f"not a pose store: it has no {HEADER_FILE}",
            "give the folder that contains it, or make a store with `synrep data prepare`",
        )
    try:
        text = path.read_text("utf-8")
        content = parse_json(text)
    except OSError as error:
        raise InputError(str(path), f"can't be read: {error.strerror}") from None
    except ValueError as error:
        raise DamagedError(str(path), f"not readable as JSON: {error}", _REMEDY) from None
    stored_format = content.get("format") if isinstance(content, dict) else None
    if stored_format != FORMAT:
        raise InputError(
            str(path),
            f"format is {stored_format!r}",
            f"this version reads {FORMAT!r}; convert the store",
        )
    try:
        header = StoreHeader.model_validate_json(text)
    except ValidationError as error:
        raise DamagedError(str(path), faults(error, StoreHeader), _REMEDY) from None
    _check_consistency(path, header)
    return header


def _check_consistency(path: Path, header: StoreHeader) -> None:
    if header.skeleton not in SKELETONS:
        raise InputError(
            str(path),
            f"unknown skeleton {header.skeleton!r}",
            "known: " + ", ".join(SKELETONS),
        )
    if not header.splits:
        raise DamagedError(str(path), "`splits` is empty", _REMEDY)
    if missing := set(header.splits) - set(header.sha256):
        raise DamagedError(
            str(path), "no SHA-256 for the split " + ", ".join(sorted(missing)), _REMEDY
        )
    if header.joints_column not in header.columns:
        raise DamagedError(
            str(path),
            f"frame is {header.frame!r} but `columns` has no {header.joints_column}",
            _REMEDY,
        )


_REMEDY = "restore the file from its source, or make the store again"
