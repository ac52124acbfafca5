"""What a MATLAB file may hold: sizes and nesting, known before SciPy reads it.

SciPy follows cells within cells by recursion in C, and unpacks whatever it is told to: a small file
could end the process or fill the memory. Elements of version 5 are a type, a size and data; those
of type 14 hold others.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER_BYTES, VERSION = 128, 1
MATRIX, PACKED, FLAGS = 14, 15, 6
TYPES = range(1, 19)
DEEPEST = 64
"""Cells and structs within others; MPII's have eight."""
LIMIT_BYTES = 4 << 30
"""Most that the packed parts of a file may come to; published ones need less than 1 GiB."""


def check_mat(content: bytes) -> None:
    """Walk through a file of version 5 without building anything; others hold no containers.

    Raises:
        ValueError: it is nested too deep, unpacks to too much, has elements of no known type, or
            its sizes contradict each other.
    """
    if len(content) < HEADER_BYTES or 0 in content[:4]:
        return  # version 4
    order = "<" if content[126:128] == b"IM" else ">"  # as SciPy takes it
    if content[125 if content[126:127] == b"I" else 124] != VERSION:
        return
    left = LIMIT_BYTES
    for variable in _variables(memoryview(content), order, left):
        left -= len(variable)
        _check_nesting(variable, order)


def _variables(content: memoryview, order: str, left: int) -> Iterator[memoryview]:
    """The top elements of a file, unpacked, with their type and size before them."""
    at = HEADER_BYTES
    while at + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, at)
        data = content[at : at + 8 + size]
        if kind == PACKED:
            unpacker = zlib.decompressobj()
            data = memoryview(unpacker.decompress(data[8:], left))
            if unpacker.unconsumed_tail:
                raise ValueError(f"it unpacks to more than {LIMIT_BYTES} bytes")
        left -= len(data)
        yield data
        at += 8 + size


def _check_nesting(data: memoryview, order: str) -> None:
    """Go from element to element; each must end where or before the one around it does."""
    at, ends = 0, [len(data)]
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        if kind >> 16:  # up to four bytes of data in the place of the size
            kind, size, step = kind & 0xFFFF, 0, 8
        else:
            step = 8 + size + (-size % 8)
        if kind not in TYPES:  # SciPy looks in a table without asking how long it is
            raise ValueError(f"an element is of type {kind}, which there is not")
        if at + 8 + size > ends[-1]:
            raise ValueError("an element is longer than the one that holds it")
        if kind == MATRIX and size:
            _check_start(data, at + 8, order)
            ends.append(at + 8 + size)
            step = 8
        if len(ends) > DEEPEST:
            raise ValueError(f"nested more than {DEEPEST} deep")
        at += step
        while len(ends) > 1 and at >= ends[-1]:
            ends.pop()


def _check_start(data: memoryview, at: int, order: str) -> None:
    """A matrix begins with its flags, whose size SciPy takes for granted."""
    if at + 8 > len(data) or struct.unpack_from(f"{order}II", data, at) != (FLAGS, 8):
        raise ValueError("a matrix does not begin with its flags")
