"""Parse the section `space` of a search file into distributions and report every mistake."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from synrep_search.search_file.problems import shown, unknown
from synrep_search.search_file.space.distributions import (
    Choice,
    Fixed,
    FloatRange,
    IntRange,
    OneOf,
    Vector,
    on_step,
)
from synrep_search.search_file.space.simplex import Simplex

if TYPE_CHECKING:
    from synrep_search.search_file.problems import Problems
    from synrep_search.search_file.source import Node
    from synrep_search.search_file.space.distributions import Distribution

KINDS = ("float", "log", "int", "int_log", "choice", "one_of", "simplex")
_STEPPED = ("float", "int")


def distribution(node: Node, path: str, problems: Problems) -> Distribution | None:
    """Return the distribution that a node describes; report mistakes and return None if invalid."""
    if isinstance(node.value, list):
        found = _vector(node, path, problems)
        if found is None or not all(isinstance(part, Fixed) for part in found.entries):
            return found
        problems.add(node.where, path, "none of the entries is a distribution")
    elif isinstance(node.value, dict):
        kind = _kind(node, path, problems)
        if kind is not None:
            return _BY_KIND.get(kind, _range)(node, kind, path, problems)
    else:
        rule = f"needs a distribution such as {{float: [0, 1]}}, got {shown(node.value)}; "
        rule += "a value that stays the same belongs under train"
        problems.add(node.where, path, rule)
    return None


def _kind(node: Node, path: str, problems: Problems) -> str | None:
    """Check all keys and return the one that names a distribution, or None if invalid."""
    kinds = [key for key in node.mapping if key in KINDS]
    unknown_keys = [key for key in node.mapping if key not in (*KINDS, "step")]
    for key in unknown_keys:
        rule = unknown(key, [*KINDS, "step"], "distribution")
        problems.add(node.mapping[key].where, f"{path}.{key}", rule)
    if unknown_keys:
        return None
    if len(kinds) != 1:
        got = " and ".join(kinds) if kinds else shown(node.plain())
        rule = f"needs exactly one of {', '.join(KINDS)}, got {got}"
        if set(kinds) == {"int", "log"}:
            rule += "; whole numbers on a logarithmic scale are {int_log: [low, high]}"
        problems.add(node.where, path, rule)
        return None
    if "step" in node.mapping and kinds[0] not in _STEPPED:
        where = node.mapping["step"].where
        rule = f"can't be combined with {kinds[0]}; list the values under choice instead"
        problems.add(where, f"{path}.step", rule)
        return None
    return kinds[0]


def _range(node: Node, kind: str, path: str, problems: Problems) -> Distribution | None:
    whole, log = kind.startswith("int"), kind.endswith("log")
    ends = node.mapping[kind]
    step = node.mapping.get("step")
    here = f"{path}.{kind}"
    bounds = [_number(item, here, problems, whole=whole) for item in _items(ends)]
    if len(bounds) != 2:
        problems.add(ends.where, here, f"must be [low, high], got {shown(ends.plain())}")
        return None
    size = None if step is None else _number(step, f"{path}.step", problems, whole=whole)
    low, high = bounds
    if low is None or high is None or (step is not None and size is None):
        return None
    rule = None
    if low >= high:
        rule = f"the range [{low}, {high}] is empty: low must be less than high"
    elif not math.isfinite(high - low):
        rule = f"the range [{low}, {high}] is too wide for floating-point numbers"
    elif log and low <= 0:
        rule = f"a logarithmic range starts above 0, got {low}"
    elif size is not None and size <= 0:
        rule = f"the step must be greater than 0, got {size}"
    elif size is not None and not on_step(high, low, size):
        rule = f"steps of {size} from {low} don't reach {high} exactly"
    if rule is not None:
        problems.add(ends.where, here, rule)
        return None
    if whole:
        return IntRange(low=int(low), high=int(high), step=int(size or 1), log=log)
    return FloatRange(
        low=float(low), high=float(high), step=None if size is None else float(size), log=log
    )


def _choice(node: Node, kind: str, path: str, problems: Problems) -> Distribution | None:
    node, path = node.mapping[kind], f"{path}.{kind}"
    items = _items(node)
    if len(items) < 2:
        rule = f"must be a list of two or more values, got {shown(node.plain())}"
        problems.add(node.where, path, rule)
        return None
    options: list[Any] = []
    for item in items:
        value = item.plain()
        if value is None or isinstance(value, list | dict):
            rule = f"an option is a number, a word, true or false, got {shown(value)}"
            problems.add(item.where, path, f"{rule}; families belong under one_of")
        elif value in options:
            problems.add(item.where, path, f"the option {shown(value)} is given twice")
        else:
            options.append(value)
    return Choice(options=tuple(options)) if len(options) == len(items) else None


def _one_of(node: Node, kind: str, path: str, problems: Problems) -> Distribution | None:
    node, path = node.mapping[kind], f"{path}.{kind}"
    if not node.mapping:
        rule = f"must be a mapping of families to their parameters, got {shown(node.plain())}"
        problems.add(node.where, path, rule)
        return None
    families: dict[str, dict[str, Distribution]] = {}
    complete = True
    for family, inner in node.mapping.items():
        here = f"{path}.{family}"
        if inner.value is not None and not isinstance(inner.value, dict):
            rule = f"must be a mapping of parameters ({{}} for none), got {shown(inner.plain())}"
            problems.add(inner.where, here, rule)
            complete = False
            continue
        parts = {key: _part(sub, f"{here}.{key}", problems) for key, sub in inner.mapping.items()}
        families[family] = {key: part for key, part in parts.items() if part is not None}
        complete &= len(families[family]) == len(parts)
    return OneOf(families=families) if complete else None


def _vector(node: Node, path: str, problems: Problems) -> Vector | None:
    items = _items(node)
    parts = [_part(item, f"{path}[{i}]", problems) for i, item in enumerate(items)]
    found = [part for part in parts if part is not None]
    if not items:
        problems.add(node.where, path, "the list is empty")
        return None
    return Vector(entries=tuple(found)) if len(found) == len(parts) else None


def _part(node: Node, path: str, problems: Problems) -> Distribution | None:
    """Parse a distribution inside another one, where a plain value is a constant."""
    value = node.value
    if isinstance(value, bool | int | float | str):
        return Fixed(value=value)
    if isinstance(value, list):
        return _vector(node, path, problems)
    return distribution(node, path, problems)


def _simplex(node: Node, kind: str, path: str, problems: Problems) -> Distribution | None:
    node, path = node.mapping[kind], f"{path}.{kind}"
    before = len(problems.found)
    for key, inner in node.mapping.items():
        if key not in ("size", "sum", "max"):
            rule = unknown(key, ["size", "sum", "max"])
            problems.add(inner.where, f"{path}.{key}", rule)
        else:
            _number(inner, f"{path}.{key}", problems, whole=key == "size")
    if "size" not in node.mapping:
        problems.add(node.where, path, "needs a size, e.g. {simplex: {size: 6, sum: 3.0}}")
    if len(problems.found) > before:
        return None
    given = node.plain()
    size, total, cap = given["size"], float(given.get("sum", 1.0)), float(given.get("max", 1.0))
    if not 2 <= size <= 64:
        problems.add(node.where, f"{path}.size", f"must be 2 to 64 entries, got {size}")
    elif not (1e-6 <= total <= 1e6 and 1e-6 <= cap <= 1e6):
        problems.add(node.where, path, "sum and max must be within 1e-6 and 1e6")
    elif size * cap <= total:
        rule = f"{size} entries of at most {cap} can't share the sum {total} in more than one way"
        problems.add(node.where, path, f"{rule}: raise max")
    else:
        return Simplex(size=size, sum=total, max=cap)
    return None


_BY_KIND = {"choice": _choice, "one_of": _one_of, "simplex": _simplex}


def _items(node: Node) -> list[Node]:
    return node.value if isinstance(node.value, list) else []


def _number(node: Node, path: str, problems: Problems, *, whole: bool) -> float | None:
    value = node.value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not whole or isinstance(value, int):
            return value
        problems.add(node.where, path, f"must be a whole number, got {shown(value)}")
    else:
        problems.add(node.where, path, f"must be a number, got {shown(node.plain())}")
    return None
