"""What each sampler proposes."""

from __future__ import annotations

import sys

import pytest
from synrep_search.durability.records import Record, StateName, Trial
from synrep_search.search.history import History
from synrep_search.search.samplers.evolution import Evolution
from synrep_search.search.sampling import Proposer
from synrep_search.search_file.samplers import SAMPLERS

from synrep.errors import InputError

NUMBERS = {"x": {"float": [-1, 1]}, "y": {"float": [-1, 1]}}
STEPS = {"x": {"float": [-1, 1], "step": 0.5}, "y": {"choice": [1, 2, 3]}}
FAMILIES = {
    "kcs.weighting": {
        "one_of": {"tanh": {"scale": {"log": [0.25, 4]}}, "band": {"reach": {"int": [1, 7]}}}
    },
    "generator.dropout": {"float": [0, 0.5]},
}


def ended(number: int, values: dict, state: StateName, loss: float | None) -> Trial:
    """A trial that has ended."""
    record = Record(state=state, values=values, seed=0, key="0" * 64)
    best = {} if loss is None else {5: loss}
    return Trial(number=number, params={}, record=record, best_by_iteration=best)


def run(proposer: Proposer, count: int, slots: int = 1) -> list[dict]:
    """The values of trials whose loss is their distance from a point, as many at once as slots."""
    running: list[tuple[int, dict]] = []
    found = []
    for number in range(count):
        running.append((number, proposer.propose(number).values))
        found.append(running[-1][1])
        if len(running) == slots:
            first, values = running.pop(0)
            loss = (values["x"] - 0.3) ** 2 + 5 * (values["y"] + 0.2) ** 2
            proposer.learn(ended(first, values, "completed", loss))
    return found


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_file_speaks_first(make_spec, sampler) -> None:
    """Whatever the sampler, the points that the file starts from are the first trials."""
    space = STEPS if sampler == "grid" else NUMBERS
    start = [{"x": 0.5, "y": 1}, {"x": -0.5, "y": 1}]
    search = {"sampler": {sampler: {}}}
    spec = make_spec(space=space, start_from=start, search=search)
    proposer = Proposer(spec, [])
    found = [proposer.propose(number).values for number in range(3)]
    assert found[:2] == start
    assert found[2] not in start


@pytest.mark.parametrize("slots", [1, 4])
def test_a_grid_is_tried_once(make_spec, slots) -> None:
    """Every point, start points included, however many trials run at once; the seed orders them."""
    start = [{"x": 0.5, "y": 1}]
    orders = []
    for seed in (0, 1):
        search = {"sampler": {"grid": {"seed": seed}}, "trials": 15}
        spec = make_spec(space=STEPS, start_from=start, search=search)
        found = run(Proposer(spec, []), 15, slots)
        assert len({(point["x"], point["y"]) for point in found}) == 15
        orders.append(found)
    assert orders[0] != orders[1]


def test_a_grid_that_was_changed_goes_on(make_spec) -> None:
    """Points that were tried are not tried again, also where the grid has grown since."""
    few = {**STEPS, "y": {"choice": [1, 2]}}
    proposer = Proposer(make_spec(space=few, search={"sampler": {"grid": {}}, "trials": 4}), [])
    trials = []
    for number in range(4):
        values = proposer.propose(number).values
        trials.append(ended(number, values, "completed", 1.0))
        proposer.learn(trials[-1])
    grown = Proposer(make_spec(space=STEPS, search={"sampler": {"grid": {}}, "trials": 15}), trials)
    values = [grown.propose(number).values for number in range(4, 15)]
    tried = [trial.record.values for trial in trials] + values
    assert len({(one["x"], one["y"]) for one in tried}) == 15


