"""Weights with a fixed sum, drawn from independent parameters that any sampler supports."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from synrep.errors import InputError
from synrep.schema import Section
from synrep_search.search_file.problems import shown
from synrep_search.search_file.space.suggest import Probe, Row

if TYPE_CHECKING:
    from synrep_search.search_file.space.suggest import Suggest

# Relative tolerance when comparing sums.
_TOLERANCE = 1e-9
# Lower bound of the flat parameters: cuts off shares above 13.9, whose probability is 1e-6.
_LOWEST = 2.0**-20


class Simplex(Section):
    """A list of `size` numbers in [0, max] with a fixed sum, uniform over all such lists.

    Each entry has a flat parameter x in (0, 1]; the shares -log x are scaled to the sum. Entries
    above `max` are clipped to it, and the excess is distributed over the others in proportion.
    """

    kind: Literal["simplex"] = "simplex"
    size: Annotated[int, Field(ge=2, le=64)]
    sum: Annotated[float, Field(gt=0)] = 1.0
    max: Annotated[float, Field(gt=0)] = 1.0

    def sample(self, name: str, suggest: Suggest) -> list[float]:
        """Draw the shares and scale them."""
        draws = [
            suggest.float(f"{name}.{i}", _LOWEST, 1.0, log=False, step=None)
            for i in range(self.size)
        ]
        return _spread([max(0.0, -math.log(x)) for x in draws], self.sum, self.max)

    def flatten(self, name: str, value: Any) -> dict[str, Any]:
        """Return flat parameters from which `sample` restores the value, up to rounding."""
        entries = entries_of(name, value, self.size)
        if any(isinstance(x, bool) or not isinstance(x, int | float) for x in entries):
            raise InputError(name, f"{shown(value)} is not a list of numbers")
        if not all(0 <= x <= self.max * (1 + _TOLERANCE) for x in entries):
            raise InputError(name, f"{shown(value)} has entries outside 0 .. {self.max}")
        if abs(math.fsum(entries) - self.sum) > _TOLERANCE * self.sum:
            raise InputError(
                name, f"{shown(value)} has the sum {math.fsum(entries)}, not {self.sum}"
            )
        scale = min(self.size / self.sum, -math.log(_LOWEST) / max(entries))
        return {
            f"{name}.{i}": max(_LOWEST, math.exp(-entry * scale)) for i, entry in enumerate(entries)
        }

    def describe(self, name: str) -> list[Row]:
        """Return one row."""
        return [Row(name, "simplex", f"{self.size} entries, sum {self.sum}, each <= {self.max}")]

    def probes(self) -> list[Probe]:
        """Return probes of the uniform list and of the most uneven one."""
        uneven = _spread([1.0] + [0.0] * (self.size - 1), self.sum, self.max)
        even = [self.sum / self.size] * self.size
        return [Probe((), even, (self.size,)), Probe((), uneven, (0,))]


def entries_of(name: str, value: Any, size: int) -> list[Any]:
    """Return the value as a list of `size` entries.

    Raises:
        InputError: it is not such a list.
    """
    if not isinstance(value, list | tuple) or len(value) != size:
        raise InputError(name, f"{shown(value)} is not a list of {size} entries")
    return list(value)


def _spread(shares: list[float], total: float, cap: float) -> list[float]:
    """Return entries in proportion to the shares, none above `cap`, with the sum `total`."""
    entries = [0.0] * len(shares)
    free = list(range(len(shares)))
    rest = total
    while free:
        weight = math.fsum(shares[i] for i in free)
        part = {i: rest * (shares[i] / weight if weight else 1 / len(free)) for i in free}
        full = [i for i in free if part[i] >= cap]
        for i in full or free:
            entries[i] = min(cap, part[i])
        if not full:
            break
        rest = max(0.0, rest - cap * len(full))
        free = [i for i in free if i not in full]
    return entries
