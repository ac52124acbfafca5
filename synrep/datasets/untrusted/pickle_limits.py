"""What a pickle may hold: instructions, sizes and nesting, known before anything is built.

Python builds whatever a pickle says, and some of it kills or blocks the process without any code
being run: a key made of a million nested tuples overflows the C stack when it is hashed, and sixty
tuples that each hold the one before twice take a lifetime.
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
"""Instructions of a pickle that plain data never need."""
DEEPEST = 100
"""Tuples within tuples."""
MOST = 1_000_000
"""Values in a tuple and the tuples in it, each counted as often as it is met."""
VALUE_BYTES = 256
"""What a value of Python's counts for beside an array's bytes: working with many is slow."""


class RefusedError(Exception):
    """The file holds something other than plain data; the message says what."""


class _Size(NamedTuple):
    """Of a value that is built: how deep its tuples go, and how many values they hold."""

    depth: int = 0
    values: int = 1


def scan(stream: IO[bytes]) -> None:
    """Read through a pickle without building it: its lengths are real, its instructions known.

    Raises:
        RefusedError: an instruction that plain data never need.
        ValueError: it is no pickle, or holds more than it may; pickletools raises others too.
    """
    stack: list[_Size | None] = []  # None is a mark
    memo: dict[int, _Size] = {}
    for count, (opcode, given, _) in enumerate(pickletools.genops(stream)):
        name, value = opcode.name, given or 0
        if name in REFUSED_OPCODES:
            raise RefusedError(f"the pickle instruction {name}")
        if name.endswith("PUT") or name == "MEMOIZE":
            number = len(memo) if name == "MEMOIZE" else int(value)
            # Python makes room for as many remembered objects as the highest number says.
            if number > count:
                raise ValueError("it numbers more objects than it has")
            memo[number] = stack[-1] or _Size()
        elif name.endswith("GET"):
            stack.append(memo[int(value)])
        else:
            _step(opcode, stack)


def _step(opcode: pickletools.OpcodeInfo, stack: list[_Size | None]) -> None:
    """Take from the stack what an instruction takes, and put there what it leaves."""
    name, before = opcode.name, opcode.stack_before
    if name == "DUP":
        stack.append(stack[-1])
        return
    taken: list[_Size] = []
    if pickletools.markobject in before or (name == "POP" and stack[-1] is None):
        while (size := stack.pop()) is not None:
            taken.append(size)
        before = before[: before.index(pickletools.markobject)] if name != "POP" else []
    below = [stack.pop() or _Size() for _ in before]
    if "TUPLE" in name:
        stack.append(_tuple_of(taken + below))
    elif opcode.stack_after == [pickletools.markobject]:
        stack.append(None)
    elif opcode.stack_after:
        # What is changed in place, by BUILD or APPENDS, was taken last and keeps its size.
        stack.append(below[-1] if below and name != "REDUCE" else _Size())


def _tuple_of(parts: Iterable[_Size]) -> _Size:
    found = [*parts]
    size = _Size(
        1 + max((part.depth for part in found), default=0), 1 + sum(part.values for part in found)
    )
    if size.depth > DEEPEST or size.values > MOST:
        raise ValueError(f"tuples nested more than {DEEPEST} deep, or of more than {MOST} values")
    return size


def check_unfolded(value: Any, limit_bytes: int, known: dict[int, int] | None = None) -> int:
    """Count what is in a value, each part as often as it is referred to.

    A few lists that hold each other twice are small, until a program walks through them or makes
    an array of them.

    Args:
        value: what was built.
        limit_bytes: most that it may come to.
        known: of the parts that were counted already, by identity.

    Returns:
        The bytes of its arrays, and `VALUE_BYTES` for each other value.

    Raises:
        ValueError: it comes to more, or holds itself.
    """
    known = {} if known is None else known
    parts = _parts(value)
    if parts is None:
        return int(value.nbytes) if isinstance(value, np.ndarray) else VALUE_BYTES
    if known.get(id(value)) == 0:
        raise ValueError("a container that holds itself")
    if id(value) not in known:
        known[id(value)] = 0
        total = VALUE_BYTES + sum(check_unfolded(part, limit_bytes, known) for part in parts)
        if total > limit_bytes:
            raise ValueError(f"parts that hold each other and come to {total} bytes")
        known[id(value)] = total
    return known[id(value)]


def _parts(value: Any) -> Iterable[Any] | None:
    """What a container holds; None of what is none."""
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, list | tuple):
        return value
    return value.flat if isinstance(value, np.ndarray) and value.dtype.hasobject else None
