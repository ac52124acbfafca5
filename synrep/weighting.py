"""Families of weights w(d) for pairs of bones, by their distance d in the skeleton (row 30).

To add a family, write a class with its fields and its formula here and name it in `Weighting`:
configurations, search spaces and the kinematic chain space then know it.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Annotated, Literal

from pydantic import Field

from synrep.schema import Fraction, Positive, Section

SixFractions = tuple[Fraction, Fraction, Fraction, Fraction, Fraction, Fraction]


class WeightingFamily(Section):
    """Base of all families. A subclass has a literal `family` and a docstring with its formula."""

    def weight(self, distance: int) -> float:
        """Weight of a pair of bones at a distance (hops between bones; 0 itself, 1 adjacent).

        Distances 0 and 1 weigh 1 in every family (equation 5).
        """
        return self.far_weight(distance) if distance > 1 else 1.0

    @abstractmethod
    def far_weight(self, distance: int) -> float:
        """The family's formula, for distances from 2 up."""


class Tanh(WeightingFamily):
    """tanh(scale * (1 / (d - 1)) ** power); the paper's equation 5 at scale = power = 1."""

    family: Literal["tanh"] = "tanh"
    scale: Positive = 1.0
    power: Positive = 1.0

    def far_weight(self, distance: int) -> float:
        """See the class."""
        return math.tanh(self.scale * (1 / (distance - 1)) ** self.power)


class Uniform(WeightingFamily):
    """1 for every distance: the plain kinematic chain space."""

    family: Literal["uniform"] = "uniform"

    def far_weight(self, distance: int) -> float:  # noqa: ARG002 - it weighs all the same
        """See the class."""
        return 1.0


class Exponential(WeightingFamily):
    """exp(-rate * (d - 1))."""

    family: Literal["exponential"] = "exponential"
    rate: Positive = 0.5

    def far_weight(self, distance: int) -> float:
        """See the class."""
        return math.exp(-self.rate * (distance - 1))


class Power(WeightingFamily):
    """d ** -exponent."""

    family: Literal["power"] = "power"
    exponent: Positive = 1.0

    def far_weight(self, distance: int) -> float:
        """See the class."""
        return float(distance**-self.exponent)


class Gaussian(WeightingFamily):
    """exp(-(d - 1)**2 / (2 * sigma**2))."""

    family: Literal["gaussian"] = "gaussian"
    sigma: Positive = 2.0

    def far_weight(self, distance: int) -> float:
        """See the class."""
        return math.exp(-((distance - 1) ** 2) / (2 * self.sigma**2))


class Linear(WeightingFamily):
    """max(0, 1 - (d - 1) / reach): zero beyond the reach."""

    family: Literal["linear"] = "linear"
    reach: Positive = 6.0

    def far_weight(self, distance: int) -> float:
        """See the class."""
        return max(0.0, 1 - (distance - 1) / self.reach)


class Band(WeightingFamily):
    """1 up to the distance `reach`, 0 beyond."""

    family: Literal["band"] = "band"
    reach: Annotated[int, Field(ge=1, le=7)] = 2

    def far_weight(self, distance: int) -> float:
        """See the class."""
        return float(distance <= self.reach)


class Free(WeightingFamily):
    """One weight for each bone distance 2, 3, ..., 7."""

    family: Literal["free"] = "free"
    weights: SixFractions = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)

    def far_weight(self, distance: int) -> float:
        """See the class."""
        return self.weights[distance - 2]


Weighting = Annotated[
    Tanh | Uniform | Exponential | Power | Gaussian | Linear | Band | Free,
    Field(discriminator="family"),
]
"""Any family; configurations tell them apart by `family`."""
