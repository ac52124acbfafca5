"""Read NumPy archives with pickled dictionaries without executing code from them.

Published pose files contain dictionaries of arrays inside object arrays. NumPy stores these as
pickles, and a pickle can call any function. This reader accepts only pickles of numbers, text,
plain containers and arrays of plain numbers or text; anything else is refused before it is called.
"""

from __future__ import annotations

import math
import pickle
import warnings
import zipfile
from typing import IO, TYPE_CHECKING, Any, NoReturn

import numpy as np

from synrep.datasets.untrusted.pickle_limits import RefusedError, check_unfolded, scan
from synrep.errors import DamagedError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

LIMIT_BYTES = 8 << 30
"""Largest decompressed size that is accepted; the largest published archive needs about 2 GiB."""
DEFLATE_RATIO = 1040
"""Upper bound of the compression ratio; that of Deflate is at most 1032."""
KINDS = "biufcSU"
"""Dtype kinds of plain arrays: booleans, numbers, bytes and text."""
_REMEDY = "get the file again from a source that you trust"


def read_npz(
    path: Path, only: Collection[str] | None = None, *, objects: bool = True
) -> dict[str, Any]:
    """Read the arrays of an .npz file, by name.

    Object arrays keep their shape and contain the pickled values: containers, arrays, text and
    numbers. Pickles of Python 2 are decoded as Latin-1. Arrays from a pickle are read-only.

    Args:
        path: the file.
        only: names of the arrays to read, all by default; those that the file lacks are left out.
        objects: whether to read pickled values; if False, they are refused.

    Raises:
        InputError: the file can't be opened.
        DamagedError: the file is not a zip archive, truncated or altered, declares an impossible
            size or a path out of the archive, or contains something other than plain data.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, path)
            return {
                info.filename.removesuffix(".npy"): _member(archive, info, path, objects=objects)
                for info in archive.infolist()
                if only is None or info.filename.removesuffix(".npy") in only
            }
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        _refuse(path, f"not a whole .npz file: {error}")
    except OSError as error:
        raise InputError(str(path), f"can't be read: {error.strerror or error}") from None


def as_array(values: Any, place: str) -> NDArray[Any]:
    """Convert values from an archive to one array.

    Raises:
        DamagedError: the values don't form an array.
    """
    try:
        return np.asarray(values)
    except (ValueError, OverflowError) as error:
        raise DamagedError(place, f"not an array: {error}", _REMEDY) from None


def _refuse(path: Path, rule: str) -> NoReturn:
    raise DamagedError(str(path), rule, _REMEDY) from None


def _check_members(archive: zipfile.ZipFile, path: Path) -> None:
    """Check the names and declared sizes of all members before decompressing any."""
    members = archive.infolist()
    if len({info.filename for info in members}) != len(members):
        _refuse(path, "two of its members have the same name")
    for info in members:
        name = info.filename
        if name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/"):
            _refuse(path, f"a member is named {name!r}, which leads out of the archive")
        if not name.endswith(".npy"):
            _refuse(path, f"its member {name!r} is not an .npy array")
        if info.flag_bits & 1:
            _refuse(path, f"its member {name!r} is encrypted")
        if info.file_size > DEFLATE_RATIO * (info.compress_size + 64):
            _refuse(
                path,
                f"its member {name!r} declares {info.file_size} bytes, more than its "
                f"{info.compress_size} compressed bytes can contain",
            )
    if (total := sum(info.file_size for info in members)) > LIMIT_BYTES:
        _refuse(path, f"it declares {total} bytes in all; at most {LIMIT_BYTES} are read")


def _member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, *, objects: bool
) -> NDArray[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy warns about headers written by Python 2
            return _array(archive, info, objects=objects)
    except RefusedError as error:
        _refuse(path, f"the array {info.filename!r} contains {error}, which is not plain data")
    except Exception as error:  # noqa: BLE001 - damaged pickles raise arbitrary exceptions
        reason = str(error) or type(error).__name__
        _refuse(path, f"the array {info.filename!r} can't be read: {reason}")


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, *, objects: bool) -> NDArray[Any]:
    with archive.open(info) as stream:
        shape, dtype = _header(stream)
        start = stream.tell()
    if dtype.hasobject:
        if not objects:
            raise RefusedError("pickled values")
        return _objects(archive, info, start, shape)
    actual, expected = info.file_size - start, math.prod(shape) * dtype.itemsize
    if actual != expected:
        raise ValueError(f"its shape {shape} of {dtype} needs {expected} bytes, it has {actual}")
    with archive.open(info) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read the shape and dtype of an array from the start of its member."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise RefusedError(f"an array of format version {version}")
    if min(shape, default=0) < 0 or dtype.kind not in KINDS + "O":
        raise RefusedError(f"an array of shape {shape} and type {dtype}")
    return shape, dtype


def _objects(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, start: int, shape: tuple[int, ...]
) -> NDArray[Any]:
    """Read the object array whose pickle starts at offset `start` of a member."""
    with archive.open(info) as stream:
        stream.read(start)
        scan(stream)
    with archive.open(info) as stream:
        stream.read(start)
        array = _plain(_Restricted(stream, encoding="latin1").load(), {})
        if stream.read(1):
            raise ValueError("bytes after the end of the pickle")
    if not isinstance(array, np.ndarray) or array.shape != shape:
        raise ValueError(f"the pickle is not an array of shape {shape}")
    check_unfolded(array, LIMIT_BYTES)
    return array


class _Type:
    """Stand-in for a NumPy dtype during unpickling; accepts plain dtypes only."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any, *_: object) -> None:
        self.code = code
        self.order: Any = "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if any(part is not None for part in state[2:5]):
            raise RefusedError(f"a structured array type, {state[2:5]}")
        self.order = state[1]

    def dtype(self) -> np.dtype[Any]:
        """Return the real dtype."""
        dtype = np.dtype(self.code).newbyteorder(self.order)
        if dtype.kind not in KINDS + "O":
            raise RefusedError(f"an array of {dtype}")
        return dtype


