"""Check the sizes and nesting of a MATLAB file before SciPy reads it.

SciPy descends into nested cells by recursion in C, decompresses without a limit and trusts the
sizes that an array declares, so a small file could crash the process or exhaust its memory.
A data element of a version 5 file has a type, a size and data. Elements of type 14 are arrays and
contain other elements: the flags with the array's class, then plain elements (numbers or text),
then further arrays.
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
ARRAY, COMPRESSED, FLAGS = 14, 15, 6
PLAIN = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 17, 18}
"""Types of elements with numbers or text; SciPy's type table has no entry for other numbers."""
CELL, STRUCT, OBJECT, CHAR, SPARSE, FUNCTION, OPAQUE = 1, 2, 3, 4, 5, 16, 17
NUMERIC = range(CHAR, FUNCTION)
"""Classes of arrays that contain numbers or text and no other arrays."""
MIN_PLAIN = dict.fromkeys(NUMERIC, 3) | {
    SPARSE: 5,
    CELL: 2,
    STRUCT: 4,
    OBJECT: 5,
    FUNCTION: 2,
    OPAQUE: 3,
}
"""Number of plain elements that SciPy reads in an array of each class, after its flags."""
COMPLEX = 1 << 11
"""Flag of complex arrays, which have one more plain element, the imaginary part."""
MAX_DEPTH = 64
"""Deepest nesting of cells and structs that is accepted; MPII's file has eight levels."""
LIMIT_BYTES = 4 << 30
"""Largest decompressed size that is accepted; published files need less than 1 GiB."""


def check_mat(content: bytes) -> None:
    """Check all elements of a version 5 file; files of other versions contain no nested arrays.

    Raises:
        ValueError: the file is nested too deep or too large when decompressed, an element has an
            unknown type, or sizes contradict each other.
    """
    if len(content) < HEADER_BYTES or 0 in content[:4]:
        return  # version 4
    order = "<" if content[126:128] == b"IM" else ">"  # the byte order that SciPy assumes
    if content[125 if content[126:127] == b"I" else 124] != VERSION:
        return
    left = LIMIT_BYTES
    for variable in _variables(memoryview(content), order, left):
        left -= len(variable)
        kind, size = struct.unpack_from(f"{order}II", bytes(variable[:8]).ljust(8, b"\0"))
        if kind != ARRAY or not 0 < size <= len(variable) - 8:
            raise ValueError("a variable is not a complete array")
        _Checker(variable, order).check(8, 8 + size, 1)


def _variables(content: memoryview, order: str, left: int) -> Iterator[memoryview]:
    """Yield the top-level elements of a file, decompressed, including their type and size."""
    at = HEADER_BYTES
    while at + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, at)
        data = content[at : at + 8 + size]
        if kind == COMPRESSED:
            decompressor = zlib.decompressobj()
            data = memoryview(decompressor.decompress(data[8:], left))
            if decompressor.unconsumed_tail:
                raise ValueError(f"it decompresses to more than {LIMIT_BYTES} bytes")
        left -= len(data)
        yield data
        at += 8 + size


class _Checker:
    """Checks one variable recursively, array by array.

    Each array must contain every element that SciPy will read for it. Where one is missing, SciPy
    reads past the end of the array, takes the data that follow for the missing element, and can
    recurse deeper than the arrays are nested.
    """

    def __init__(self, data: memoryview, order: str) -> None:
        self.data = data
        self.pair = struct.Struct(f"{order}II").unpack_from
        self.order: Literal["little", "big"] = "little" if order == "<" else "big"

    def check(self, at: int, end: int, depth: int) -> None:
        """Check the array between two offsets and all arrays in it."""
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")
        if at + 16 > end or self.pair(self.data, at) != (FLAGS, 8):  # SciPy does not check
            raise ValueError("an array does not start with its flags")
        flags = self.pair(self.data, at + 8)[0]
        kind, at = flags & 0xFF, at + 16
        if kind not in MIN_PLAIN:
            raise ValueError(f"an array is of the unknown class {kind}")
        min_plain = MIN_PLAIN[kind] + (kind in NUMERIC and kind != CHAR and bool(flags & COMPLEX))
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
        if kind in NUMERIC and arrays:  # SciPy would expect numbers there
            raise ValueError("an array of numbers or text contains another array")
        if len(plain) < min_plain or arrays < self._arrays(kind, plain):
            raise ValueError("an array contains fewer elements than it declares")

    def _element(self, at: int, end: int) -> tuple[int, int, int, int]:
        """Return an element's type, data offset and data size, and the offset of the next one."""
        kind, size = self.pair(self.data, at) if at + 8 <= end else (0, 0)
        data = at + 8
        after = data + size + (-size % 8)
        if kind >> 16:  # a small element: up to four bytes of data in place of the size
            kind, size, data, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        whole = kind == ARRAY and data == at + 8 and size % 8 == 0
        if kind not in PLAIN and not whole:
            raise ValueError(f"an element is of the unknown type {kind}")
        if after > end or data + size > after:
            raise ValueError("an element is longer than the one that contains it")
        return kind, data, size, after

    def _arrays(self, kind: int, plain: list[memoryview]) -> int:
        """Return how many arrays SciPy reads inside an array with the given plain elements."""
        if kind == OPAQUE:
            return 1
        sizes = [self._int(plain[0][i : i + 4]) for i in range(0, len(plain[0]) // 4 * 4, 4)]
        if min(sizes, default=-1) < 0:
            raise ValueError("an array has no dimensions, or negative ones")
        if kind == FUNCTION or kind in NUMERIC:
            return int(kind == FUNCTION)
        if kind == CELL:
            return math.prod(sizes)
        length, names = plain[MIN_PLAIN[kind] - 2 :][:2]
        width = self._int(length[:4])
        if width <= 0:
            raise ValueError("the field names have no length")
        return math.prod(sizes) * (len(names) // width)

    def _int(self, data: memoryview) -> int:
        return int.from_bytes(data, self.order, signed=True)
