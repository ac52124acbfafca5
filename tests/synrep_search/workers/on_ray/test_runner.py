"""A whole search on a real Ray, with trials that diverge, raise and take their process along."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from synrep_search.durability.ledger import Ledger
from synrep_search.durability.study.trials import TO_OPTUNA
from synrep_search.paths import SearchPaths, trial_folder
from synrep_search.search.loop import Search
from synrep_search.terminal.status import status
from synrep_search.workers import local
from synrep_search.workers.on_ray.cluster import Cluster
from synrep_search.workers.on_ray.runner import RayRunner

from synrep.training.checkpoint import newest_checkpoints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from synrep_search.durability.records import Trial
    from synrep_search.search.loop import Runner

STATES = ["completed", "diverged", "completed", "failed", *["completed"] * 4]
ATTEMPTS = [1, 1, 2, 2, 2, 1, 2, 2]


class Quiet:
    """A view that shows nothing."""

    def say(self, line: str) -> None:
        """Show nothing."""

    def ended(self, trial: Trial) -> None:
        """Show nothing."""


Run = tuple[Ledger, SearchPaths]


def points(home: Path) -> list[dict[str, Any]]:
    """What the trials start from, and what goes wrong in them; once, as files in a folder tell."""
    return [
        {"x": 0.9},
        {"x": 0.3, "nan_at": 3},
        {"x": 0.7, "exit_at": 3, "once": str(home / "exit")},
        {"x": 0.3, "fail_at": 3},
        {"x": 0.3, "fail_at": 5, "once": str(home / "raise")},
        {"x": -1},
        {"x": 0.5, "hang_at": 5, "once": str(home / "hang")},
        {"x": 0.6, "stop_at": 5, "once": str(home / "stop")},
    ]


@pytest.fixture(scope="module")
def run(make_spec, tmp_path_factory) -> Iterator[Callable[..., Run]]:
    """Function: (runner, whether trials go wrong) -> the search's ledger, opened afterwards."""
    opened: list[Ledger] = []

    def run(runner: Runner, *, wrong: bool) -> Run:
        home: Path = tmp_path_factory.mktemp("home")
        start = points(home)
        if not wrong:
            start = [{"x": point["x"]} for point in start]
        spec = make_spec(
            train={"iterations": 6, "reports": 3},
            space={
                "x": {"float": [-1, 1]},
                "nan_at": {"choice": [0, 3]},
                "exit_at": {"choice": [0, 3]},
                "fail_at": {"choice": [0, 3, 5]},
                "hang_at": {"choice": [0, 5]},
                "stop_at": {"choice": [0, 5]},
                "once": {
                    "choice": ["", *(point["once"] for point in points(home) if "once" in point)]
                },
            },
            start_from=start,
            search={"trials": len(start)},
            failures={"retries": 1, "hang_minutes": 0.05},
            resources={"slots": 2},
        )
        paths = SearchPaths(home, spec.name)
        paths.folder.mkdir()
        ledger = Ledger.create(paths.ledger_url(spec), spec, {"code": "c0de", "data": ""})
        ledger.lease.acquire()
        ledger.reconcile()
        runner(Search(ledger, paths, Quiet()))
        ledger.lease.release()
        ledger.close()
        opened.append(Ledger.open(paths.ledger_url(), spec.name))
        return opened[-1], paths

    yield run
    for ledger in opened:
        ledger.close()


@pytest.fixture(scope="module")
def calm(run) -> Run:
    """The same trials, undisturbed and without Ray."""
    found: Run = run(local.run, wrong=False)
    return found


@pytest.fixture(scope="module")
def on_ray(run, system) -> Run:
    """The search on Ray."""
    found: Run = run(RayRunner(Cluster()), wrong=True)
    return found


def test_no_trial_is_lost_or_doubled(on_ray) -> None:
    """Every number is there once and has ended as it had to, after as many attempts as needed."""
    ledger, _ = on_ray
    trials = ledger.index.trials()
    assert [trial.number for trial in trials] == list(range(len(STATES)))
    assert [trial.state for trial in trials] == STATES
    assert [trial.attempt for trial in trials] == ATTEMPTS
    assert ledger.target_met
    frozen = ledger._study.optuna.get_trials()
    assert [one.state for one in frozen] == [TO_OPTUNA[trial.state] for trial in trials]


def test_causes_are_kept(on_ray) -> None:
    """What became of each attempt can be read afterwards."""
    ledger, _ = on_ray
    causes = [[a.cause for a in t.record.attempts] for t in ledger.index.trials()]
    said = "RuntimeError: the script says so"
    assert causes[1] == ["loss is nan"]
    assert causes[2] == ["its process died", "completed"]
    assert causes[3] == [said, f"died 2 times, at last: {said}"]
    assert causes[4] == [said, "completed"]
    assert causes[6] == causes[7] == ["no iteration in 0.05 minutes", "completed"]


def test_interrupted_trials_end_as_those_left_alone(on_ray, calm) -> None:
    """Metrics and checkpoints are those of the same trials run in one go, bit for bit."""
    for number, state in enumerate(STATES):
        if state == "completed":
            one, two = (
                [(e.step, e.payload["metrics"], e.payload["checkpoint"]) for e in found]
                for found in (ledger.outbox.reports(number) for ledger, _ in (on_ray, calm))
            )
            assert one == two
            assert [step for step, *_ in one] == [6, 4, 2]


def test_checkpoints_are_where_the_ledger_says(on_ray) -> None:
    """Three for each trial that came so far, all known to the ledger."""
    ledger, paths = on_ray
    for trial in ledger.index.trials():
        folder = paths.storage(ledger.spec).child(trial_folder(trial.number, trial.record.key))
        known = [ref.file for ref in ledger.checkpoints(trial.number)]
        assert newest_checkpoints(folder) == known
        assert len(known) == (3 if trial.state == "completed" else 1)


def test_the_contract_of_status(on_ray) -> None:
    """Exactly the keys that are promised, with the numbers of this search."""
    ledger, paths = on_ray
    found = status(ledger, paths)
    assert json.loads(json.dumps(found)) == found
    assert list(found) == [
        *("name", "state", "target", "trials", "best", "metric", "attempts", "tracking_uri"),
        *("experiment_id", "parent_run_id"),
    ]
    states = ["waiting", "running", "completed", "stopped_early", "diverged", "failed"]
    assert found["trials"] == dict.fromkeys(states, 0) | {
        "completed": 6,
        "diverged": 1,
        "failed": 1,
    }
    assert (found["state"], found["attempts"]) == ("finished", sum(ATTEMPTS))
    assert found["best"]["number"] == 4
    assert found["best"]["params"]["x"] == 0.3


def test_what_mlflow_is_told_at_the_end(on_ray) -> None:
    """Each trial's last state is its true one, and states come with rising steps."""
    ledger, _ = on_ray
    for trial in ledger.index.trials():
        events = [e for e in ledger.outbox.pending() if e.trial == trial.number]
        states = [e for e in events if e.kind == "state"]
        steps = [e.step for e in states]
        assert steps == sorted(set(steps))
        assert states[-1].payload["state"] == trial.state
        assert sum(e.kind == "start" for e in events) == 1