@pytest.mark.parametrize("sequence", ["sobol", "halton"])
def test_a_sequence_fills_the_space(make_spec, sequence) -> None:
    """Each cell of a grid gets its share of points, and each option too; the seed scrambles."""
    space = NUMBERS | {"once": {"choice": ["a", "b"]}}
    search = {"sampler": {"qmc": {"sequence": sequence, "seed": 2}}}
    proposer = Proposer(make_spec(space=space, search=search), [])
    points = [proposer.propose(number).values for number in range(64)]
    cells: dict[tuple[int, int], int] = {}
    for point in points:
        cell = (int((point["x"] + 1) * 2), int((point["y"] + 1) * 2))
        cells[cell] = cells.get(cell, 0) + 1
    spread = (4, 4) if sequence == "sobol" else (2, 6)
    assert len(cells) == 16
    assert spread[0] <= min(cells.values()) <= max(cells.values()) <= spread[1]
    assert abs(sum(point["once"] == "a" for point in points) - 32) <= 2
    search = {"sampler": {"qmc": {"sequence": sequence, "seed": 3}}}
    assert Proposer(make_spec(space=space, search=search), []).propose(5).values != points[5]


def test_a_sequence_honours_families(make_spec) -> None:
    """Each family gets its share, and the parameters of each are spread over their range."""
    search = {"minimize": "validation/z_mm", "sampler": {"qmc": {}}}
    spec = make_spec(trainer="synrep", train={}, space=FAMILIES, search=search)
    proposer = Proposer(spec, [])
    points = [proposer.propose(number).values["kcs.weighting"] for number in range(64)]
    scales = sorted(point["scale"] for point in points if point["family"] == "tanh")
    assert len(scales) == 32
    assert sum(scale < 1 for scale in scales) in range(14, 19)


@pytest.mark.parametrize(("slots", "near"), [(1, 1e-3), (6, 5e-2)])
def test_cma_es_learns(make_spec, slots, near) -> None:
    """It closes in on the best point, slower if many trials run at once."""
    spec = make_spec(space=NUMBERS, search={"sampler": {"cmaes": {"seed": 1}}, "trials": 120})
    found = run(Proposer(spec, []), 120, slots)
    losses = [(p["x"] - 0.3) ** 2 + 5 * (p["y"] + 0.2) ** 2 for p in found]
    assert min(losses[-20:]) < near
    assert sum(losses[-20:]) < 0.2 * sum(losses[:20])


def test_populations_are_those_of_the_ledger(make_spec) -> None:
    """Failed trials belong to none, and none is told while one of its trials runs."""
    spec = make_spec(space=NUMBERS)

    def after(states: list[StateName], loss: float = 1.0) -> dict:
        history = History(spec.space, 1)
        for number, state in enumerate(states):
            values = {"x": 0.1 * number, "y": -0.1}
            history.begin(number, values)
            if state != "running":
                history.end(ended(number, values, state, loss * number))
        return Evolution(history, 4).draw(7)

    first = after([])
    assert after(["completed"] * 3) == first
    assert after(["completed"] * 3 + ["failed"]) == first
    assert after(["running", *["completed"] * 5]) == first
    told = after(["completed"] * 4)
    assert told != first
    assert after(["completed"] * 4 + ["failed", "running"]) == told
    assert after(["completed"] * 4, loss=3.0) == told  # by their ranks
    assert after(["completed"] * 4, loss=-1.0) != told
    assert after(["diverged", *["completed"] * 3]) != told


def test_a_missing_package_is_named(make_spec, monkeypatch) -> None:
    """Also for a search that another machine launched."""
    spec = make_spec(space=NUMBERS, search={"sampler": {"cmaes": {}}})
    monkeypatch.setitem(sys.modules, "cmaes", None)
    monkeypatch.delitem(sys.modules, "synrep_search.search.samplers.evolution", raising=False)
    with pytest.raises(InputError, match=r"needs the package cmaes \(pip install"):
        Proposer(spec, [])


@pytest.mark.parametrize("sampler", ["tpe", "random", "gp", "qmc"])
def test_seeds_alone(make_spec, sampler) -> None:
    """A search whose trials differ in their seeds needs nothing of its sampler."""
    spec = make_spec(space={}, search={"sampler": {sampler: {}}})
    assert Proposer(spec, []).propose(3).values == {}
