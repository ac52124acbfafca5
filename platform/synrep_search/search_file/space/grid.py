"""Enumeration of a space as a grid, families included.

The number of a point is a mixed-radix number with one digit for each parameter. In the digit of a
`one_of`, the points of each family are numbered after those of the families before it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from synrep_search.search_file.space.distributions import Fixed, OneOf, Vector
from synrep_search.search_file.space.parameters import parameters, parameters_of

if TYPE_CHECKING:
    from synrep_search.search_file.space.distributions import Distribution
    from synrep_search.search_file.space.space import Space


def continuous(space: Space) -> list[str]:
    """Return the flat parameters that can't be enumerated: ranges without steps."""
    return [axis.name for axis in parameters(space) if axis.count is None]


def size(space: Space) -> int:
    """Return the number of points of a space that has no `continuous` parameter."""
    return _product(list(space.names.items()))


def point(space: Space, number: int) -> dict[str, Any]:
    """Return the flat parameters of a point, 0 <= number < size."""
    return _digits(list(space.names.items()), number)


def number_of(space: Space, params: dict[str, Any]) -> int:
    """Return the number of the point with these flat parameters: the inverse of `point`."""
    return _number(list(space.names.items()), params)


def _parts(name: str, part: Distribution, family: str = "") -> list[tuple[str, Distribution]]:
    """Return the inner distributions by flat name: the entries of a list or those of a family."""
    if isinstance(part, OneOf):
        return [(f"{name}.{family}.{key}", inner) for key, inner in part.families[family].items()]
    assert isinstance(part, Vector)
    return [(f"{name}.{i}", inner) for i, inner in enumerate(part.entries)]


def _size(name: str, part: Distribution) -> int:
    if isinstance(part, Fixed):
        return 1
    if isinstance(part, Vector):
        return _product(_parts(name, part))
    if isinstance(part, OneOf):
        return sum(_product(_parts(name, part, family)) for family in part.families)
    (only,) = parameters_of(name, part)
    assert only.count is not None
    return only.count


def _product(parts: list[tuple[str, Distribution]]) -> int:
    return math.prod(_size(name, part) for name, part in parts)


def _digits(parts: list[tuple[str, Distribution]], number: int) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for name, part in reversed(parts):
        number, digit = divmod(number, _size(name, part))
        params |= _point(name, part, digit)
    return params


def _point(name: str, part: Distribution, number: int) -> dict[str, Any]:
    if isinstance(part, Fixed):
        return {}
    if isinstance(part, Vector):
        return _digits(_parts(name, part), number)
    if isinstance(part, OneOf):
        for family in part.families:
            inside = _parts(name, part, family)
            if number < _product(inside):
                return {name: family} | _digits(inside, number)
            number -= _product(inside)
        raise AssertionError("unreachable")
    (only,) = parameters_of(name, part)
    return {name: only.nth(number)}


def _number(parts: list[tuple[str, Distribution]], params: dict[str, Any]) -> int:
    number = 0
    for name, part in parts:
        number = number * _size(name, part) + _digit(name, part, params)
    return number


def _digit(name: str, part: Distribution, params: dict[str, Any]) -> int:
    if isinstance(part, Fixed):
        return 0
    if isinstance(part, Vector):
        return _number(_parts(name, part), params)
    if isinstance(part, OneOf):
        before = 0
        for family in part.families:
            inside = _parts(name, part, family)
            if family == params[name]:
                return before + _number(inside, params)
            before += _product(inside)
        raise AssertionError("unreachable")
    (only,) = parameters_of(name, part)
    return only.index(params[name])
