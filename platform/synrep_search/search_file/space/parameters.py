"""The flat parameters of a space, each as an axis of the unit cube.

Generic samplers (low-discrepancy sequences, evolution strategies) work in the unit cube; a
parameter converts its coordinate to a value and back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from synrep_search.search_file.space.distributions import Fixed, OneOf, Vector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from synrep_search.search_file.space.distributions import Distribution
    from synrep_search.search_file.space.space import Space
    from synrep_search.search_file.space.suggest import Scalar

_Float = float  # inside the class, `float` and `int` are methods
_Int = int


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A flat parameter: a range of numbers, or a choice.

    Attributes:
        name: flat name, e.g. `kcs.weighting.tanh.scale`.
        options: options of a choice; empty for a range.
        low: lower bound of a range.
        high: upper bound of a range.
        log: whether the range is uniform on a logarithmic scale.
        step: difference of neighbouring values; None for a continuous range.
        whole: whether values are integers.
        conditional: whether only trials of one family have the parameter.
    """

    name: str
    options: tuple[Scalar, ...] = ()
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    step: float | None = None
    whole: bool = False
    conditional: bool = False

    @property
    def count(self) -> int | None:
        """Number of values; None for a range without steps."""
        if self.options:
            return len(self.options)
        return None if self.step is None else round((self.high - self.low) / self.step) + 1

    def nth(self, index: int) -> Scalar:
        """Return the value with an index, for a parameter with a `count`."""
        if self.options:
            return self.options[index]
        assert self.step is not None
        value = min(self.high, self.low + index * self.step)
        return int(value) if self.whole else value

    def index(self, value: Scalar) -> int:
        """Return the index of a value, for a parameter with a `count`."""
        if self.options:
            return self.options.index(value)
        assert self.step is not None
        return round((float(value) - self.low) / self.step)

    def at(self, coordinate: float) -> Scalar:
        """Return the value at a coordinate in [0, 1], where options and steps have equal widths."""
        if self.count is not None:
            return self.nth(min(int(coordinate * self.count), self.count - 1))
        low, high = self._ends()
        value = low + coordinate * (high - low)
        value = min(self.high, max(self.low, math.exp(value) if self.log else value))
        return round(value) if self.whole else value

    def coordinate(self, value: Scalar) -> float:
        """Return the coordinate of a value; for options and steps, the middle of their interval."""
        if self.count is not None:
            return (self.index(value) + 0.5) / self.count
        low, high = self._ends()
        position = math.log(float(value)) if self.log else float(value)
        return (position - low) / (high - low)

    def _ends(self) -> tuple[float, float]:
        """Return the bounds on the uniform scale; integers extend half a unit either way."""
        half = 0.5 if self.whole else 0.0
        low, high = self.low - half, self.high + half
        return (math.log(low), math.log(high)) if self.log else (low, high)


def parameters(space: Space) -> list[Parameter]:
    """Return all flat parameters, those of all families included, in the order of the file."""
    return [axis for name, part in space.names.items() for axis in parameters_of(name, part)]


def parameters_of(name: str, part: Distribution, *, conditional: bool = False) -> list[Parameter]:
    """Return the flat parameters of one distribution; see `parameters`."""
    return list(_walk(name, part, conditional=conditional))


def _walk(name: str, part: Distribution, *, conditional: bool) -> Iterator[Parameter]:
    if isinstance(part, Fixed):
        return
    if isinstance(part, OneOf):
        yield Parameter(name=name, options=tuple(part.families), conditional=conditional)
        for family, parts in part.families.items():
            for key, inner in parts.items():
                yield from _walk(f"{name}.{family}.{key}", inner, conditional=True)
    elif isinstance(part, Vector):
        for i, inner in enumerate(part.entries):
            yield from _walk(f"{name}.{i}", inner, conditional=conditional)
    else:
        collector = _Collector(conditional=conditional)
        part.sample(name, collector)
        yield from collector.parameters


class _Collector:
    """A `Suggest` that records the parameters of a distribution without families or entries."""

    def __init__(self, *, conditional: bool) -> None:
        self.parameters: list[Parameter] = []
        self._conditional = conditional

    def float(
        self, name: str, low: _Float, high: _Float, *, log: bool, step: _Float | None
    ) -> _Float:
        """Record a range of numbers."""
        self._add(Parameter(name=name, low=low, high=high, log=log, step=step))
        return high

    def int(self, name: str, low: _Int, high: _Int, *, log: bool, step: _Int) -> _Int:
        """Record a range of integers; a logarithmic one has no steps of equal size."""
        size = None if log else float(step)
        self._add(Parameter(name=name, low=low, high=high, log=log, step=size, whole=True))
        return high

    def choice(self, name: str, options: Sequence[Scalar]) -> Scalar:
        """Record a choice."""
        self._add(Parameter(name=name, options=tuple(options)))
        return options[0]

    def _add(self, parameter: Parameter) -> None:
        self.parameters.append(replace(parameter, conditional=self._conditional))
