"""Distributions of searched names.

Samplers handle flat parameters only: numbers and choices by name. A distribution builds its value
from them (`sample`) and converts a value back to flat parameters (`flatten`, the inverse). The name
of a conditional parameter contains its family: `kcs.weighting` = "tanh",
`kcs.weighting.tanh.scale` = 1.3.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from synrep.errors import InputError, printable
from synrep.schema import Section
from synrep_search.search_file.problems import shown
from synrep_search.search_file.space.simplex import Simplex, entries_of
from synrep_search.search_file.space.suggest import Probe, Row, Scalar

if TYPE_CHECKING:
    from synrep_search.search_file.space.suggest import Suggest


class Fixed(Section):
    """A constant inside `one_of` or a list; has no flat parameters."""

    kind: Literal["fixed"] = "fixed"
    value: Scalar

    def sample(self, _name: str, _suggest: Suggest) -> Scalar:
        """Return the constant."""
        return self.value

    def flatten(self, name: str, value: Any) -> dict[str, Any]:
        """Return no parameters after checking that the value is the constant."""
        if value != self.value:
            raise InputError(name, f"{shown(value)} is not {shown(self.value)}, its fixed value")
        return {}

    def describe(self, name: str) -> list[Row]:
        """Return one row."""
        return [Row(name, "fixed", printable(str(self.value)))]

    def probes(self) -> list[Probe]:
        """Return a probe of the constant."""
        return [Probe((), self.value, ())]


class FloatRange(Section):
    """A number in [low, high], uniform on a linear or logarithmic scale, or in steps from low."""

    kind: Literal["float"] = "float"
    low: float
    high: float
    step: float | None = None
    log: bool = False

    def sample(self, name: str, suggest: Suggest) -> float:
        """Draw one number."""
        return suggest.float(name, self.low, self.high, log=self.log, step=self.step)

    def flatten(self, name: str, value: Any) -> dict[str, Any]:
        """Return the number after checking that it is in the range and on a step."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(name, f"{shown(value)} is not a number")
        if not self.low <= value <= self.high:
            raise InputError(name, f"{value} is outside {self.low} .. {self.high}")
        if self.step is not None and not on_step(value, self.low, self.step):
            raise InputError(name, f"{value} is not {self.low} plus a multiple of {self.step}")
        return {name: float(value)}

    def describe(self, name: str) -> list[Row]:
        """Return one row."""
        step = "" if self.step is None else f" in steps of {self.step}"
        kind = "log" if self.log else "float"
        return [Row(name, kind, f"{self.low} .. {self.high}{step}")]

    def probes(self) -> list[Probe]:
        """Return a probe of each bound."""
        kind = "log" if self.log else "float"
        return [Probe((kind, 0), self.low, ()), Probe((kind, 1), self.high, ())]


