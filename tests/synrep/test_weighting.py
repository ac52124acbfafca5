"""Weighting families: their formulas, and what a new one needs."""

from __future__ import annotations

import json
import math
from typing import Annotated, Literal, get_args

import pytest
from pydantic import Field, ValidationError, create_model

from synrep.config import KcsConfig, TrainConfig
from synrep.model.kcs import WeightedKcs, weight_matrix
from synrep.skeleton import HUMAN36M_17
from synrep.weighting import (
    Band,
    Exponential,
    Free,
    Gaussian,
    Linear,
    Power,
    Tanh,
    Uniform,
    Weighting,
    WeightingFamily,
)

FAMILIES: tuple[type[WeightingFamily], ...] = get_args(get_args(Weighting)[0])
CASES: list[tuple[Weighting, list[float]]] = [
    (Tanh(), [math.tanh(1 / t) for t in range(1, 7)]),
    (Tanh(scale=2.0, power=0.5), [math.tanh(2 * (1 / t) ** 0.5) for t in range(1, 7)]),
    (Uniform(), [1.0] * 6),
    (Exponential(rate=0.5), [math.exp(-0.5 * t) for t in range(1, 7)]),
    (Power(exponent=1.0), [1 / d for d in range(2, 8)]),
    (Gaussian(sigma=2.0), [math.exp(-(t**2) / 8) for t in range(1, 7)]),
    (Linear(reach=4.0), [0.75, 0.5, 0.25, 0.0, 0.0, 0.0]),
    (Band(reach=3), [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]),
    (Free(weights=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6)), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
]


@pytest.mark.parametrize(("weighting", "expected"), CASES, ids=lambda value: str(value)[:40])
def test_weights_by_distance(weighting: Weighting, expected: list[float]) -> None:
    """Distances 2 to 7 weigh as the family says, to the last bit; 0 and 1 always weigh 1."""
    assert [weighting.weight(distance) for distance in range(2, 8)] == expected
    assert weighting.weight(0) == weighting.weight(1) == 1.0


def test_paper_values() -> None:
    """Equation 5 as printed."""
    expected = [0.7616, 0.4621, 0.3215, 0.2449, 0.1974, 0.1651]
    assert [Tanh().weight(d) for d in range(2, 8)] == pytest.approx(expected, abs=1e-4)


def test_every_family_is_tested_and_described() -> None:
    """With its formula in the docstring and its name in `family`."""
    assert {type(weighting) for weighting, _ in CASES} == set(FAMILIES)
    assert set(WeightingFamily.__subclasses__()) - {MadeUp} == set(FAMILIES)
    for family in FAMILIES:
        assert family.__doc__
        assert family.__doc__ != WeightingFamily.__doc__
        assert get_args(family.model_fields["family"].annotation) == (
            family.model_fields["family"].default,
        )


class MadeUp(WeightingFamily):
    """1 / (1 + slope * (d - 1))."""

    family: Literal["made-up"] = "made-up"
    slope: Annotated[float, Field(gt=0)] = 1.0

    def far_weight(self, distance: int) -> float:
        """See the class."""
        return 1 / (1 + self.slope * (distance - 1))


def test_a_new_family_needs_nothing_else() -> None:
    """A class in the union: it is configured by name, checked, and gives its matrix."""
    union = Annotated[MadeUp | get_args(Weighting)[0], Field(discriminator="family")]
    extended = create_model("Extended", __base__=KcsConfig, weighting=(union, Tanh()))
    given = json.dumps({"weighting": {"family": "made-up", "slope": 0.5}, "floor": 0.2})
    config = extended.model_validate_json(given)
    matrix = weight_matrix(config, HUMAN36M_17)
    for row, distances in zip(matrix.tolist(), HUMAN36M_17.bone_distances, strict=True):
        for value, distance in zip(row, distances, strict=True):
            far = 0.2 + 0.8 / (1 + 0.5 * (distance - 1))
            assert value == pytest.approx(far if distance > 1 else 1.0)
    assert WeightedKcs(config, HUMAN36M_17).features == 256
    with pytest.raises(ValidationError, match=r"made-up\.slope"):
        extended.model_validate_json('{"weighting": {"family": "made-up", "slope": -1}}')


def test_unknown_families_and_families_without_a_formula_are_refused() -> None:
    """A name outside the union names all in it; a class without a formula has no instances."""
    with pytest.raises(ValidationError) as caught:
        TrainConfig.model_validate_json('{"kcs": {"weighting": {"family": "made-up"}}}')
    for family in FAMILIES:
        assert f"'{family.model_fields['family'].default}'" in str(caught.value)

    class Unfinished(WeightingFamily):
        family: Literal["unfinished"] = "unfinished"

    with pytest.raises(TypeError, match="far_weight"):
        Unfinished()  # type: ignore[abstract]
