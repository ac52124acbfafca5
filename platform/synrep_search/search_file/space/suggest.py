"""Where flat parameters come from, and the small records that distributions give out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from synrep.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

Scalar: TypeAlias = bool | int | float | str
_Float: TypeAlias = float  # inside Suggest, `float` and `int` are methods
_Int: TypeAlias = int


class Suggest(Protocol):
    """Where flat parameters come from: a sampler, or recorded values (`Replay`)."""

    def float(
        self, name: str, low: _Float, high: _Float, *, log: bool, step: _Float | None
    ) -> _Float:
        """A number in [low, high]; with `step`, low plus a multiple of it; never both options."""

    def int(self, name: str, low: _Int, high: _Int, *, log: bool, step: _Int) -> _Int:
        """A whole number in [low, high], low plus a multiple of `step`; `log` only with step 1."""

    def choice(self, name: str, options: Sequence[Scalar]) -> Scalar:
        """One of the options."""


class Replay:
    """Suggests recorded flat parameters, e.g. to turn those of a ledger into values again."""

    def __init__(self, params: dict[str, Any]) -> None:
        self._params = params

    def float(
        self, name: str, _low: _Float, _high: _Float, *, log: bool, step: _Float | None
    ) -> _Float:
        """The recorded number; the range is not checked."""
        del log, step
        return _Float(self._take(name))

    def int(self, name: str, _low: _Int, _high: _Int, *, log: bool, step: _Int) -> _Int:
        """The recorded whole number."""
        del log, step
        return _Int(self._take(name))

    def choice(self, name: str, _options: Sequence[Scalar]) -> Scalar:
        """The recorded choice."""
        choice: Scalar = self._take(name)
        return choice

    def _take(self, name: str) -> Any:
        if name not in self._params:
            raise InputError(name, "no value was recorded for this parameter")
        return self._params[name]


class Row(NamedTuple):
    """One line of a table of a space."""

    name: str
    kind: str
    values: str


class Probe(NamedTuple):
    """A value at the edge of a distribution, to be tried on the field that it is meant for.

    Attributes:
        keys: path of the part of the distribution, as written in the file, that gives it.
        value: the value of the whole field.
        focus: path inside the value that this probe is about.
    """

    keys: tuple[str | int, ...]
    value: Any
    focus: tuple[str | int, ...]
