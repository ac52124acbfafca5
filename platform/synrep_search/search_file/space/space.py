"""The space: every searched name with its distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synrep.errors import InputError
from synrep.schema import Section
from synrep_search.search_file.space.distributions import Distribution
from synrep_search.search_file.space.suggest import Replay

if TYPE_CHECKING:
    from synrep_search.search_file.space.suggest import Row, Suggest


class Space(Section):
    """Searched names, dotted, in the order of the file."""

    names: dict[str, Distribution]

    def sample(self, suggest: Suggest) -> dict[str, Any]:
        """Draw one point: JSON values by dotted name, ready for `trial_config`."""
        return {name: part.sample(name, suggest) for name, part in self.names.items()}

    def flatten(self, values: dict[str, Any]) -> dict[str, Any]:
        """The flat parameters of a point: the inverse of `sample`.

        Raises:
            InputError: a name is missing or not searched, or its value lies outside the space.
        """
        if odd := sorted(set(values) ^ set(self.names)):
            raise InputError(odd[0], "is not searched" if odd[0] in values else "has no value")
        flat: dict[str, Any] = {}
        for name, part in self.names.items():
            flat |= part.flatten(name, values[name])
        return flat

    def unflatten(self, params: dict[str, Any]) -> dict[str, Any]:
        """The point that recorded flat parameters gave.

        Raises:
            InputError: a parameter that the space draws is missing.
        """
        return self.sample(Replay(params))

    def describe(self) -> list[Row]:
        """A line for each searched name and each conditional parameter, for a table."""
        return [row for name, part in self.names.items() for row in part.describe(name)]