class _Array:
    """Stand-in for an array during unpickling; the array is built after its size was checked."""

    __slots__ = ("built", "state")

    def __init__(self, *_: object) -> None:
        self.state: tuple[Any, ...] = ()
        self.built: NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def build(self, seen: dict[int, Any]) -> NDArray[Any]:
        """Return the real array, with real arrays for the stand-ins in it."""
        if self.built is not None:
            return self.built
        _, shape, kind, by_columns, raw = self.state
        dtype, count = kind.dtype(), math.prod(shape)
        if dtype.hasobject:
            if not isinstance(raw, list) or len(raw) != count:
                raise ValueError(f"an array of shape {shape} does not have {count} values")
            flat = np.empty(count, object)
            self.built = flat.reshape(shape, order="F" if by_columns else "C")
            for index, value in enumerate(raw):
                flat[index] = _plain(value, seen)
            return self.built
        content = raw.encode("latin1") if isinstance(raw, str) else raw
        if not isinstance(content, bytes) or len(content) != count * dtype.itemsize:
            raise ValueError(f"an array of shape {shape} and type {dtype} has another size")
        self.built = np.frombuffer(content, dtype).reshape(shape, order="F" if by_columns else "C")
        return self.built


class _Scalar:
    """Replacement for NumPy's scalar constructor; it returns a real scalar."""

    def __new__(cls, kind: _Type, raw: bytes | str) -> Any:
        content = raw.encode("latin1") if isinstance(raw, str) else raw
        dtype = kind.dtype()
        if dtype.hasobject or len(content) != dtype.itemsize:
            raise ValueError(f"a number of type {dtype} has another size")
        return np.frombuffer(content, dtype)[0]


class _Latin1:
    """Replacement for `_codecs.encode`, by which old pickles store bytes as Latin-1 text."""

    def __new__(cls, text: str, encoding: str) -> Any:
        if encoding not in {"latin1", "latin-1"}:
            raise RefusedError(f"text encoded as {encoding!r}")
        return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): "ndarray",  # an argument in the pickles of arrays, never called
    ("_codecs", "encode"): _Latin1,
    **{
        (module, name): stand_in
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        for name, stand_in in (("_reconstruct", _Array), ("scalar", _Scalar))
    },
    **{
        (module, kind.__name__): kind
        for module in ("builtins", "__builtin__")
        for kind in (set, frozenset)
    },
}
"""Names that a pickle may import, and the objects that replace them here."""


class _Restricted(pickle.Unpickler):
    """An unpickler that resolves only the names in `_ALLOWED`."""

    def find_class(self, module: str, name: str, /) -> Callable[..., Any]:
        if (module, name) not in _ALLOWED:
            raise RefusedError(f"{module}.{name}")
        return _ALLOWED[module, name]


def _plain(value: Any, seen: dict[int, Any]) -> Any:
    """Replace the stand-ins in a value; `seen` holds containers and results by identity."""
    if isinstance(value, _Array):
        return value.build(seen)
    if isinstance(value, _Type):
        return value.dtype()
    if id(value) in seen:
        return seen[id(value)][1]
    if isinstance(value, list):
        seen[id(value)] = value, value
        value[:] = [_plain(item, seen) for item in value]
    elif isinstance(value, dict):
        seen[id(value)] = value, value
        _hashed(value)
        value.update({key: _plain(item, seen) for key, item in value.items()})
    elif isinstance(value, tuple):
        result = tuple(_plain(item, seen) for item in value)
        seen[id(value)] = value, result
        return result
    elif isinstance(value, set | frozenset):
        _hashed(value)
    elif callable(value):
        raise RefusedError(f"the name {value!r} itself")
    return value


def _hashed(values: Iterable[Any]) -> None:
    """Refuse arrays as dictionary keys or set members, where stand-ins are not replaced."""
    if any(isinstance(value, _Array | _Type) for value in values):
        raise RefusedError("an array where only a number or text can be")
