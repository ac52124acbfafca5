"""Options of the early stopping rules that a search file can name.

To add a rule, define its options class here, list it in `EarlyStopping`, and register the class
that implements it in `RULES` of synrep_search/search/early_stopping.py. The documentation for users
is generated from the docstrings of the options class.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import Field

from synrep.schema import Count, Section


class EarlyStoppingOptions(Section):
    """Options that all rules have."""

    kind: str
    grace: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """No trial is stopped before this fraction of the full length of a training run."""

    def rungs(self, length: int) -> list[int]:
        """Return the iterations at which a training is judged, if known in advance."""
        del length
        return []

    def summary(self, length: int) -> tuple[str, str]:
        """Return the label and the details that `plan` shows.

        Args:
            length: iterations of a training.
        """
        return "early stopping", f"{self.kind}, from iteration {self.first(length)} on"

    def first(self, length: int) -> int:
        """Return the iteration from which a training is judged."""
        return math.ceil(max(1.0, self.grace * length))


class Asha(EarlyStoppingOptions):
    """Asynchronous successive halving: only the best 1/reduction of the trials pass each rung."""

    kind: Literal["asha"] = "asha"
    grace: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """First rung, as a fraction of the full length of a training."""
    reduction: Annotated[int, Field(ge=2)] = 3
    """Reduction factor: ratio of successive rungs; one trial in so many passes each rung."""

    def rungs(self, length: int) -> list[int]:
        """Return the iterations at which a training is judged."""
        rungs, rung = [], max(1.0, self.grace * length)
        while rung < length:
            rungs.append(math.ceil(rung))
            rung *= self.reduction
        return rungs

    def summary(self, length: int) -> tuple[str, str]:
        """Return the rungs and the share of trials that pass them."""
        rungs = ", ".join(map(str, self.rungs(length)))
        return "rungs", f"{rungs}; 1 in {self.reduction} goes on"


class Median(EarlyStoppingOptions):
    """Median stopping: stops a trial that is worse than the median of the others.

    At each report, the best value so far is compared with the best values that the other trials had
    at the same iteration.
    """

    kind: Literal["median"] = "median"
    minimum: Count = 5
    """Number of other trials that must have reached the iteration."""

    def summary(self, length: int) -> tuple[str, str]:
        """Return the first iteration that is judged and the minimum number of other trials."""
        word, details = super().summary(length)
        return word, f"{details}, by {self.minimum} other trials or more"


EarlyStopping: TypeAlias = Asha | Median
"""Options of any rule."""
RULES: dict[str, type[EarlyStoppingOptions]] = {
    kind.model_fields["kind"].default: kind for kind in get_args(EarlyStopping)
}
"""Options class by the name used in search files."""
