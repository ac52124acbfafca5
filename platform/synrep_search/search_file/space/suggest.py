"""Interface from which distributions draw flat parameters, and the records they return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from synrep.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

Scalar: TypeAlias = bool | int | float | str
_Float: TypeAlias = float  # inside Suggest, `float` and `int` are methods
_Int: TypeAlias = int


class Suggest(Protocol):
    """Source of flat parameters: a sampler, or recorded values (`Replay`)."""

    def float(
        self, name: str, low: _Float, high: _Float, *, log: bool, step: _Float | None
    ) -> _Float:
        """Return a number in [low, high], low plus a multiple of `step`; not with `log`."""

    def int(self, name: str, low: _Int, high: _Int, *, log: bool, step: _Int) -> _Int:
        """Return an integer in [low, high], low plus a multiple of `step`; `log` needs step 1."""

    def choice(self, name: str, options: Sequence[Scalar]) -> Scalar:
        """Return one of the options."""


class Replay:
    """Suggests recorded flat parameters, e.g. to convert those of a ledger back to values."""

    def __init__(self, params: dict[str, Any]) -> None:
        self._params = params

    def float(
        self, name: str, _low: _Float, _high: _Float, *, log: bool, step: _Float | None
    ) -> _Float:
        """Return the recorded number; the range is not checked."""
        del log, step
        return _Float(self._take(name))

    def int(self, name: str, _low: _Int, _high: _Int, *, log: bool, step: _Int) -> _Int:
        """Return the recorded integer."""
        del log, step
        return _Int(self._take(name))

    def choice(self, name: str, _options: Sequence[Scalar]) -> Scalar:
        """Return the recorded choice."""
        choice: Scalar = self._take(name)
        return choice

    def _take(self, name: str) -> Any:
        if name not in self._params:
            raise InputError(name, "no value was recorded for this parameter")
        return self._params[name]


class Row(NamedTuple):
    """One row of the table that describes a space."""

    name: str
    kind: str
    values: str


class Probe(NamedTuple):
    """A value at a bound of a distribution, used to validate the distribution with its field.

    Attributes:
        keys: path, in the file, of the part of the distribution that the value comes from.
        value: value of the whole field.
        focus: path inside the value of the part that the probe tests.
    """

    keys: tuple[str | int, ...]
    value: Any
    focus: tuple[str | int, ...]
