"""The rules of early stopping that a search file can name: their options.

A new rule takes an options class here, listed in `EarlyStopping`, and the class that decides, in
`RULES` of synrep_search/search/early_stopping.py. What users read of it comes from its docstrings.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import Field

from synrep.schema import Count, Section


class EarlyStoppingOptions(Section):
    """What all rules share."""

    kind: str
    grace: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """No trial is stopped before this fraction of the full length of a training run."""

    def rungs(self, length: int) -> list[int]:
        """Iterations at which a training of that length is judged, if they are known before."""
        del length
        return []

    def summary(self, length: int) -> tuple[str, str]:
        """What `plan` says of it: a word, and its details.

        Args:
            length: iterations of a training.
        """
        return "early stopping", f"{self.kind}, from iteration {self.first(length)} on"

    def first(self, length: int) -> int:
        """Iteration from which a training of that length is judged."""
        return math.ceil(max(1.0, self.grace * length))


class Asha(EarlyStoppingOptions):
    """Asynchronous successive halving: at each rung only the best 1/reduction go on."""

    kind: Literal["asha"] = "asha"
    grace: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """First rung, as a fraction of the full length of a training."""
    reduction: Annotated[int, Field(ge=2)] = 3
    """Each rung is this many times as far as the one before, and one in so many passes it."""

    def rungs(self, length: int) -> list[int]:
        """Iterations at which a training of that length is judged."""
        found, rung = [], max(1.0, self.grace * length)
        while rung < length:
            found.append(math.ceil(rung))
            rung *= self.reduction
        return found

    def summary(self, length: int) -> tuple[str, str]:
        """The rungs."""
        rungs = ", ".join(map(str, self.rungs(length)))
        return "rungs", f"{rungs}; 1 in {self.reduction} goes on"


class Median(EarlyStoppingOptions):
    """Median stopping: ends a trial that is worse than the median of the others.

    At each report, its best value so far is compared with the best values that the other trials had
    at the same iteration.
    """

    kind: Literal["median"] = "median"
    minimum: Count = 5
    """Number of other trials that must have reached the iteration."""

    def summary(self, length: int) -> tuple[str, str]:
        """From when on it judges, and by how many."""
        word, details = super().summary(length)
        return word, f"{details}, by {self.minimum} other trials or more"


EarlyStopping: TypeAlias = Asha | Median
"""All rules."""
RULES: dict[str, type[EarlyStoppingOptions]] = {
    kind.model_fields["kind"].default: kind for kind in get_args(EarlyStopping)
}
"""Options by the name that a search file uses."""
