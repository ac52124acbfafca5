"""Parse YAML into a tree of nodes that carry the line of every key.

The YAML 1.2 core schema applies: `1e-5` is a number; `off`, `no` and dates are strings. Features
that search files don't need are rejected: anchors and aliases (a short file could expand without
bound), tags, several documents, duplicate keys, NaN and infinity.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from synrep_search.search_file.problems import shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Value: TypeAlias = "bool | int | float | str | list[Node] | dict[str, Node] | None"

_DEEPEST = 16
_NULL = re.compile(r"null|Null|NULL|~|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LARGEST_INT = 2**63


@dataclass(frozen=True)
class Node:
    """A value of a search file with its position.

    Attributes:
        value: a scalar, a list of nodes or a mapping of names to nodes.
        where: `file:line` of the key (of the value itself inside a list), or the option `-o key`.
        folder: folder of the file, from which relative paths start; None for an option.
    """

    value: Value
    where: str
    folder: Path | None = None

    @property
    def mapping(self) -> dict[str, Node]:
        """Entries of the value; empty if it is not a mapping."""
        return self.value if isinstance(self.value, dict) else {}

    def plain(self) -> Any:
        """Return the value as plain Python data, without nodes."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def at(self, keys: Sequence[str | int]) -> Node:
        """Return the deepest node along a path; missing keys are skipped."""
        node = self
        for key in keys:
            if isinstance(node.value, dict) and key in node.value:
                node = node.value[str(key)]
            elif isinstance(node.value, list) and isinstance(key, int) and key < len(node.value):
                node = node.value[key]
        return node


class Unreadable(Exception):  # noqa: N818 - a fault of the text, not of the program
    """Raised for text that is not YAML or uses YAML that search files don't support.

    Attributes:
        line: counted from 1; 0 if unknown.
        column: counted from 1; 0 if unknown.
    """

    def __init__(self, rule: str, line: int = 0, column: int = 0) -> None:
        super().__init__(rule)
        self.line = line
        self.column = column


@dataclass(frozen=True)
class Origin:
    """The source of a text, from which positions are formatted.

    Attributes:
        name: path of the file as the user wrote it, or the option `-o key`.
        folder: folder of the file; None for an option, whose positions have no lines.
        note: text appended to each position, e.g. ` (extended by a.yaml:1)`.
    """

    name: str
    folder: Path | None = None
    note: str = ""

    def where(self, line: int, column: int = 0) -> str:
        """Format the position of a line (and column), counted from 1."""
        if self.folder is None or not line:
            return self.name + self.note
        return f"{self.name}:{line}" + (f":{column}" if column else "") + self.note


def parse(text: str, origin: Origin) -> Node:
    """Parse a text into a tree of nodes; an empty text is null.

    Raises:
        Unreadable: with the rule and, where known, the position.
    """
    # Imported here: it takes 40 ms and is not needed to read specifications from a ledger.
    from ruamel.yaml import YAML  # noqa: PLC0415
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415

    builder = _Builder(origin)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        rule = f"not valid YAML: {error.problem or error.context}"
        raise Unreadable(rule, mark.line + 1, mark.column + 1) from error
    except YAMLError as error:
        raise Unreadable(f"not valid YAML: {str(error).splitlines()[0]}") from error
    except (ValueError, OverflowError) as error:  # e.g. an escape beyond Unicode
        raise Unreadable(f"not valid YAML: {error}") from error
    return builder.root or Node(None, origin.where(1), origin.folder)


class _Builder:
    """Builds nodes from parser events, without recursion."""

    def __init__(self, origin: Origin) -> None:
        self.root: Node | None = None
        self._origin = origin
        self._open: list[Node] = []
        self._keys: list[tuple[str, int] | None] = []  # key without a value yet, and its line

    def take(self, event: Any) -> None:
        kind = type(event).__name__
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if kind == "DocumentStartEvent" and self.root is not None:
            raise Unreadable("only one document: nothing may follow a line of `---`", line)
        if kind == "AliasEvent" or getattr(event, "anchor", None):
            raise Unreadable(
                "anchors (&) and aliases (*) are not supported: use `extends`", line, column
            )
        if tag := _tag(event):
            raise Unreadable(f"tags such as {shown(tag)} are not supported", line, column)
        if kind == "ScalarEvent":
            self._scalar(event, line, column)
        elif kind in {"MappingStartEvent", "SequenceStartEvent"}:
            if len(self._open) == _DEEPEST:
                raise Unreadable(f"nested more than {_DEEPEST} deep", line, column)
            self._start({} if kind == "MappingStartEvent" else [], line, column)
        elif kind in {"MappingEndEvent", "SequenceEndEvent"}:
            self._open.pop()
            self._keys.pop()

    def _scalar(self, event: Any, line: int, column: int) -> None:
        text = event.value
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise Unreadable("an unpaired surrogate is not a character", line, column)
        if "\0" in text:
            raise Unreadable("null characters are not allowed", line, column)
        if self._open and isinstance(self._open[-1].value, dict) and self._keys[-1] is None:
            if text in self._open[-1].value:
                first = self._open[-1].value[text].where
                raise Unreadable(f"the key {shown(text)} is given twice, first at {first}", line)
            self._keys[-1] = (text, line)
            return
        plain = event.style is None or event.style == ""
        self._place(_resolve(text, line, column) if plain else text, line)

    def _start(self, value: Value, line: int, column: int) -> None:
        if self._open and isinstance(self._open[-1].value, dict) and self._keys[-1] is None:
            raise Unreadable("a key must be a word, not a list or a mapping", line, column)
        self._open.append(self._place(value, line))
        self._keys.append(None)

    def _place(self, value: Value, line: int) -> Node:
        """Add a value at the current position: to the list, under the open key, or as the root."""
        if not self._open:
            self.root = node = Node(value, self._origin.where(line), self._origin.folder)
            return node
        parent = self._open[-1].value
        if isinstance(parent, dict):
            key, line = self._keys[-1] or ("", line)
            self._keys[-1] = None
            parent[key] = node = Node(value, self._origin.where(line), self._origin.folder)
        else:
            assert isinstance(parent, list)
            node = Node(value, self._origin.where(line), self._origin.folder)
            parent.append(node)
        return node


def _tag(event: Any) -> str | None:
    """Return the explicit tag of an event, or None; `!` is the non-specific tag."""
    tag = getattr(event, "tag", None)
    return None if tag is None else str(tag)


def _resolve(text: str, line: int, column: int) -> Value:
    """Resolve a plain scalar by the YAML 1.2 core schema."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _NOT_FINITE.fullmatch(text):
        raise Unreadable(f"{text} is not a number that a search can use", line, column)
    if _INT.fullmatch(text):
        # Check the length first: the conversion takes quadratic time.
        number = int(text, 0 if text[:2] in {"0o", "0x"} else 10) if len(text) < 25 else None
        if number is None or not -_LARGEST_INT <= number < _LARGEST_INT:
            raise Unreadable("the number does not fit into 64 bits", line, column)
        return number
    if _FLOAT.fullmatch(text):
        value = float(text)
        if not math.isfinite(value):
            raise Unreadable(f"{shown(text)} is too large a number", line, column)
        return value
    return text
