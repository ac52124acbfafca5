"""JSON of files that others wrote: what could exhaust its reader is refused."""

from __future__ import annotations

import json
from typing import Any

DEEPEST = 64
"""Containers within containers; no file that is read here needs ten."""


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is no JSON, no UTF-8, has a whole number of thousands of digits, or is nested
            more than `DEEPEST` deep.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"nested more than {DEEPEST} deep") from None
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [part for outer in level for part in _parts(outer) if isinstance(part, list | dict)]
        if not level:
            return value
    raise ValueError(f"nested more than {DEEPEST} deep")


def _parts(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
