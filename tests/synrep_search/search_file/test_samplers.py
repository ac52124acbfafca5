"""The registries of samplers and early-stopping rules, and what each of them refuses."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from synrep_search.errors import SpecError
from synrep_search.search.early_stopping import RULES as DECIDING
from synrep_search.search.samplers.factories import FACTORIES
from synrep_search.search_file import SearchSpec
from synrep_search.search_file.early_stopping import RULES, Asha, Median
from synrep_search.search_file.samplers import (
    LARGEST_GRID,
    SAMPLERS,
    RandomSampler,
    Task,
    Tpe,
    require,
)
from synrep_search.trainers import TRAINERS

from synrep.errors import InputError

FAMILIES = "{one_of: {tanh: {scale: {log: [0.25, 4]}}, band: {reach: {int: [1, 7]}}, uniform: {}}}"
NAMES = {"x": {"float": [-1, 1], "step": 0.5}, "y": {"choice": [1, 2, 3]}}


def test_every_entry_is_complete() -> None:
    """Each has help for its options and something that carries it out, and nothing is left over."""
    assert set(SAMPLERS.values()) == set(FACTORIES)
    assert set(RULES.values()) == set(DECIDING)
    for kinds in (SAMPLERS, RULES):
        for name, kind in kinds.items():
            assert kind().kind == name
            assert kind.__doc__
            fields = {key: one for key, one in kind.model_fields.items() if key != "kind"}
            assert all(one.description for one in fields.values())
    assert all(trainer.help for trainer in TRAINERS.values())


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({"sampler": {"kind": "tpe", "seed": 3, "startup": 4}}, (Tpe(seed=3, startup=4), None)),
        ({"sampler": {"kind": "random", "seed": 5}}, (RandomSampler(seed=5), None)),
        (
            {"early_stopping": {"kind": "asha", "grace": 0.2, "reduction": 2}},
            (Tpe(), Asha(grace=0.2, reduction=2)),
        ),
    ],
)
def test_stored_specifications_read_as_before(make_spec, stored, expected) -> None:
    """What earlier versions wrote into ledgers, word for word."""
    content = json.loads(make_spec().model_dump_json())
    content["search"] |= {"early_stopping": None, "sampler": {"kind": "tpe"}} | stored
    search = SearchSpec.model_validate_json(json.dumps(content)).search
    assert (search.sampler, search.early_stopping) == expected
    assert json.loads(search.model_dump_json())[next(iter(stored))] == next(iter(stored.values()))


@pytest.mark.parametrize(
    ("text", "line", "path", "words"),
    [
        (
            f"space:\n  kcs.weighting: {FAMILIES}\nsearch: {{sampler: {{cmaes: {{}}}}}}",
            2,
            "space.kcs.weighting",
            "only, not kcs.weighting, kcs.weighting.tanh.scale, kcs.weighting.band.reach: give it",
        ),
        (
            "space:\n  critic.steps: {choice: [1, 2]}\nsearch: {sampler: {cmaes: {}}}",
            2,
            "space.critic.steps",
            "give it a range, fix it under train, or use the sampler tpe",
        ),
        (
            "space: {}\nsearch:\n  sampler:\n    cmaes: {}",
            4,
            "search.sampler.cmaes",
            "nothing to search",
        ),
        (
            f"space:\n  kcs.weighting: {FAMILIES}\nsearch: {{sampler: {{grid: {{}}}}}}",
            2,
            "space.kcs.weighting.tanh.scale",
            "has no grid: give it steps, list values under choice",
        ),
        (
            "space:\n  critic.steps: {choice: [1, 2]}\nsearch:\n  sampler: {grid: {}}\n  trials: 3",
            5,
            "search.trials",
            "the grid has 2 points, too few for 3 trials: ask for at most 2",
        ),
        (
            "space:\n  critic.steps: {choice: [1, 2]}\nsearch: {sampler: {grid: {}}}",
            3,
            "search.trials",
            "too few for 32 trials",
        ),
        (
            "space:\n  batch_size: {int: [2, 2000000]}\nsearch:\n  sampler: {grid: {}}",
            4,
            "search.sampler.grid",
            f"more than {LARGEST_GRID}",
        ),
    ],
)
def test_a_sampler_refuses_what_it_cannot_do(refused, text, line, path, words) -> None:
    """When the file is read, naming the place, the parameters and what to do instead."""
    problems = refused(text)
    found = [problem for problem in problems if problem.path == path]
    assert found, problems
    assert words in found[0].rule
    assert found[0].where == f"a.yaml:{line}"


def test_start_points_given_twice_need_no_points_of_the_grid(make_spec) -> None:
    """Each of them is a trial; the others are those points that nobody asked for."""
    start = [{"x": 0.5, "y": 1}, {"x": 0.5, "y": 1}]
    search = {"sampler": {"grid": {}}, "trials": 16}
    assert make_spec(space=NAMES, start_from=start, search=search).search.trials == 16
    with pytest.raises(SpecError, match="at most 16"):
        make_spec(space=NAMES, start_from=start, search={**search, "trials": 17})


def test_a_missing_package_is_named(make_spec, monkeypatch) -> None:
    """With how to get it, when the file is read."""
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(SpecError, match=r"needs the package cmaes: pip install 'synrep-search\[cm"):
        make_spec(search={"sampler": {"cmaes": {}}})


def test_a_raised_target_is_held_against_the_grid(make_spec) -> None:
    """Outside a file the refusal is an error of its own."""
    spec = make_spec(space=NAMES, search={"sampler": {"grid": {}}, "trials": 4})
    require(spec.search.sampler, Task(spec.space, 15))
    with pytest.raises(InputError, match=r"search\.trials: the grid has 15 points"):
        require(spec.search.sampler, Task(spec.space, 16))


@pytest.mark.parametrize(
    ("sampler", "space", "words"),
    [
        ({"tpe": {}}, NAMES, "tpe"),
        ({"qmc": {"sequence": "halton"}}, NAMES, "qmc, halton"),
        ({"grid": {}}, NAMES, "grid of 15 points, 4 of them tried"),
        ({"gp": {}}, NAMES, "gp"),
    ],
)
def test_what_plan_says(make_spec, sampler, space, words) -> None:
    """The sampler with what it makes of the space."""
    spec = make_spec(space=space, search={"sampler": sampler})
    assert spec.search.sampler.summary(Task(spec.space, 4)) == words


def test_parameters_left_to_chance_are_named(make_spec) -> None:
    """Those that a Gaussian process can't model."""
    space: dict[str, Any] = {"kcs.weighting": {"one_of": {"tanh": {"scale": {"log": [1, 2]}}}}}
    spec = make_spec(
        trainer="synrep",
        train={},
        space=space,
        search={"minimize": "validation/z_mm", "sampler": {"gp": {}}},
    )
    summary = spec.search.sampler.summary(Task(spec.space, 4))
    assert summary == "gp; drawn at random: kcs.weighting.tanh.scale"


def test_rules_say_when_they_judge() -> None:
    """In `plan`: the rungs, or the first iteration."""
    assert Asha(grace=0.3, reduction=2).summary(9) == ("rungs", "3, 6; 1 in 2 goes on")
    words = "median, from iteration 3 on, by 5 other trials or more"
    assert Median(grace=0.3).summary(9) == ("early stopping", words)
