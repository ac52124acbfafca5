"""JSON parser for untrusted files, with a limit on nesting."""

from __future__ import annotations

import json
from typing import Any

MAX_DEPTH = 64
"""Deepest nesting of containers that is accepted; the files read here need fewer than ten."""


def parse_json(text: str | bytes) -> Any:
    """Parse a JSON text.

    Raises:
        ValueError: the text is not JSON or not UTF-8, contains an integer of thousands of digits,
            or is nested more than `MAX_DEPTH` deep.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"nested more than {MAX_DEPTH} deep") from None
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        children = (child for container in level for child in _children(container))
        level = [child for child in children if isinstance(child, list | dict)]
        if not level:
            return value
    raise ValueError(f"nested more than {MAX_DEPTH} deep")


def _children(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
