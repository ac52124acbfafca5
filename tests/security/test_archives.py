"""Archives of data sets that want to run code, or to fill the memory or the day."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import scipy.io

from tests.security import seeds
from tests.security.conftest import Evil

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Refused = Any
GLOBALS = [
    *("os system", "posix system", "nt system", "builtins eval", "builtins exec", "builtins open"),
    *("builtins getattr", "builtins __import__", "builtins compile", "builtins breakpoint"),
    *("subprocess Popen", "subprocess check_output", "importlib import_module", "runpy run_path"),
    *("operator attrgetter", "operator methodcaller", "functools partial", "functools reduce"),
    *("numpy load", "numpy fromfile", "numpy memmap", "numpy.testing._private.utils runstring"),
    *("pickle loads", "_pickle Unpickler", "codecs decode", "bdb Bdb", "pty spawn", "torch load"),
    *("numpy dtype.__class__", "numpy ndarray.tofile", "numpy.f2py.crackfortran getlincoef"),
    *("synrep.datasets.untrusted.npz _Restricted", "ctypes CDLL"),
    *("types CodeType", "types FunctionType"),
]  # fmt: skip
"""What attacks on unpicklers name, as `module name`."""


def named(module: str, name: str, argument: str) -> bytes:
    """A pickle of protocol 4 that calls a function by its name with one text."""
    parts = [
        b"\x80\x04",
        *(b"\x8c" + bytes([len(w)]) + w.encode() for w in (module, name)),
        b"\x93",
    ]
    return b"".join([*parts, b"\x8c", bytes([len(argument)]), argument.encode(), b"\x85R."])


def archive(pickled: bytes, key: str = "positions_3d", shape: str = "()") -> bytes:
    """An .npz whose one object array is that pickle."""
    header = f"{{'descr': '|O', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + pickled
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{key}.npy", member)
    return buffer.getvalue()


def plain(header: str, data: bytes = b"", name: str = "positions_3d.npy") -> bytes:
    """An .npz whose one array has any header, and any name."""
    text = header.encode() + b"\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data)
    return buffer.getvalue()


@pytest.fixture
def human36m(tmp_path: Path, refused: Refused) -> Callable[..., str]:
    """Function: content of data_3d_h36m.npz -> what `synrep data prepare` says of it."""

    def run(content: bytes, says: str = "") -> str:
        (tmp_path / "data_3d_h36m.npz").write_bytes(content)
        words = ("synrep", "data", "prepare", "human36m", "--root", tmp_path)
        message: str = refused(*words, "--out", tmp_path / "store", says=says)
        return message

    return run


@pytest.mark.parametrize("name", GLOBALS)
def test_nothing_that_a_pickle_names_is_called(human36m: Any, trace: Path, name: str) -> None:
    """Each is refused by its name before it is looked up."""
    module, function = name.split()
    human36m(archive(named(module, function, f"touch {trace}")), "which is not plain data")


def test_pickles_of_objects_and_their_tricks(human36m: Any, trace: Path) -> None:
    """As they are written by Python itself, in every protocol, and nested in what is allowed."""
    evil = Evil(trace)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for value in (
            evil,
            {"S1": evil},
            np.array({"S1": [evil]}, object),
            (evil,),
            {"a": {1: evil}},
        ):
            human36m(archive(pickle.dumps(value, protocol)), "which is not plain data")
    state = (
        b"\x80\x02cnumpy\ndtype\n(X\x02\x00\x00\x00O8K\x00K\x01tR(K\x03X\x01\x00\x00\x00|NNNNtb."
    )
    human36m(archive(state))  # a type, no array
    human36m(archive(b"\x80\x02cnumpy\nndarray\n."))  # a name by itself
    human36m(archive(b"\x80\x02cbuiltins\nset\ncbuiltins\nset\n\x85R."))


def test_nesting_that_kills_or_never_ends(human36m: Any) -> None:
    """Each of these is small; hashing, walking or converting what it says is not."""
    deep = b"\x80\x02}" + b")" + b"\x85" * 1_000_000 + b"K\x01s."
    human36m(archive(deep), "nested more than")
    twice = b"".join(b"h" + bytes([level]) + b"\x86q" + bytes([level + 1]) for level in range(60))
    human36m(archive(b"\x80\x02})q\x00" + twice + b"K\x01s."), "nested more than")
    lists: Any = [1.0]
    for _ in range(60):
        lists = [lists, lists]
    human36m(archive(pickle.dumps(np.array({"S1": {"Walking": lists}}, object))), "come to")
    wide = np.zeros(1_000_000)
    shared = {"S1": {"Walking": [wide] * 100_000}}
    human36m(archive(pickle.dumps(np.array(shared, object))), "come to")
    itself: dict[str, Any] = {}
    itself["S1"] = itself
    human36m(archive(pickle.dumps(np.array(itself, object))), "holds itself")
    human36m(archive(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."))
    human36m(archive(b"\x80\x02K\x01r\xff\xff\xff\xff."), "numbers more objects")


@pytest.mark.parametrize(
    "positions",
    [[[1.0], [1.0, 2.0]], "text", None, {"a": 1}, [[["x"]]], [10**400], np.ones((2, 32, 4))],
)
def test_containers_of_something_else(human36m: Any, positions: Any) -> None:
    """What should be an array of positions is none."""
    human36m(archive(pickle.dumps(np.array({"S1": {"Walking": positions}}, object))))


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '<V1000000000', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': [('a', 'O')], 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1000000000,), }",
        "{'descr': __import__('os').system('x'), 'fortran_order': False, 'shape': (), }",
        "(" * 60_000,
    ],
)
def test_headers_that_lie(human36m: Any, header: str) -> None:
    """Room is made for what is there, not for what is claimed."""
    human36m(plain(header, b"N."))


@pytest.mark.parametrize(
    "name", ["../x.npy", "/x.npy", "a/../../x.npy", "C:x.npy", "..\\x.npy", "x.py", "x\x1b[31m.npy"]
)
def test_members_named_for_elsewhere(human36m: Any, name: str) -> None:
    """Nothing is unpacked to a file; such an archive is refused all the same."""
    human36m(plain("{'descr': '<f8', 'fortran_order': False, 'shape': (), }", b"0" * 8, name))


def test_archives_that_unpack_to_far_more(human36m: Any) -> None:
    """A bomb of one member: ten gigabytes of zeros would be ten megabytes."""
    content = bytearray(
        plain("{'descr': '|u1', 'fortran_order': False, 'shape': (9,), }", b"0" * 9)
    )
    for signature, at in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        start = content.find(signature) + at
        content[start : start + 4] = struct.pack("<I", 0xFFFFFFF0)
    human36m(bytes(content), "can't hold")
    human36m(b"PK\x05\x06" + b"\xff" * 18, "not a whole .npz file")


def test_keypoints_take_no_pickles_at_all(tmp_path: Path, refused: Refused, trace: Path) -> None:
    """Not even harmless ones: their arrays are plain."""
    for value in (Evil(trace), {"a": 1}, [1, 2]):
        (tmp_path / "model").touch()
        (tmp_path / "k.npz").write_bytes(archive(pickle.dumps(value), "keypoints"))
        refused(
            *("synrep", "lift", tmp_path / "model", tmp_path / "k.npz"),
            *("--skeleton", "coco-17", "--out", tmp_path / "o.npz"),
            says="pickled values",
        )


def test_matlab_files(tmp_path: Path, refused: Refused) -> None:
    """Sizes that lie, packed zeros, and other contents under the right name."""
    path = tmp_path / "mpii.mat"
    small, packed = seeds.mat()
    zeros = io.BytesIO()
    scipy.io.savemat(zeros, {"RELEASE": np.zeros(10_000_000)}, do_compression=True)
    for content in (
        b"",
        small[:200],
        small[:128] + b"\x0e\x00\x00\x00\xff\xff\xff\x7f" + small[136:],
        small.replace(struct.pack("<ii", 1, 1), struct.pack("<ii", 1 << 30, 1 << 30)),
        packed[:-20],
        zeros.getvalue(),
    ):
        path.write_bytes(content)
        refused("synrep", "data", "prepare", "mpii", "--root", path, "--out", tmp_path / "o.npz")


def nested_cells(depth: int) -> bytes:
    """A MATLAB file whose variable is a cell in a cell in a cell."""

    def element(kind: int, data: bytes) -> bytes:
        return struct.pack("<II", kind, len(data)) + data + b"\0" * (-len(data) % 8)

    def matrix(kind: int, name: bytes = b"") -> bytes:
        start = element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack("<ii", 1, 1))
        return start + element(1, name)

    parts = [element(14, matrix(6) + element(9, b"0" * 8))]
    size = len(parts[0])
    for level in range(depth):
        start = matrix(1, b"RELEASE" if level == depth - 1 else b"")
        parts.append(struct.pack("<II", 14, len(start) + size) + start)
        size += 8 + len(start)
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x100) + b"IM"
    return header + b"".join(reversed(parts))


def test_matlab_cells_nested_without_end(tmp_path: Path, refused: Refused) -> None:
    """SciPy would overflow its stack, and the process would be gone."""
    path = tmp_path / "mpii.mat"
    words = ("synrep", "data", "prepare", "mpii", "--root", path, "--out", tmp_path / "o.npz")
    path.write_bytes(nested_cells(3))
    refused(*words, says="no RELEASE.annolist")
    path.write_bytes(nested_cells(100_000))
    refused(*words, says="nested more than")
    liar = bytearray(nested_cells(100_000))
    liar[132:136] = struct.pack("<I", 8)  # of the outermost, which seems to end at once
    path.write_bytes(bytes(liar))
    refused(*words, says="not readable as MATLAB")


def test_hdf5_files_that_lead_to_others(tmp_path: Path, refused: Refused) -> None:
    """HDF5 can keep an array in another file, and follow a link to one."""
    secret, folder = tmp_path / "secret.h5", tmp_path / "S1/MyPoses/3D_positions"
    folder.mkdir(parents=True)
    with h5py.File(secret, "w") as file:
        file["3D_positions"] = np.zeros((96, 5))
    layout = h5py.VirtualLayout((96, 5), "f8")
    layout[:] = h5py.VirtualSource(secret, "3D_positions", (96, 5))
    for kind in ("link", "external", "virtual", "huge"):
        with h5py.File(folder / "Walking.h5", "w") as file:
            if kind == "link":
                file["3D_positions"] = h5py.ExternalLink(secret, "3D_positions")
            elif kind == "external":
                rest = [(str(secret), 0, h5py.h5f.UNLIMITED)]
                file.create_dataset("3D_positions", (96, 5), "f8", external=rest)
            elif kind == "virtual":
                file.create_virtual_dataset("3D_positions", layout)
            else:
                file.create_dataset("3D_positions", (96, 10**12), "f8", chunks=(96, 1))
        refused(
            *("synrep", "data", "prepare", "human36m", "--root", tmp_path),
            *("--out", tmp_path / "store"),
            says="(96, 1000000000000)" if kind == "huge" else "another file",
        )