class IntRange(Section):
    """An integer in [low, high], uniform on a linear or logarithmic scale, or in steps from low."""

    kind: Literal["int"] = "int"
    low: int
    high: int
    step: int = 1
    log: bool = False

    def sample(self, name: str, suggest: Suggest) -> int:
        """Draw one integer."""
        return suggest.int(name, self.low, self.high, log=self.log, step=self.step)

    def flatten(self, name: str, value: Any) -> dict[str, Any]:
        """Return the number after checking that it is an integer in the range and on a step."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(name, f"{shown(value)} is not a number")
        if not float(value).is_integer():
            raise InputError(name, f"{shown(value)} is not a whole number")
        if not self.low <= value <= self.high:
            raise InputError(name, f"{value} is outside {self.low} .. {self.high}")
        if (int(value) - self.low) % self.step:
            raise InputError(name, f"{value} is not {self.low} plus a multiple of {self.step}")
        return {name: int(value)}

    def describe(self, name: str) -> list[Row]:
        """Return one row."""
        step = "" if self.step == 1 else f" in steps of {self.step}"
        kind = "int_log" if self.log else "int"
        return [Row(name, kind, f"{self.low} .. {self.high}{step}")]

    def probes(self) -> list[Probe]:
        """Return a probe of each bound."""
        kind = "int_log" if self.log else "int"
        return [Probe((kind, 0), self.low, ()), Probe((kind, 1), self.high, ())]


class Choice(Section):
    """One of several numbers, strings or booleans, without an order."""

    kind: Literal["choice"] = "choice"
    options: tuple[Scalar, ...]

    def sample(self, name: str, suggest: Suggest) -> Scalar:
        """Draw one option."""
        return suggest.choice(name, self.options)

    def flatten(self, name: str, value: Any) -> dict[str, Any]:
        """Return the option that equals the value."""
        for option in self.options:
            if option == value and isinstance(option, bool) == isinstance(value, bool):
                return {name: option}
        raise InputError(name, f"{shown(value)} is none of {_listed(self.options)}")

    def describe(self, name: str) -> list[Row]:
        """Return one row."""
        return [Row(name, "choice", _listed(self.options))]

    def probes(self) -> list[Probe]:
        """Return a probe of each option."""
        return [Probe(("choice", i), option, ()) for i, option in enumerate(self.options)]


class OneOf(Section):
    """A family together with its conditional parameters; the value is one mapping."""

    kind: Literal["one_of"] = "one_of"
    families: dict[str, dict[str, Distribution]]

    def sample(self, name: str, suggest: Suggest) -> dict[str, Any]:
        """Draw a family, then its parameters, as {"family": ..., parameter: ...}."""
        family = str(suggest.choice(name, tuple(self.families)))
        return {"family": family} | {
            key: part.sample(f"{name}.{family}.{key}", suggest)
            for key, part in self.families[family].items()
        }

    def flatten(self, name: str, value: Any) -> dict[str, Any]:
        """Return the family under `name` and its parameters under `name.family`."""
        family = value.get("family") if isinstance(value, dict) else None
        if not isinstance(family, str) or family not in self.families:
            raise InputError(
                name, f"{shown(value)} belongs to none of the families {_listed(self.families)}"
            )
        parts = self.families[family]
        if mismatched := sorted(set(value) ^ {"family", *parts}):
            rule = "is not searched" if mismatched[0] in value else "is missing"
            raise InputError(f"{name}.{family}.{mismatched[0]}", rule)
        flat: dict[str, Any] = {name: family}
        for key, part in parts.items():
            flat |= part.flatten(f"{name}.{family}.{key}", value[key])
        return flat

    def describe(self, name: str) -> list[Row]:
        """Return a row for the families, then one for each parameter of each family."""
        rows = [Row(name, "one_of", _listed(self.families))]
        for family, parts in self.families.items():
            for key, part in parts.items():
                rows += part.describe(f"{name}.{family}.{key}")
        return rows

    def probes(self) -> list[Probe]:
        """Return probes of each family with each of its parameters at each bound."""
        found = []
        for family, parts in self.families.items():
            whole = {"family": family} | {k: p.probes()[0].value for k, p in parts.items()}
            found.append(Probe(("one_of", family), whole, ("family",)))
            for key, part in parts.items():
                found += [
                    Probe(
                        ("one_of", family, key, *probe.keys),
                        whole | {key: probe.value},
                        (family, key, *probe.focus),
                    )
                    for probe in part.probes()
                ]
            # For errors outside the parameters of the space, e.g. a missing required one.
            found.append(Probe(("one_of", family), whole, (family,)))
        return found


class Vector(Section):
    """A list with a distribution or a constant for each entry."""

    kind: Literal["vector"] = "vector"
    entries: tuple[Distribution, ...]

    def sample(self, name: str, suggest: Suggest) -> list[Any]:
        """Draw every entry; entry i is the flat parameter `name.i`."""
        return [part.sample(f"{name}.{i}", suggest) for i, part in enumerate(self.entries)]

    def flatten(self, name: str, value: Any) -> dict[str, Any]:
        """Return the flat parameters of all entries."""
        entries = entries_of(name, value, len(self.entries))
        flat: dict[str, Any] = {}
        for i, (part, entry) in enumerate(zip(self.entries, entries, strict=True)):
            flat |= part.flatten(f"{name}.{i}", entry)
        return flat

    def describe(self, name: str) -> list[Row]:
        """Return the rows of each entry."""
        return [row for i, part in enumerate(self.entries) for row in part.describe(f"{name}.{i}")]

    def probes(self) -> list[Probe]:
        """Return a probe of the list as a whole, then of each entry at each bound."""
        whole = [part.probes()[0].value for part in self.entries]
        found = [Probe((), whole, (len(whole),))]
        for i, part in enumerate(self.entries):
            for probe in part.probes():
                changed = [*whole[:i], probe.value, *whole[i + 1 :]]
                found.append(Probe((i, *probe.keys), changed, (i, *probe.focus)))
        return found


Distribution = Annotated[
    Fixed | FloatRange | IntRange | Choice | OneOf | Vector | Simplex, Field(discriminator="kind")
]

OneOf.model_rebuild()
Vector.model_rebuild()


# Relative tolerance of `on_step`: 0.1, for example, has no exact binary representation.
_TOLERANCE = 1e-9


def on_step(value: float, low: float, step: float) -> bool:
    """Return whether `value` is `low` plus a multiple of `step`, up to rounding."""
    count = (value - low) / step
    # The difference of two large numbers has their rounding error, even if it is small itself.
    rounding = 2 * sys.float_info.epsilon * max(abs(value), abs(low)) / step
    tolerance = _TOLERANCE * max(1.0, abs(count)) + rounding
    return math.isfinite(count) and abs(count - round(count)) <= tolerance


def _listed(options: Any) -> str:
    return printable(", ".join(str(option) for option in options))
