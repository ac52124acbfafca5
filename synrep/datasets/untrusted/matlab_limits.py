"""What a MATLAB file may hold: sizes and nesting, known before SciPy reads it.

SciPy follows cells within cells by recursion in C, unpacks whatever it is told to, and believes
what an array says of itself: a small file could end the process or fill the memory. Elements of
version 5 are a type, a size and data; those of type 14 are arrays, which hold others: flags with
their class, then some without others in them, then further arrays.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

HEADER_BYTES, VERSION = 128, 1
ARRAY, PACKED, FLAGS = 14, 15, 6
PLAIN = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 17, 18}
"""Types of numbers and text: SciPy looks others up in a table that has nothing there."""
CELL, STRUCT, OBJECT, CHAR, SPARSE, FUNCTION, OPAQUE = 1, 2, 3, 4, 5, 16, 17
NUMERIC = range(CHAR, FUNCTION)
"""Classes of arrays that hold numbers or text, and no other arrays."""
LEAST = dict.fromkeys(NUMERIC, 3) | {
    SPARSE: 5,
    CELL: 2,
    STRUCT: 4,
    OBJECT: 5,
    FUNCTION: 2,
    OPAQUE: 3,
}
"""How many plain elements SciPy reads in an array of each class, after its flags."""
COMPLEX = 1 << 11
"""Flag of arrays that have another plain element, the imaginary part."""
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
        kind, size = struct.unpack_from(f"{order}II", bytes(variable[:8]).ljust(8, b"\0"))
        if kind != ARRAY or not 0 < size <= len(variable) - 8:
            raise ValueError("a variable is no whole array")
        _Walk(variable, order).check(8, 8 + size, 1)


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


class _Walk:
    """Goes through one variable, array by array.

    Each must hold all that SciPy will read for it: where something is missing SciPy reads on, takes
    what follows for it, and goes deeper than arrays are nested.
    """

    def __init__(self, data: memoryview, order: str) -> None:
        self.data = data
        self.pair = struct.Struct(f"{order}II").unpack_from
        self.order: Literal["little", "big"] = "little" if order == "<" else "big"

    def check(self, at: int, end: int, depth: int) -> None:
        """Check the array between two places, and all in it."""
        if depth > DEEPEST:
            raise ValueError(f"nested more than {DEEPEST} deep")
        if at + 16 > end or self.pair(self.data, at) != (FLAGS, 8):  # SciPy does not ask
            raise ValueError("an array does not begin with its flags")
        flags = self.pair(self.data, at + 8)[0]
        kind, at = flags & 0xFF, at + 16
        if kind not in LEAST:
            raise ValueError(f"an array is of class {kind}, which there is not")
        least = LEAST[kind] + (kind in NUMERIC and kind != CHAR and bool(flags & COMPLEX))
        plain: list[memoryview] = []
        arrays = 0
        while at < end:
            element, data, size, after = self._element(at, end)
            if element == ARRAY:
                arrays += 1
                if size:
                    self.check(data, data + size, depth + 1)
            else:
                plain.append(self.data[data : data + size])
            at = after
        if kind in NUMERIC and arrays:  # SciPy would look for the type of its numbers
            raise ValueError("an array of numbers or text holds another array")
        if len(plain) < least or arrays < self._arrays(kind, plain):
            raise ValueError("an array holds less than it says")

    def _element(self, at: int, end: int) -> tuple[int, int, int, int]:
        """Type of an element, where its data is, their size, and where the next element is."""
        kind, size = self.pair(self.data, at) if at + 8 <= end else (0, 0)
        data = at + 8
        after = data + size + (-size % 8)
        if kind >> 16:  # up to four bytes of data in the place of the size
            kind, size, data, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        whole = kind == ARRAY and data == at + 8 and size % 8 == 0
        if kind not in PLAIN and not whole:
            raise ValueError(f"an element is of type {kind}, which there is not")
        if after > end or data + size > after:
            raise ValueError("an element is longer than the one that holds it")
        return kind, data, size, after

    def _arrays(self, kind: int, plain: list[memoryview]) -> int:
        """How many arrays SciPy reads in one of a class; `plain` are the other elements of it."""
        if kind == OPAQUE:
            return 1
        sizes = [self._int(plain[0][i : i + 4]) for i in range(0, len(plain[0]) // 4 * 4, 4)]
        if min(sizes, default=-1) < 0:
            raise ValueError("an array has no sizes, or negative ones")
        if kind == FUNCTION or kind in NUMERIC:
            return int(kind == FUNCTION)
        if kind == CELL:
            return math.prod(sizes)
        length, names = plain[LEAST[kind] - 2 :][:2]
        width = self._int(length[:4])
        if width <= 0:
            raise ValueError("names of fields have no length")
        return math.prod(sizes) * (len(names) // width)

    def _int(self, data: memoryview) -> int:
        return int.from_bytes(data, self.order, signed=True)
