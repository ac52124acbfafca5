"""Conversion between `Poses` and Arrow tables, the content of a pose store's Parquet files.

The 3D joints are converted without a copy. Axes: N rows, J joints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from synrep.datasets.store.poses import Poses
from synrep.errors import DamagedError
from synrep.skeleton import skeleton_by_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synrep.datasets.store.header import Description

LABELS = ("subject", "action", "clip", "camera")
KEYPOINTS = "keypoints_px"


def columns(about: Description, *, camera: bool, keypoints: bool) -> dict[str, str]:
    """Return a description of the type of each column of a store, by column name."""
    joints = len(skeleton_by_name(about.skeleton))
    types = {
        "subject": "string",
        "action": "string",
        "clip": "string",
        "frame": "int32",
        "fps": "float32",
        about.joints_column: f"fixed_size_list<float32>[{3 * joints}], {joints} x (x, y, z)",
    }
    if camera:
        types["camera"] = "string"
    if keypoints:
        types[KEYPOINTS] = f"fixed_size_list<float32>[{2 * joints}], {joints} x (x, y)"
    return types


def to_table(poses: Poses, about: Description) -> pa.Table:
    """Convert the poses of a split to a table."""
    values: dict[str, pa.Array] = {
        "subject": pa.array(poses.subject.tolist(), pa.string()),
        "action": pa.array(poses.action.tolist(), pa.string()),
        "clip": pa.array(poses.clip.tolist(), pa.string()),
        "frame": pa.array(poses.frame, pa.int32()),
        "fps": pa.array(np.full(len(poses), about.fps, np.float32)),
        about.joints_column: _packed(poses.joints_mm),
    }
    if poses.camera is not None:
        values["camera"] = pa.array(poses.camera.tolist(), pa.string())
    if poses.keypoints_px is not None:
        values[KEYPOINTS] = _packed(poses.keypoints_px)
    return pa.table(values)


def _packed(points: NDArray[np.float32]) -> pa.Array:
    """Pack points (N, J, D) into one fixed-size list of J * D numbers per row."""
    width = points.shape[1] * points.shape[2]
    flat = np.ascontiguousarray(points, np.float32).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), width)


def from_table(table: pa.Table, about: Description, place: str) -> Poses:
    """Convert the table of a split to poses.

    Args:
        table: table read from the file.
        about: header of the store.
        place: name of the file, for messages.

    Raises:
        DamagedError: a column is missing, has another type or missing values, or does not have
            the number of joints of the skeleton.
    """
    joints = len(skeleton_by_name(about.skeleton))
    required = columns(about, camera=about.frame == "camera", keypoints=False)
    if missing := [name for name in required if name not in table.column_names]:
        raise DamagedError(
            place,
            f"no column {', '.join(missing)}",
            "the file has " + ", ".join(table.column_names),
        )
    present = [name for name in (*required, "camera", KEYPOINTS) if name in table.column_names]
    for name in present:
        if table[name].null_count:
            raise DamagedError(place, f"column {name} has empty rows", "every row needs a value")
    labels = {name: _labels(table, name, place) for name in LABELS if name in present}
    return Poses(
        joints_mm=_points(table, about.joints_column, (joints, 3), place),
        **labels,
        frame=_numbers(table, "frame", pa.int32(), place),
        fps=_frame_rate(table, about, place),
        keypoints_px=_points(table, KEYPOINTS, (joints, 2), place)
        if KEYPOINTS in present
        else None,
    )


def _frame_rate(table: pa.Table, about: Description, place: str) -> float:
    rates = np.unique(_numbers(table, "fps", pa.float32(), place))
    if len(rates) and (len(rates) > 1 or abs(float(rates[0]) - about.fps) > 1e-3 * about.fps):
        listed = ", ".join(f"{rate:g}" for rate in rates[:3])
        raise DamagedError(
            place, f"column fps holds {listed} but the header says {about.fps:g}", "make it again"
        )
    return about.fps


def _labels(table: pa.Table, name: str, place: str) -> NDArray[np.str_]:
    """Read a column of strings (N,), decoding each distinct value only once."""
    kind = table.schema.field(name).type
    plain = kind.value_type if pat.is_dictionary(kind) else kind
    if not (pat.is_string(plain) or pat.is_large_string(plain)):
        raise _wrong_type(place, name, kind, "string")
    column = table[name]
    try:  # dictionary indices out of range or invalid UTF-8 must be found before they are used
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        raise DamagedError(place, f"column {name} is not text: {error}", "make it again") from None
    column = column.combine_chunks()
    if not pat.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries().combine_chunks()
    names = np.asarray(column.dictionary.to_pylist() or [""], np.str_)
    labels: NDArray[np.str_] = names[column.indices.to_numpy(zero_copy_only=False)]
    return labels


def _numbers(table: pa.Table, name: str, kind: pa.DataType, place: str) -> NDArray[Any]:
    actual = table.schema.field(name).type
    if actual != kind:
        raise _wrong_type(place, name, actual, str(kind))
    values: NDArray[Any] = table[name].combine_chunks().to_numpy(zero_copy_only=False)
    return values


def _points(table: pa.Table, name: str, shape: tuple[int, int], place: str) -> NDArray[np.float32]:
    """Read a column of fixed-size lists as points (N, *shape)."""
    kind = table.schema.field(name).type
    if not pat.is_fixed_size_list(kind) or kind.value_type != pa.float32():
        raise _wrong_type(place, name, kind, "fixed_size_list<float32>")
    joints, axes = shape
    if kind.list_size != joints * axes:
        raise DamagedError(
            place,
            f"column {name} holds {kind.list_size / axes:g} joints a row, "
            f"the header's skeleton has {joints}",
            "name the right skeleton in store.json, or convert the joints",
        )
    column = table[name].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], kind)
    flat: NDArray[np.float32] = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, joints, axes)


def _wrong_type(place: str, column: str, actual: pa.DataType, expected: str) -> DamagedError:
    return DamagedError(place, f"column {column} is {actual}", f"it must be {expected}")
