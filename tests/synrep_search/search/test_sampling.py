"""Proposals: where they start, what they depend on, and what they learn from."""

from __future__ import annotations

from typing import Any

import pytest
from optuna.trial import TrialState
from synrep_search.durability.records import Record, StateName, Trial, derived_seed, key_of
from synrep_search.search import sampling
from synrep_search.search.sampling import Proposer
from synrep_search.search_file.samplers import SAMPLERS

SPACE = {
    "x": {"float": [-1, 1]},
    "y": {"float": [-1, 1], "step": 0.25},
    "metrics": {"int": [1, 9]},
    "once": {"choice": ["", "a", "b"]},
}
NUMBERS = {"x": {"float": [-1, 1]}, "y": {"float": [-1, 1]}}
STEPS = {name: part for name, part in SPACE.items() if name != "x"}
FEW = {"sampler": {"tpe": {"seed": 3, "startup": 4}}}
FAMILIES = {
    "kcs.weighting": {
        "one_of": {
            "tanh": {"scale": {"log": [0.25, 4]}, "power": 1.5},
            "band": {"reach": {"int": [1, 7]}},
            "uniform": {},
        }
    }
}
SYNREP: dict[str, Any] = {
    "trainer": "synrep",
    "train": {"iterations": 100, "reports": 10},
    "search": {"minimize": "validation/mpjpe_mm", **FEW},
}


def trial_of(proposer: Proposer, number: int, state: StateName, value: float | None) -> Trial:
    """A new trial at the proposed point, which has ended."""
    point = proposer.propose(number)
    record = Record(state=state, values=point.values, seed=0, key="0" * 64)
    best_by_iteration = {} if value is None else {2: value + 1, 5: value}
    return Trial(
        number=number, params=point.params, record=record, best_by_iteration=best_by_iteration
    )


def in_state(trial: Trial, state: StateName, value: float) -> Trial:
    """The same trial later."""
    record = trial.record.model_copy(update={"state": state})
    return trial.model_copy(update={"record": record, "best_by_iteration": {5: value}})


def run(proposer: Proposer, numbers: range) -> list[Trial]:
    """Trials one after another, ending in all states there are."""
    states: list[StateName] = ["completed", "stopped_early", "diverged", "failed", "completed"]
    found = []
    for number in numbers:
        state = states[number % len(states)]
        value = None if number % 7 == 3 and state != "completed" else (number * 37 % 11) / 3
        found.append(trial_of(proposer, number, state, value))
        proposer.learn(found[-1])
    return found


def test_start_points_come_first(make_spec) -> None:
    """The points that the file starts from are the first trials, in the file's order."""
    start = [{"x": 0.5, "y": -0.25}, {"x": -1, "y": 1, "metrics": 9, "once": "b"}]
    spec = make_spec(space=SPACE, start_from=start)
    proposer = Proposer(spec, [])
    points = [proposer.propose(number) for number in range(3)]
    assert points[0].values == {"x": 0.5, "y": -0.25, "metrics": 2, "once": ""}
    assert points[1].values == {"x": -1.0, "y": 1.0, "metrics": 9, "once": "b"}
    assert points[2].values not in (points[0].values, points[1].values)
    assert Proposer(spec, []).propose(1) == points[1]
    assert all(set(point.params) == set(SPACE) for point in points)


@pytest.mark.parametrize("name", SAMPLERS)
def test_proposals_are_those_of_a_search_that_never_stopped(make_spec, name) -> None:
    """With the same trials behind it, a proposer built anew proposes the same for a number."""
    options = {"tpe": {"startup": 4}, "gp": {"startup": 3}, "cmaes": {"population": 4}}
    spec = make_spec(
        space={"cmaes": NUMBERS, "grid": STEPS}.get(name, SPACE),
        search={"sampler": {name: {"seed": 3, **options.get(name, {})}}, "trials": 12},
    )
    proposer = Proposer(spec, [])
    trials = run(proposer, range(12))
    for behind in (8,) if name == "gp" else (0, 3, 8, 12):  # a fit takes its time
        again = Proposer(spec, reversed(trials[:behind]))
        then = run(again, range(behind, 12))
        assert [trial.params for trial in then] == [trial.params for trial in trials[behind:]]
    tried = [trial for trial in trials if trial.state != "failed"]  # nobody knows how it would end
    assert len({key_of(trial.params, 0) for trial in tried}) == len(tried) == 10


