"""Points of a space: drawn, flattened and drawn again."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from synrep_search.search_file import Replay, Space, load_spec
from synrep_search.search_file.space.distributions import (
    Choice,
    Fixed,
    FloatRange,
    IntRange,
    OneOf,
    Vector,
)
from synrep_search.search_file.space.simplex import Simplex

from synrep.errors import InputError

TEXT = """\
space:
  loss.lambda_angle: {log: [0.01, 10]}
  generator.dropout: {float: [0, 0.5], step: 0.1}
  critic.steps: {choice: [1, 2, 5]}
  reprojection_network.width: {int_log: [64, 1024]}
  kcs.weighting:
    one_of:
      tanh: {scale: {log: [0.25, 4]}, power: 1.5}
      band: {reach: {int: [1, 7], step: 2}}
      free: {weights: [1, {float: [0, 1]}, 0.5, 0.5, 0.5, {choice: [0, 1]}]}
      uniform:
"""

names = st.text("abc.", min_size=1, max_size=6)
bounds = st.tuples(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6)).map(lambda t: (t[0], t[0] + t[1]))


@st.composite
def float_ranges(draw) -> FloatRange:
    """Any range of numbers: even, logarithmic or stepped."""
    low, high = draw(bounds)
    kind = draw(st.sampled_from(["even", "log", "step"]))
    if kind == "log":
        return FloatRange(low=abs(low) + 1e-6, high=abs(low) + high - low + 1, log=True)
    if kind == "step":
        step = draw(st.floats(1e-3, 10))
        return FloatRange(low=low, high=low + step * draw(st.integers(1, 50)), step=step)
    return FloatRange(low=low, high=high)


@st.composite
def int_ranges(draw) -> IntRange:
    """Any range of whole numbers."""
    low, step = draw(st.integers(1, 100)), draw(st.integers(1, 9))
    return IntRange(low=low, high=low + step * draw(st.integers(1, 40)), step=step)


scalars = st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3)
leaves = (
    float_ranges()
    | int_ranges()
    | scalars.map(lambda value: Fixed(value=value))
    | st.lists(scalars, min_size=2, max_size=4, unique=True).map(
        lambda options: Choice(options=tuple(options))
    )
)
parts = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda found: Vector(entries=tuple(found)))
        | st.dictionaries(
            st.text("fgh", min_size=1, max_size=2),
            st.dictionaries(st.sampled_from(["p", "q"]), inner, max_size=2),
            min_size=1,
            max_size=3,
        ).map(lambda families: OneOf(families=families))
    ),
    max_leaves=6,
)
simplexes = st.builds(
    lambda size, share: Simplex(size=size, sum=size * share, max=1.0),
    st.integers(2, 9),
    st.floats(0.01, 0.99),
)


@settings(max_examples=100, deadline=None, database=None)
@given(part=parts, seed=st.integers(0, 2**32))
@example(part=FloatRange(low=32768.0, high=32768.001, step=0.001), seed=0)
def test_what_was_drawn_is_found_again(draw, part, seed) -> None:
    """Flattening a drawn point gives the parameters it was drawn with, and they give the point."""
    space = Space(names={"x": part})
    suggest = draw(seed)
    values = space.sample(suggest)
    assert space.flatten(values) == suggest.params
    assert space.unflatten(suggest.params) == values


@settings(max_examples=100, deadline=None, database=None)
@given(part=simplexes, seed=st.integers(0, 2**32))
def test_simplex_keeps_its_sum_and_bounds(draw, part, seed) -> None:
    """Entries add up, stay within bounds, and come back from their own flat parameters."""
    values = part.sample("x", draw(seed))
    assert math.fsum(values) == pytest.approx(part.sum)
    assert all(0 <= value <= part.max for value in values)
    flat = part.flatten("x", values)
    assert all(0 < share <= 1 for share in flat.values())
    assert part.sample("x", Replay(flat)) == pytest.approx(values, abs=1e-9)


def test_simplex_reaches_corners() -> None:
    """A point with entries at zero and at the bound, given as a start, is kept."""
    part = Simplex(size=6, sum=3.0)
    corner = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    assert part.sample("x", Replay(part.flatten("x", corner))) == corner
    same = {f"x.{i}": 1.0 for i in range(6)}
    assert part.sample("x", Replay(same)) == pytest.approx([0.5] * 6)


def test_simplex_is_even(draw) -> None:
    """Every entry has the same mean, so no position is favoured."""
    part = Simplex(size=4, sum=1.0)
    points = [part.sample("x", draw(seed)) for seed in range(2000)]
    for entry in zip(*points, strict=True):
        assert sum(entry) / len(entry) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ([1.0, 1.0], r"x: \[1.0, 1.0\] is not a list of 3 entries"),
        ("abc", r'x: "abc" is not a list of 3 entries'),
        ([0.5, 0.5, "a"], r"is not a list of numbers"),
        ([0.5, 0.7, -0.2], r"has entries outside 0 .. 1.0"),
        ([0.5, 0.5, 0.5], r"has the sum 1.5, not 1.0"),
    ],
)
def test_a_list_off_the_simplex_is_refused(value, rule) -> None:
    """A start point must keep size, bounds and sum."""
    with pytest.raises(InputError, match=rule):
        Simplex(size=3).flatten("x", value)


def test_flat_names_carry_the_family(write, draw) -> None:
    """Conditional parameters appear below their family, and only those of the family drawn."""
    space = load_spec(write(TEXT)).space
    families = set()
    for seed in range(40):
        suggest = draw(seed)
        values = space.sample(suggest)
        family = values["kcs.weighting"]["family"]
        families.add(family)
        conditional = {name for name in suggest.params if name.startswith("kcs.weighting.")}
        assert (
            conditional
            == {
                "tanh": {"kcs.weighting.tanh.scale"},
                "band": {"kcs.weighting.band.reach"},
                "free": {"kcs.weighting.free.weights.1", "kcs.weighting.free.weights.5"},
                "uniform": set(),
            }[family]
        )
        assert suggest.params["kcs.weighting"] == family
    assert families == {"tanh", "band", "free", "uniform"}


def test_constants_inside_a_family_are_part_of_the_value(write) -> None:
    """A constant is in the value though no parameter draws it."""
    space = load_spec(write(TEXT)).space
    params = {
        "loss.lambda_angle": 1.0,
        "generator.dropout": 0.1,
        "critic.steps": 1,
        "reprojection_network.width": 64,
        "kcs.weighting": "tanh",
        "kcs.weighting.tanh.scale": 2.0,
    }
    values = space.unflatten(params)
    assert values["kcs.weighting"] == {"family": "tanh", "scale": 2.0, "power": 1.5}
    assert space.flatten(values) == params


def test_describe_is_a_table(write) -> None:
    """Every searched name and every conditional parameter has a line."""
    rows = load_spec(write(TEXT)).space.describe()
    assert [tuple(row) for row in rows] == [
        ("loss.lambda_angle", "log", "0.01 .. 10.0"),
        ("generator.dropout", "float", "0.0 .. 0.5 in steps of 0.1"),
        ("critic.steps", "choice", "1, 2, 5"),
        ("reprojection_network.width", "int_log", "64 .. 1024"),
        ("kcs.weighting", "one_of", "tanh, band, free, uniform"),
        ("kcs.weighting.tanh.scale", "log", "0.25 .. 4.0"),
        ("kcs.weighting.tanh.power", "fixed", "1.5"),
        ("kcs.weighting.band.reach", "int", "1 .. 7 in steps of 2"),
        ("kcs.weighting.free.weights.0", "fixed", "1"),
        ("kcs.weighting.free.weights.1", "float", "0.0 .. 1.0"),
        ("kcs.weighting.free.weights.2", "fixed", "0.5"),
        ("kcs.weighting.free.weights.3", "fixed", "0.5"),
        ("kcs.weighting.free.weights.4", "fixed", "0.5"),
        ("kcs.weighting.free.weights.5", "choice", "0, 1"),
    ]


@pytest.mark.parametrize(
    ("part", "value", "rule"),
    [
        (FloatRange(low=0, high=1), 2, "2 is outside 0.0 .. 1.0"),
        (FloatRange(low=0, high=1), True, "true is not a number"),
        (FloatRange(low=0, high=1), None, "null is not a number"),
        (FloatRange(low=0, high=1, step=0.25), 0.3, "0.3 is not 0.0 plus a multiple of 0.25"),
        (IntRange(low=1, high=7, step=2), 4, "4 is not 1 plus a multiple of 2"),
        (IntRange(low=1, high=7), 2.5, "2.5 is not a whole number"),
        (IntRange(low=1, high=7), math.inf, "is not a whole number"),
        (IntRange(low=1, high=7), 8, "8 is outside 1 .. 7"),
        (Choice(options=(1, 2)), 3, "3 is none of 1, 2"),
        (Choice(options=(1, 2)), True, "true is none of 1, 2"),
        (Fixed(value=2), 3, "3 is not 2, its fixed value"),
        (Vector(entries=(Fixed(value=2),)), [2, 2], r"\[2, 2\] is not a list of 1 entries"),
        (OneOf(families={"a": {}}), {"family": "b"}, "belongs to none of the families a"),
        (OneOf(families={"a": {}}), {"family": ["a"]}, "belongs to none of the families a"),
        (OneOf(families={"a": {"p": Fixed(value=1)}}), {"family": "a"}, r"x\.a\.p: is missing"),
        (OneOf(families={"a": {}}), {"family": "a", "p": 1}, r"x\.a\.p: is not searched"),
    ],
)
def test_a_value_outside_is_refused(part, value, rule) -> None:
    """What a distribution could not have drawn is not flattened."""
    with pytest.raises(InputError, match=rule):
        part.flatten("x", value)


def test_a_point_has_exactly_the_searched_names(write) -> None:
    """Names too many or too few are refused, and so are missing recorded parameters."""
    space = load_spec(write("space: {critic.steps: {int: [1, 3]}}")).space
    with pytest.raises(InputError, match=r"^critic\.steps: has no value"):
        space.flatten({})
    with pytest.raises(InputError, match=r"^batch_size: is not searched"):
        space.flatten({"critic.steps": 1, "batch_size": 3})
    with pytest.raises(InputError, match=r"^critic\.steps: no value was recorded"):
        space.unflatten({})
