"""The search space: a distribution for each searched name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synrep.errors import InputError
from synrep.schema import Section
from synrep_search.search_file.space.distributions import Distribution
from synrep_search.search_file.space.suggest import Replay

if TYPE_CHECKING:
    from synrep_search.search_file.space.suggest import Row, Suggest


class Space(Section):
    """Distributions by dotted name, in the order of the file."""

    names: dict[str, Distribution]

    def sample(self, suggest: Suggest) -> dict[str, Any]:
        """Draw a point: JSON values by dotted name, as `trial_config` takes them."""
        return {name: part.sample(name, suggest) for name, part in self.names.items()}

    def flatten(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the flat parameters of a point: the inverse of `sample`.

        Raises:
            InputError: a name is missing or not searched, or its value lies outside the space.
        """
        if mismatched := sorted(set(values) ^ set(self.names)):
            name = mismatched[0]
            raise InputError(name, "is not searched" if name in values else "has no value")
        flat: dict[str, Any] = {}
        for name, part in self.names.items():
            flat |= part.flatten(name, values[name])
        return flat

    def unflatten(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return the point that belongs to recorded flat parameters.

        Raises:
            InputError: a parameter of the space is missing.
        """
        return self.sample(Replay(params))

    def describe(self) -> list[Row]:
        """Return a table row for each searched name and each conditional parameter."""
        return [row for name, part in self.names.items() for row in part.describe(name)]
