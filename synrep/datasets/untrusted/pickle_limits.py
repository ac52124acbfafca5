"""Check the opcodes, sizes and nesting of a pickle before it is loaded.

A pickle can crash or block the process without calling any function: hashing a key made of a
million nested tuples overflows the C stack, and hashing sixty tuples, each of which contains the
previous one twice, takes exponential time.
"""

from __future__ import annotations

import pickletools
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

REFUSED_OPCODES = {
    "PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX",
    "NEXT_BUFFER", "READONLY_BUFFER",
}  # fmt: skip
"""Opcodes that plain data never need."""
MAX_DEPTH = 100
"""Deepest nesting of tuples that is accepted."""
MAX_VALUES = 1_000_000
"""Most values in a tuple and the tuples inside it; shared ones count once per reference."""
VALUE_BYTES = 256
"""Size attributed to each Python value that is not an array, since handling many is slow."""


class RefusedError(Exception):
    """The file contains something other than plain data; the message names it."""


class _Size(NamedTuple):
    """Nesting depth of a value's tuples, and number of values in them."""

    depth: int = 0
    values: int = 1


def scan(stream: IO[bytes]) -> None:
    """Check all opcodes of a pickle by simulating the sizes on its stack, without building values.

    Raises:
        RefusedError: the pickle uses an opcode that plain data never need.
        ValueError: the stream is not a pickle or exceeds a limit; pickletools raises other
            exceptions too.
    """
    stack: list[_Size | None] = []  # None is a mark
    memo: dict[int, _Size] = {}
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        name, value = opcode.name, argument or 0
        if name in REFUSED_OPCODES:
            raise RefusedError(f"the pickle opcode {name}")
        if name.endswith("PUT") or name == "MEMOIZE":
            number = len(memo) if name == "MEMOIZE" else int(value)
            # The unpickler allocates its memo up to the highest index.
            if number > count:
                raise ValueError("a memo index exceeds the number of opcodes")
            memo[number] = stack[-1] or _Size()
        elif name.endswith("GET"):
            stack.append(memo[int(value)])
        else:
            _step(opcode, stack)


def _step(opcode: pickletools.OpcodeInfo, stack: list[_Size | None]) -> None:
    """Simulate the effect of an opcode on the stack."""
    name, before = opcode.name, opcode.stack_before
    if name == "DUP":
        stack.append(stack[-1])
        return
    above_mark: list[_Size] = []
    if pickletools.markobject in before or (name == "POP" and stack[-1] is None):
        while (size := stack.pop()) is not None:
            above_mark.append(size)
        before = before[: before.index(pickletools.markobject)] if name != "POP" else []
    below = [stack.pop() or _Size() for _ in before]
    if "TUPLE" in name:
        stack.append(_tuple_size(above_mark + below))
    elif opcode.stack_after == [pickletools.markobject]:
        stack.append(None)
    elif opcode.stack_after:
        # BUILD and APPENDS change in place the value that was popped last; it keeps its size.
        stack.append(below[-1] if below and name != "REDUCE" else _Size())


def _tuple_size(parts: list[_Size]) -> _Size:
    """Return the size of a tuple of the given parts; raise ValueError if it exceeds a limit."""
    size = _Size(
        1 + max((part.depth for part in parts), default=0), 1 + sum(part.values for part in parts)
    )
    if size.depth > MAX_DEPTH or size.values > MAX_VALUES:
        raise ValueError(
            f"tuples nested more than {MAX_DEPTH} deep, or of more than {MAX_VALUES} values"
        )
    return size


def check_unfolded(value: Any, limit_bytes: int, sizes: dict[int, int] | None = None) -> int:
    """Check the size of a loaded value, counting shared parts once per reference.

    A few nested lists that contain each other twice take little memory until a program traverses
    them or converts them to an array.

    Args:
        value: the loaded value.
        limit_bytes: largest total size that is accepted.
        sizes: sizes by identity of the containers that were counted already; 0 while one is being
            counted.

    Returns:
        The bytes of all arrays plus `VALUE_BYTES` for each other value.

    Raises:
        ValueError: the value exceeds the limit or contains itself.
    """
    sizes = {} if sizes is None else sizes
    children = _children(value)
    if children is None:
        return int(value.nbytes) if isinstance(value, np.ndarray) else VALUE_BYTES
    if sizes.get(id(value)) == 0:
        raise ValueError("a container that contains itself")
    if id(value) not in sizes:
        sizes[id(value)] = 0
        total = VALUE_BYTES + sum(check_unfolded(child, limit_bytes, sizes) for child in children)
        if total > limit_bytes:
            raise ValueError(f"nested containers that unfold to {total} bytes")
        sizes[id(value)] = total
    return sizes[id(value)]


def _children(value: Any) -> Iterable[Any] | None:
    """Return the values in a container, or None if the value is not a container."""
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, list | tuple):
        return value
    return value.flat if isinstance(value, np.ndarray) and value.dtype.hasobject else None