def test_a_gaussian_process_looks_at_all_trials(make_spec) -> None:
    """Also at those that run, were stopped early, or diverged: their points are not tried again."""
    spec = make_spec(space=NUMBERS, search={"sampler": {"gp": {"startup": 3}}})
    proposer = Proposer(spec, [])
    trials = run(proposer, range(6))
    wanted = proposer.propose(6)
    for state in ("running", "stopped_early", "diverged"):
        one = trial_of(Proposer(spec, trials), 6, state, 5.0)
        after = Proposer(spec, [*trials, one]).propose(7)
        assert one.params == wanted.params
        distance = max(abs(after.params[name] - wanted.params[name]) for name in NUMBERS)
        assert distance > 0.05, state


@pytest.mark.parametrize(
    "search",
    [
        {"space": SPACE, "search": FEW},
        {"space": FAMILIES, **SYNREP},
        {"space": NUMBERS, "search": {"sampler": {"cmaes": {"population": 4}}}},
    ],
    ids=["tpe", "tpe-families", "cmaes"],
)
def test_open_trials_are_known_again(make_spec, search) -> None:
    """A proposer built anew keeps away from trials that run or wait, and takes in their ends."""
    spec = make_spec(**search)
    proposer = Proposer(spec, [])
    trials = run(proposer, range(8))
    live = [trial_of(proposer, number, "running", None) for number in (8, 9, 10)]
    live[1] = in_state(live[1], "completed", -1.0)
    live[2] = in_state(live[2], "waiting", 4.0)
    proposer.learn(live[1])
    again = Proposer(spec, reversed([*trials, *live]))
    known = [one.state for one in again._study.optuna.get_trials()[8:]]
    assert known == [TrialState.RUNNING, TrialState.COMPLETE, TrialState.RUNNING]
    wanted = [proposer.propose(number) for number in range(11, 30)]
    assert [again.propose(number) for number in range(11, 30)] == wanted
    without = Proposer(spec, [*trials, live[1]])
    assert [without.propose(number) for number in range(11, 30)] != wanted
    for one in (proposer, again):
        one.learn(in_state(live[2], "completed", -2.0))
        assert one._study.optuna.get_trials()[10].value == -2.0
    assert again.propose(30) == proposer.propose(30)


def test_seeds_differ() -> None:
    """Seeds depend on the file's seed, the trial's number and what they are for."""
    found = {
        derived_seed(seed, number, purpose)
        for seed in range(20)
        for number in range(20)
        for purpose in ("trial", "sampler")
    }
    assert len(found) == 800
    assert all(0 <= seed < 2**31 for seed in found)
    assert derived_seed(0, 0, "trial") == derived_seed(0, 0, "trial")


def test_keys_tell_trials_apart() -> None:
    """A key depends on parameters and seed, not on the order of the parameters."""
    assert key_of({"a": 1, "b": 2.5}, 0) == key_of({"b": 2.5, "a": 1}, 0)
    assert len({key_of({"a": 1}, 0), key_of({"a": 2}, 0), key_of({"a": 1}, 1)}) == 3


@pytest.mark.parametrize("rebuilt", [False, True])
def test_the_sampler_knows_how_trials_ended(make_spec, rebuilt) -> None:
    """Completed trials have a value, stopped ones their last, diverged ones are infeasible."""
    spec = make_spec(space=SPACE, search=FEW)
    proposer = Proposer(spec, [])
    cases: list[tuple[StateName, float | None]] = [
        ("completed", 2.0),
        ("stopped_early", 3.0),
        ("diverged", 4.0),
        ("diverged", None),
        ("failed", 5.0),
    ]
    trials = [trial_of(proposer, number, *case) for number, case in enumerate(cases)]
    for trial in reversed(trials):
        proposer.learn(trial)
    found = (Proposer(spec, trials) if rebuilt else proposer)._study.optuna.get_trials()
    assert [one.state for one in found] == [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.PRUNED,
        TrialState.PRUNED,
        TrialState.FAIL,
    ]
    assert found[0].value == 2.0
    assert found[1].intermediate_values == {5: 3.0}
    infeasible = [{"diverged": 1.0} if case[0] == "diverged" else {} for case in cases]
    assert [one.constraints for one in found] == infeasible
    assert [one.params for one in found] == [trial.params for trial in trials]


