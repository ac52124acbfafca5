"""Collect the mistakes of a search file and describe them for its author."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any

from synrep.errors import printable
from synrep.storage import masked
from synrep_search.errors import Problem, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LONGEST = 80


class Problems:
    """Collected problems, without duplicates."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, where: str, path: str, rule: str) -> None:
        """Add a problem; see `Problem` for the arguments."""
        problem = Problem(where=where, path=path, rule=rule)
        if problem not in self.found:
            self.found.append(problem)

    def check(self) -> None:
        """Raise the collected problems, if any, in reading order.

        Raises:
            SpecError: at least one problem was added.
        """
        if self.found:
            raise SpecError(sorted(self.found, key=_reading_order))


def _reading_order(problem: Problem) -> tuple[str, int]:
    """Return the sort key: command-line options first, then files by name and line."""
    place = re.match(r"(.*?):(\d+)", problem.where)
    return (place[1], int(place[2])) if place else ("", 0)


def shown(value: Any) -> str:
    """Format a value as a user would write it, shortened and with passwords masked."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    text = printable(masked(text))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def unknown(word: Any, valid: Iterable[str], kind: str = "key") -> str:
    """Return the message for an unknown word: a suggestion and all valid words."""
    valid = list(valid)
    return f"unknown {kind} {shown(word)}{did_you_mean(word, valid)}; valid: {', '.join(valid)}"


def did_you_mean(word: Any, valid: Iterable[str]) -> str:
    """Return `: did you mean x?`, or an empty string if no valid word is close."""
    close = difflib.get_close_matches(str(word)[:_LONGEST], list(valid), n=1)
    return f": did you mean {close[0]}?" if close else ""


_RULES = {
    "greater_than": "must be greater than {gt:g}, got {got}",
    "greater_than_equal": "must be at least {ge:g}, got {got}",
    "less_than": "must be less than {lt:g}, got {got}",
    "less_than_equal": "must be at most {le:g}, got {got}",
    "int_type": "must be a whole number, got {got}",
    "float_type": "must be a number, got {got}",
    "finite_number": "must be a finite number, got {got}",
    "bool_type": "must be true or false, got {got}",
    "string_type": "must be text, got {got}",
    "dict_type": "must be a mapping of keys to values, got {got}",
    "model_type": "must be a mapping of keys to values, got {got}",
    "model_attributes_type": "must be a mapping of keys to values, got {got}",
    "list_type": "must be a list, got {got}",
    "tuple_type": "must be a list, got {got}",
    "too_long": "has {actual_length} entries, but takes {max_length}",
    "string_too_short": "must not be empty",
    "missing": "is missing",
    "union_tag_not_found": "needs the key {discriminator}, got {got}",
}


def explain(error: Mapping[str, Any], valid: Iterable[str] = ()) -> str:
    """Describe a validation error of pydantic in plain words.

    Args:
        error: an item of `ValidationError.errors()`.
        valid: valid keys at that location, used for an unknown key.
    """
    kind, context, got = error["type"], error.get("ctx", {}), shown(error.get("input"))
    if kind == "extra_forbidden":
        rule = unknown(error["loc"][-1], valid)
    elif kind == "literal_error":
        options = re.findall(r"'([^']*)'", context["expected"])
        rule = f"must be {context['expected']}, got {got}{did_you_mean(error['input'], options)}"
    elif kind == "union_tag_invalid":
        rule = unknown(context["tag"], re.findall(r"'([^']*)'", context["expected_tags"]), "family")
    elif kind == "too_few":
        rule = f"has {len(error['input'])} entries, which are too few"
    elif kind == "value_error":
        rule = str(context["error"])
    elif kind in _RULES:
        rule = _RULES[kind].format(got=got, **context)
    else:
        rule = f"{error['msg']}, got {got}"
    return rule
