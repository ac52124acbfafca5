"""NumPy archives with pickles: plain data are read, no code runs, and sizes are bounded."""

from __future__ import annotations

import io
import os
import pickle
import resource
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synrep.datasets.untrusted.npz import read_npz
from synrep.errors import DamagedError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }"


def write_member(path: Path, content: bytes, header: bytes = HEADER, name: str = "data") -> Path:
    """An archive with one member: a NumPy header and any bytes after it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1)
        archive.writestr(f"{name}.npy", start + header + b"\n" + content)
    return path


def text(value: bytes) -> bytes:
    """A short string as Python 2 pickles it."""
    return b"U" + bytes([len(value)]) + value


def python2_array(shape: bytes, kind: bytes, order: bytes, raw: bytes) -> bytes:
    """Instructions of a pickle of Python 2 that build an array; `raw` pushes its content."""
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"
        + text(b"b")
        + b"\x87R(K\x01"
        + shape
        + b"cnumpy\ndtype\n"
        + text(kind)
        + b"K\x00K\x01\x87R(K\x03"
        + text(order)
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + raw
        + b"tb"
    )


def test_dictionaries_of_arrays_as_numpy_writes_them(tmp_path: Path) -> None:
    """The nesting of published pose files, and a plain array beside it."""
    walk = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    nested = {
        "S1": {"Walking 1": walk, "Sitting": [walk[..., :2], np.asfortranarray(walk[0])]},
        "mixed": (1, 2.5, "text", None, True, {3, 4}, np.float32(0.5), np.int64(7)),
        "labels": np.array(["left", "right"]),
        "ragged": np.array([[1, 2], [3]], dtype=object),
        "big": 1 << 80,
    }
    nested["again"] = nested["S1"]
    np.savez_compressed(tmp_path / "poses.npz", positions=np.array(nested, object), plain=walk)
    found = read_npz(tmp_path / "poses.npz")
    np.testing.assert_array_equal(found["plain"], walk)
    content = found["positions"].item()
    assert list(content) == ["S1", "mixed", "labels", "ragged", "big", "again"]
    np.testing.assert_array_equal(content["S1"]["Walking 1"], walk)
    np.testing.assert_array_equal(content["S1"]["Sitting"][0], walk[..., :2])
    np.testing.assert_array_equal(content["S1"]["Sitting"][1], walk[0])
    assert content["S1"]["Walking 1"].dtype == np.float32
    assert content["mixed"] == nested["mixed"]
    assert content["labels"].tolist() == ["left", "right"]
    assert content["ragged"].tolist() == [[1, 2], [3]]
    assert content["big"] == 1 << 80
    assert content["again"] is content["S1"]


def test_pickles_of_python_2(tmp_path: Path) -> None:
    """Raw numbers kept as a string of bytes above 127, big-endian ones too, in an object array."""
    numbers = np.array([-1.5, 1e300, 200.0])
    inner = b"".join(
        b"U\x01" + name + python2_array(b"K\x03\x85", b"f8", order, b"U\x18" + raw)
        for name, order, raw in (
            (b"a", b"<", numbers.astype("<f8").tobytes()),
            (b"b", b">", numbers.astype(">f8").tobytes()),
        )
    )
    outer = python2_array(b")", b"O8", b"|", b"](}(" + inner + b"ue")
    header = b"{'descr': '|O4', 'fortran_order': False, 'shape': (), }"
    write_member(tmp_path / "old.npz", b"\x80\x02" + outer + b".", header)
    content = read_npz(tmp_path / "old.npz")["data"].item()
    np.testing.assert_array_equal(content["a"], numbers)
    np.testing.assert_array_equal(content["b"], numbers)


def test_both_names_of_numpys_core_and_old_protocols(tmp_path: Path) -> None:
    """What old and new versions of NumPy and Python write is the same data."""
    values = np.linspace(-1, 1, 7)
    for protocol in (0, 1, 2, 3, 4):
        pickled = pickle.dumps(np.array({"a": values, "n": values[3]}, object), protocol)
        for module in (b"numpy._core", b"numpy.core"):
            if protocol == 4 and module == b"numpy.core":
                continue  # lengths of names come before them
            content = pickled.replace(b"numpy._core", module)
            assert module in content
            found = read_npz(write_member(tmp_path / "x.npz", content))["data"].item()
            np.testing.assert_array_equal(found["a"], values)
            assert found["n"] == 0.0


def refused(path: Path, *words: str) -> None:
    """Check that reading raises one error that names the file and contains the given words."""
    with pytest.raises(DamagedError) as caught:
        read_npz(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "get the file again from a source that you trust" in message
    for word in words:
        assert word in message


class Runs:
    """An object whose pickle runs a command."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """What unpickling calls."""
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_code_in_a_pickle_does_not_run(tmp_path: Path, protocol: int) -> None:
    """The same bytes do run in an unpickler without restriction; here the name is refused."""
    trace = tmp_path / "trace"
    payload = {"S1": Runs(os.mkdir, str(trace))}
    pickled = pickle.dumps(np.array(payload, object), protocol)
    pickle.loads(pickled)
    assert trace.is_dir()  # the bytes are harmful
    trace.rmdir()
    refused(write_member(tmp_path / "evil.npz", pickled), "posix.mkdir", "not plain data")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("pickled", "word"),
    [
        (pickle.dumps(Path("somewhere")), "pathlib"),
        (pickle.dumps(Runs(eval, "1")), "eval"),
        (pickle.dumps(np.array([1, 2]).astype("M8[s]")), "datetime64"),
        (pickle.dumps(np.zeros(2, [("a", "f4")])), "type"),
        (b"cbuiltins\nset\n.", "the name"),
        (b"(ios\nsystem\n.", "INST"),
        (b"\x82\x01.", "EXT1"),
        (pickle.dumps({"a": 1}), "not an array of shape ()"),
        (pickle.dumps(np.array({}, object)) + b"more", "after the end"),
        (b"\x8e" + struct.pack("<Q", 10 << 30) + b"x.", "bytes8"),
        (b"T\xff\xff\xff\x7fx.", "string4"),
        (b"Nr\xff\xff\xff\x7f.", "a memo index exceeds"),
        (b"(" * 10, "can't be read"),
        (b"", "can't be read"),
        (
            python2_array(b"\x8a\x05\x00\x00\x00\x00\x01\x85", b"O8", b"|", b"](Ne") + b".",
            "does not have 4294967296 values",
        ),
        (
            python2_array(b"\x8a\x05\x00\x00\x00\x00\x01\x85", b"f8", b"<", b"U\x01x") + b".",
            "has another size",
        ),
    ],
)
def test_anything_but_plain_data_is_refused(tmp_path: Path, pickled: bytes, word: str) -> None:
    """Pickles with other classes, other opcodes or wrong sizes are refused."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(write_member(tmp_path / "x.npz", pickled), word)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_deep_and_repeated_nesting_ends(tmp_path: Path) -> None:
    """Nesting causes neither unbounded recursion nor exponential time."""
    deep = b"]" * 100_000 + b"a" * 99_999 + b"."
    refused(write_member(tmp_path / "deep.npz", deep), "can't be read")
    wide: Any = (1,)
    for _ in range(200):
        wide = (wide, wide)
    pickled = pickle.dumps(np.array({"a": wide}, object))
    refused(write_member(tmp_path / "wide.npz", pickled), "nested more than")