def test_diverged_regions_are_avoided(make_spec) -> None:
    """Where trials diverge the sampler stops looking, although their values were good."""
    spec = make_spec(space={"x": {"float": [-1, 1]}}, search=FEW)
    proposer = Proposer(spec, [])
    points = []
    for number in range(40):
        point = proposer.propose(number)
        x = point.values["x"]
        points.append(x)
        diverged = x > 0
        record = Record(
            state="diverged" if diverged else "completed", values=point.values, seed=0, key="0" * 64
        )
        value = -10.0 if diverged else (x + 0.5) ** 2
        proposer.learn(
            Trial(number=number, params=point.params, record=record, best_by_iteration={5: value})
        )
    assert sum(x > 0 for x in points[20:]) <= 4


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_the_sampler_learns(make_spec, goal) -> None:
    """Later proposals lie nearer to the best point than the first, in either direction."""
    search = {"minimize": None, **FEW, goal: "loss"}
    spec = make_spec(space={"x": {"float": [-1, 1]}}, search=search)
    proposer = Proposer(spec, [])
    distances = []
    for number in range(30):
        trial = trial_of(proposer, number, "completed", 0.0)
        distance = abs(trial.params["x"] - 0.3)
        distances.append(distance)
        value = distance if goal == "minimize" else -distance
        proposer.learn(trial.model_copy(update={"best_by_iteration": {5: value}}))
    assert sum(distances[20:]) < 0.5 * sum(distances[:10])


def test_conditional_parameters(make_spec) -> None:
    """Each family brings its own parameters and no others, before and after a rebuild."""
    spec = make_spec(space=FAMILIES, **SYNREP)
    proposer = Proposer(spec, [])
    trials = run(proposer, range(15))
    own = {"tanh": {"scale", "power"}, "band": {"reach"}, "uniform": set()}
    searched = {"tanh": {"scale"}, "band": {"reach"}, "uniform": set()}
    for trial in trials:
        weighting = trial.record.values["kcs.weighting"]
        family = weighting["family"]
        assert set(weighting) == {"family"} | own[family]
        below = {f"kcs.weighting.{family}.{name}" for name in searched[family]}
        assert set(trial.params) == {"kcs.weighting"} | below
    assert {trial.params["kcs.weighting"] for trial in trials} == set(own)
    again = Proposer(spec, trials)
    assert len(again._study.optuna.get_trials()) == 15
    assert again.propose(15) == proposer.propose(15)


def test_trials_outside_a_changed_space_are_left_out(make_spec) -> None:
    """A changed space keeps those trials that fit it, with the parameters it asks for now."""
    spec = make_spec(space=FAMILIES, **SYNREP)
    trials = run(Proposer(spec, []), range(15))
    families = FAMILIES["kcs.weighting"]["one_of"]
    wider = {"tanh": families["tanh"] | {"power": {"float": [0.5, 3]}}, "band": families["band"]}
    changed = make_spec(space={"kcs.weighting": {"one_of": wider}}, **SYNREP)
    proposer = Proposer(changed, trials)
    fitting = [one for one in trials if one.params["kcs.weighting"] != "uniform"]
    found = proposer._study.optuna.get_trials()
    assert 0 < len(found) == len(fitting) < 15
    for one, trial in zip(found, fitting, strict=True):
        extra = (
            {"kcs.weighting.tanh.power": 1.5} if "kcs.weighting.tanh.scale" in one.params else {}
        )
        assert one.params == trial.params | extra
    assert proposer.propose(15).values["kcs.weighting"]["family"] in wider


def test_the_history_is_bounded(make_spec, monkeypatch) -> None:
    """The sampler keeps the best trials and the newest; those that run meanwhile are not lost."""
    monkeypatch.setattr(sampling, "SAMPLER_HISTORY", 6)
    spec = make_spec(space=SPACE, search={"sampler": {"random": {"seed": 1}}})
    proposer = Proposer(spec, [])
    live = [trial_of(proposer, number, "completed", -5.0 - number) for number in (0, 1)]
    sizes = []
    for number in range(2, 40):
        trial = trial_of(proposer, number, "completed", float(abs(number - 10)))
        sizes.append(len(proposer._study.optuna.get_trials()))
        proposer.learn(trial)
        open_ones = [
            one for one in proposer._study.optuna.get_trials() if not one.state.is_finished()
        ]
        assert [one.params for one in open_ones] == [trial.params for trial in live]
    assert max(sizes) <= 2 * 6 + 3
    for trial in live:
        proposer.learn(trial)
    found = proposer._study.optuna.get_trials()
    assert {one.state for one in found} == {TrialState.COMPLETE}
    values = {one.value for one in found}
    assert {-5.0, -6.0} <= values  # the two that ran all the time
    assert {0.0, 1.0} <= values  # the best of those before
    assert float(39 - 10) in values  # the newest
    assert min(one.value or 0.0 for one in found) == -6.0
