"""Differences between two specifications; `resume` shows them for a changed search file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synrep_search.search_file.problems import shown

if TYPE_CHECKING:
    from synrep_search.search_file.model import SearchSpec

_NOT_SET: tuple[Any, str] = (object(), "not set")


def diff(before: SearchSpec, after: SearchSpec) -> list[str]:
    """Return a line `key: old -> new` for each key that differs, those of the space last.

    A searched name counts as one key, whatever changed in its distribution. `not set` stands for a
    key or searched name that only one of the two specifications has.
    """
    old, new = _flat(before), _flat(after)
    keys = [*old, *(key for key in new if key not in old)]
    pairs = [(key, old.get(key, _NOT_SET), new.get(key, _NOT_SET)) for key in keys]
    return [f"{key}: {one[1]} -> {two[1]}" for key, one, two in pairs if one[0] != two[0]]


def _flat(spec: SearchSpec) -> dict[str, tuple[Any, str]]:
    """Map each key to its value and its text, which is shortened and so may be ambiguous."""
    sections = spec.model_dump(mode="json", exclude={"space"})
    flat = {key: (value, shown(value)) for key, value in _walk("", sections)}
    for name, part in spec.space.names.items():
        first, *rest = part.describe(name)
        lines = [f"{first.kind} {first.values}"]
        lines += [f"{row.name.removeprefix(name + '.')} {row.kind} {row.values}" for row in rest]
        flat[f"space.{name}"] = (part, "; ".join(lines))
    return flat


def _walk(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        value = {str(i): item for i, item in enumerate(value)}
    if isinstance(value, dict) and value:
        return [
            leaf
            for key, inner in value.items()
            for leaf in _walk(f"{prefix}.{key}" if prefix else key, inner)
        ]
    return [(prefix, value)]