def patched(path: Path, offset: int, signature: bytes, value: int) -> None:
    """Overwrite a 4-byte field of every zip header of a kind."""
    content = bytearray(path.read_bytes())
    at = content.find(signature)
    while at >= 0:
        content[at + offset : at + offset + 4] = struct.pack("<I", value)
        at = content.find(signature, at + 1)
    path.write_bytes(bytes(content))


def test_absurd_sizes_are_refused_without_memory(tmp_path: Path) -> None:
    """A shape of 10 GB in a small member, and zip headers that claim 4 GB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2684354560,), }"
    refused(write_member(tmp_path / "shape.npz", b"1234", header), "needs 10737418240 bytes")
    path = write_member(tmp_path / "zip.npz", b"1234", header)
    patched(path, 24, b"PK\x01\x02", 0xFFFFFFF0)
    refused(path, "declares 4294967280 bytes")
    many = tmp_path / "bomb.npz"
    with zipfile.ZipFile(many, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"{number}.npy", b"\0" * 5_000_000)
    patched(many, 24, b"PK\x01\x02", 0xFFFFFFF0)
    patched(many, 20, b"PK\x01\x02", 0x00FFFFFF)
    refused(many, "at most 8589934592 are read")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_members_stay_inside(tmp_path: Path) -> None:
    """Names that lead elsewhere, twice the same name, and other kinds of files."""
    for name in ("../../out.npy", "/etc/out.npy", "a\\out.npy", "C:out.npy"):
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            archive.writestr(zipfile.ZipInfo(name), b"")
        refused(tmp_path / "x.npz", "leads out")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("readme.txt", b"hello")
    refused(tmp_path / "x.npz", "'readme.txt' is not an .npy array")


def test_files_that_are_not_archives(tmp_path: Path) -> None:
    """Missing, empty, another kind, cut off anywhere."""
    with pytest.raises(InputError, match="No such file"):
        read_npz(tmp_path / "nowhere.npz")
    path = tmp_path / "x.npz"
    for content in (b"", b"\x93NUMPY", pickle.dumps({}), b"version https://git-lfs"):
        path.write_bytes(content)
        refused(path, "not a whole .npz file")
    np.savez_compressed(path, a=np.arange(999), b=np.array({"x": np.arange(9)}, object))
    whole = path.read_bytes()
    for length in range(1, len(whole) - 1, 97):
        path.write_bytes(whole[:length])
        refused(path)


WHOLE = io.BytesIO()
np.savez(WHOLE, a=np.arange(5.0), b=np.array({"x": [np.arange(3), (1, "y")]}, object))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(at=st.integers(0, len(WHOLE.getvalue()) - 1), byte=st.integers(0, 255))
def test_a_changed_byte_never_does_more_than_raise(tmp_path: Path, at: int, byte: int) -> None:
    """Any single altered byte is either read as data or one InputError."""
    content = bytearray(WHOLE.getvalue())
    content[at] = byte
    path = tmp_path / "changed.npz"
    path.write_bytes(bytes(content))
    try:
        found = read_npz(path)
    except InputError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert all(isinstance(value, np.ndarray) for value in found.values())
