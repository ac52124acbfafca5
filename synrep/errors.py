"""Exceptions that the command lines report as a message instead of a traceback.

SynrepError
├── InputError          a file, option or value breaks a rule; names the place and the remedy
│   └── DamagedError    a file's content does not match its checksum or its declared shape
└── Diverged            training left the region in which it can recover; not a user error

InputWarning is a warning: an input was read, but perhaps not as it was meant.
"""

from __future__ import annotations

import difflib
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel, ValidationError


def printable(text: str) -> str:
    """Escape the control characters in a text, as `repr` does; line breaks are kept.

    Messages and tables show names from files that others wrote; a control character in a name
    could hide a line of the terminal or change its title.
    """
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )


class SynrepError(Exception):
    """Base class of all errors that the command lines print without a traceback."""

    def __str__(self) -> str:
        return printable(super().__str__())


class InputError(SynrepError):
    """A file, option or value given by the user breaks a rule.

    Args:
        place: a file, a file and line, an option or a configuration field.
        rule: what is wrong, with the offending value.
        remedy: what to do instead; empty where the rule already says it.
    """

    def __init__(self, place: str, rule: str, remedy: str = "") -> None:
        super().__init__(f"{place}: {rule}" + (f" ({remedy})" if remedy else ""))
        self.place = place
        self.rule = rule
        self.remedy = remedy


class InputWarning(UserWarning):
    """Something given by the user was read in a way that they should know of."""


def tell(place: str, rule: str, remedy: str = "") -> None:
    """Warn of how an input was read.

    Args:
        place: a file, an option or an argument.
        rule: what was found and done.
        remedy: what to do if that is not wanted; may be empty.
    """
    text = printable(f"{place}: {rule}" + (f" ({remedy})" if remedy else ""))
    warnings.warn(text, InputWarning, stacklevel=2)


class DamagedError(InputError):
    """A stored file is truncated, was altered or does not match its header."""


class Diverged(SynrepError):  # noqa: N818 - an outcome of training, not a malfunction
    """Training can't recover: NaN, an exploding critic or collapsed depths.

    Args:
        reason: the guard that was triggered, with the value and its limit.
        iteration: number of completed generator iterations.
    """

    def __init__(self, reason: str, iteration: int) -> None:
        super().__init__(f"diverged at iteration {iteration}: {reason}")
        self.reason = reason
        self.iteration = iteration


def faults(error: ValidationError, model: type[BaseModel]) -> str:
    """Describe every invalid field of a Pydantic validation error, with its rule and value."""
    return "; ".join(_fault(problem, model) for problem in error.errors(include_url=False))


def _fault(problem: Any, model: type[BaseModel]) -> str:
    place = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        candidates = [name for name in _fields(model) if not place.startswith(name)]
        matches = difflib.get_close_matches(place, candidates, 1, 0.7)
        return f"{place}: unknown field" + (f", did you mean {matches[0]}?" if matches else "")
    given = problem["input"]
    got = f", got {given!r}" if isinstance(given, (str, int, float)) else ""
    return f"{place or 'content'}: {problem['msg']}{got}"


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of all fields, including those of nested sections."""
    for name, field in model.model_fields.items():
        yield prefix + name
        section: Any = field.annotation
        if hasattr(section, "model_fields"):
            yield from _fields(section, f"{prefix}{name}.")
