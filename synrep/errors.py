"""Errors that a user can cause and mend.

SynrepError
├── InputError     a file, option or value breaks a rule; names the place and the remedy
├── DamagedError   a file's content does not match its checksum or its declared shape
└── Diverged       a training left the region in which it can recover (not a mistake of the user's)
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel, ValidationError


def printable(text: str) -> str:
    """A text that can be shown: what could steer a terminal becomes an escape, as in `repr`.

    Names in files of others come to a terminal in messages and tables; a control character in one
    could hide a line, or rename the window. Line breaks stay.
    """
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )


class SynrepError(Exception):
    """Base of all errors that the command lines print as one message, without a traceback."""

    def __str__(self) -> str:
        return printable(super().__str__())


class InputError(SynrepError):
    """Something the user gave breaks a rule.

    Args:
        place: where: a file, a file and line, an option or a configuration field.
        rule: what is wrong, with the offending value.
        remedy: what to do instead; omitted where the rule says it.
    """

    def __init__(self, place: str, rule: str, remedy: str = "") -> None:
        super().__init__(f"{place}: {rule}" + (f" ({remedy})" if remedy else ""))
        self.place = place
        self.rule = rule
        self.remedy = remedy


class DamagedError(InputError):
    """A stored file is truncated, altered or not what its header says."""


class Diverged(SynrepError):  # noqa: N818 - an outcome of training, not a malfunction
    """A training can't recover: NaN, an exploding critic or collapsed depths.

    Args:
        reason: which guard fired, with the value and its limit.
        iteration: generator iterations done when it fired.
    """

    def __init__(self, reason: str, iteration: int) -> None:
        super().__init__(f"diverged at iteration {iteration}: {reason}")
        self.reason = reason
        self.iteration = iteration


def faults(error: ValidationError, model: type[BaseModel]) -> str:
    """Every field that breaks a rule of a model, with the rule and what was given."""
    return "; ".join(_fault(problem, model) for problem in error.errors(include_url=False))


def _fault(problem: Any, model: type[BaseModel]) -> str:
    place = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        elsewhere = [name for name in _fields(model) if not place.startswith(name)]
        near = difflib.get_close_matches(place, elsewhere, 1, 0.7)
        return f"{place}: unknown field" + (f", did you mean {near[0]}?" if near else "")
    given = problem["input"]
    got = f", got {given!r}" if isinstance(given, (str, int, float)) else ""
    return f"{place or 'content'}: {problem['msg']}{got}"


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted names of all fields, also those of sections."""
    for name, field in model.model_fields.items():
        yield prefix + name
        section: Any = field.annotation
        if hasattr(section, "model_fields"):
            yield from _fields(section, f"{prefix}{name}.")
