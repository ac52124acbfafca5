"""NumPy archives that hold pickled dictionaries, read without running what is in them.

Published pose files keep dictionaries of arrays inside object arrays, which NumPy stores as
pickles, and a pickle can call any function. Here a pickle may only build numbers, text, plain
containers and arrays of plain numbers or text; anything else is refused before it is called.
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
"""Most that one archive may unpack to; the largest published one needs about 2 GiB."""
DEFLATE_RATIO = 1040
"""Deflate packs at most 1032 bytes into one."""
KINDS = "biufcSU"
"""Kinds of plain arrays: truth values, numbers, bytes and text."""
_REMEDY = "get the file again from a source that you trust"


def read_npz(
    path: Path, only: Collection[str] | None = None, *, objects: bool = True
) -> dict[str, Any]:
    """The arrays of an .npz file by name.

    Object arrays keep their shape and hold what was pickled: containers, arrays, text, numbers.
    Pickles of Python 2 are read as Latin-1. Arrays that come out of a pickle are read-only.

    Args:
        path: the file.
        only: names of the arrays to read; those that the file lacks are left out.
        objects: whether pickled values are read too, or refused.

    Raises:
        InputError: the file can't be opened.
        DamagedError: it is no zip archive, cut off, altered, unpacks to more than it can hold,
            has a member outside of itself, or wants to run something.
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
    """What was read, as one array.

    Raises:
        DamagedError: its parts don't fit together.
    """
    try:
        return np.asarray(values)
    except (ValueError, OverflowError) as error:
        raise DamagedError(place, f"no array: {error}", _REMEDY) from None


def _refuse(path: Path, rule: str) -> NoReturn:
    raise DamagedError(str(path), rule, _REMEDY) from None


def _check_members(archive: zipfile.ZipFile, path: Path) -> None:
    """Names and claimed sizes, before anything is unpacked."""
    members = archive.infolist()
    if len({info.filename for info in members}) != len(members):
        _refuse(path, "two of its members have the same name")
    for info in members:
        name = info.filename
        if name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/"):
            _refuse(path, f"a member is named {name!r}, which leads out of the archive")
        if not name.endswith(".npy"):
            _refuse(path, f"its member {name!r} is no .npy array")
        if info.flag_bits & 1:
            _refuse(path, f"its member {name!r} is encrypted")
        if info.file_size > DEFLATE_RATIO * (info.compress_size + 64):
            _refuse(
                path,
                f"its member {name!r} claims {info.file_size} bytes, which its "
                f"{info.compress_size} can't hold",
            )
    if (total := sum(info.file_size for info in members)) > LIMIT_BYTES:
        _refuse(path, f"it claims to unpack to {total} bytes; at most {LIMIT_BYTES} are read")


def _member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, *, objects: bool
) -> NDArray[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on headers that Python 2 wrote
            return _array(archive, info, objects=objects)
    except RefusedError as error:
        _refuse(path, f"the array {info.filename!r} holds {error}, which is not plain data")
    except Exception as error:  # noqa: BLE001 - a damaged pickle can raise anything
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
    found, size = info.file_size - start, math.prod(shape) * dtype.itemsize
    if found != size:
        raise ValueError(f"its shape {shape} of {dtype} needs {size} bytes, it has {found}")
    with archive.open(info) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array, from the start of its member."""
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
    """The object array whose pickle begins at `start` of a member."""
    with archive.open(info) as stream:
        stream.read(start)
        scan(stream)
    with archive.open(info) as stream:
        stream.read(start)
        array = _plain(_Restricted(stream, encoding="latin1").load(), {})
        if stream.read(1):
            raise ValueError("bytes after the end of the pickle")
    if not isinstance(array, np.ndarray) or array.shape != shape:
        raise ValueError(f"the pickle is no array of shape {shape}")
    check_unfolded(array, LIMIT_BYTES)
    return array


class _Type:
    """A NumPy type while it is unpickled; only plain ones."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any, *_: object) -> None:
        self.code = code
        self.order: Any = "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if any(part is not None for part in state[2:5]):
            raise RefusedError(f"an array type with parts, {state[2:5]}")
        self.order = state[1]

    def dtype(self) -> np.dtype[Any]:
        """The type itself."""
        found = np.dtype(self.code).newbyteorder(self.order)
        if found.kind not in KINDS + "O":
            raise RefusedError(f"an array of {found}")
        return found


class _Array:
    """An array while it is unpickled; built once its size is known to be right."""

    __slots__ = ("built", "state")

    def __init__(self, *_: object) -> None:
        self.state: tuple[Any, ...] = ()
        self.built: NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def build(self, seen: dict[int, Any]) -> NDArray[Any]:
        """The array itself, whose raw content may hold others."""
        if self.built is not None:
            return self.built
        _, shape, kind, by_columns, raw = self.state
        dtype, count = kind.dtype(), math.prod(shape)
        if dtype.hasobject:
            if not isinstance(raw, list) or len(raw) != count:
                raise ValueError(f"an array of shape {shape} without {count} values")
            flat = np.empty(count, object)
            self.built = flat.reshape(shape, order="F" if by_columns else "C")
            for index, value in enumerate(raw):
                flat[index] = _plain(value, seen)
            return self.built
        content = raw.encode("latin1") if isinstance(raw, str) else raw
        if not isinstance(content, bytes) or len(content) != count * dtype.itemsize:
            raise ValueError(f"an array of shape {shape} and type {dtype} of another size")
        self.built = np.frombuffer(content, dtype).reshape(shape, order="F" if by_columns else "C")
        return self.built


class _Scalar:
    """A NumPy number: becomes one at once."""

    def __new__(cls, kind: _Type, raw: bytes | str) -> Any:
        content = raw.encode("latin1") if isinstance(raw, str) else raw
        dtype = kind.dtype()
        if dtype.hasobject or len(content) != dtype.itemsize:
            raise ValueError(f"a number of type {dtype} of another size")
        return np.frombuffer(content, dtype)[0]


class _Latin1:
    """Bytes that an old pickle keeps as text: become bytes at once."""

    def __new__(cls, text: str, encoding: str) -> Any:
        if encoding not in {"latin1", "latin-1"}:
            raise RefusedError(f"text encoded as {encoding!r}")
        return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): "ndarray",  # named by arrays, never called
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
"""What a pickle may name, and what stands for it here."""


class _Restricted(pickle.Unpickler):
    """An unpickler that finds the names of `_ALLOWED` alone."""

    def find_class(self, module: str, name: str, /) -> Callable[..., Any]:
        if (module, name) not in _ALLOWED:
            raise RefusedError(f"{module}.{name}")
        return _ALLOWED[module, name]


def _plain(value: Any, seen: dict[int, Any]) -> Any:
    """A value with real arrays for their stand-ins; `seen` keeps it and the result by identity."""
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
    """Refuse arrays as keys or members of a set: they have no stand-in there."""
    if any(isinstance(value, _Array | _Type) for value in values):
        raise RefusedError("an array where only a number or text can be")
