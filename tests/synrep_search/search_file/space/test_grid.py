"""Parameters as coordinates, and spaces as grids."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synrep_search.search_file.space import grid
from synrep_search.search_file.space.parameters import Parameter, parameters

SPACE: dict[str, Any] = {
    "critic.steps": {"choice": [1, 2, 5]},
    "generator.dropout": {"float": [0, 0.5], "step": 0.1},
    "kcs.weighting": {
        "one_of": {
            "band": {"reach": {"int": [1, 7]}},
            "tanh": {"scale": {"choice": [0.5, 1.0]}, "power": {"float": [1, 2], "step": 0.5}},
            "uniform": {},
        }
    },
}
PARAMETERS = [
    Parameter(name="float", low=-2.0, high=3.0),
    Parameter(name="log", low=1e-5, high=1e-3, log=True),
    Parameter(name="step", low=0.0, high=0.5, step=0.1),
    Parameter(name="int", low=1, high=7, step=2, whole=True),
    Parameter(name="int_log", low=1, high=1000, log=True, whole=True),
    Parameter(name="choice", options=("a", True, 3)),
]


@pytest.fixture
def space(make_spec) -> Any:
    """The space above."""
    search = {"minimize": "validation/z_mm"}
    return make_spec(trainer="synrep", train={}, space=SPACE, search=search).space


def test_every_point_has_a_number(space) -> None:
    """All combinations are counted, families with their own parameters; numbers lead back."""
    families = 7 + 2 * 3 + 1
    assert grid.size(space) == 3 * 6 * families
    points = [grid.point(space, number) for number in range(grid.size(space))]
    assert len({tuple(sorted(point.items())) for point in points}) == len(points)
    for number, params in enumerate(points):
        values = space.unflatten(params)
        assert space.flatten(values) == params
        assert grid.number_of(space, params) == number
    dropouts = sorted({point["generator.dropout"] for point in points})
    assert dropouts == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert not grid.continuous(space)


def test_parameters_of_all_families(space) -> None:
    """In the order of the file; those of a family are conditional."""
    found = {one.name: one.conditional for one in parameters(space)}
    assert list(found.items()) == [
        ("critic.steps", False),
        ("generator.dropout", False),
        ("kcs.weighting", False),
        ("kcs.weighting.band.reach", True),
        ("kcs.weighting.tanh.scale", True),
        ("kcs.weighting.tanh.power", True),
    ]


@given(coordinate=st.floats(0, 1), parameter=st.sampled_from(PARAMETERS))
def test_coordinates_lead_there_and_back(coordinate, parameter) -> None:
    """A value lies in its range and on its steps, and its coordinate gives the value again."""
    value = parameter.at(coordinate)
    assert 0 <= parameter.coordinate(value) <= 1
    again = parameter.at(parameter.coordinate(value))
    if isinstance(value, float):
        assert parameter.low <= value <= parameter.high
        assert math.isclose(again, value, rel_tol=1e-9, abs_tol=1e-12)
    else:
        assert again == value
        assert type(again) is type(value)


def test_shares_are_even() -> None:
    """Options and steps have equal shares, both ends included."""
    choice, steps = PARAMETERS[5], PARAMETERS[3]
    drawn = [choice.at(i / 300) for i in range(300)]
    assert [len(list(run)) for _, run in itertools.groupby(drawn)] == [100, 100, 100]
    assert [steps.at(u) for u in (0.0, 0.24, 0.26, 0.51, 0.99, 1.0)] == [1, 1, 3, 5, 7, 7]
