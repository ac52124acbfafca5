"""A search on a cluster that loses nodes and its driver ends as if nothing had happened."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import REPORTS, SEARCH, TRIALS

if TYPE_CHECKING:
    from pathlib import Path

    from synrep_search.durability.records import Trial


@dataclass(frozen=True, kw_only=True)
class Story:
    """What became of the search, and of the same one left alone."""

    search: Any
    home: Path
    alone: Any

    def trials(self) -> list[Trial]:
        """As the ledger has them."""
        with closing(self.search.opened()) as ledger:
            return ledger.index.trials()


@pytest.fixture(scope="module")
def story(place, alone, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Two nodes and the driver lose power; another machine goes on with one node less."""
    search = place.search(SEARCH)
    driver = search.launch()
    try:
        search.wait_for_reports(driver, 4)
        place.ray.kill_node(0)
        search.wait_for_reports(driver, 12)
        place.ray.kill_node(1)
        with ThreadPoolExecutor() as pool:
            added = pool.submit(place.ray.add_node)
            search.wait_for_reports(driver, 20)
            added.result()
    finally:
        driver.kill()
        driver.wait()
    home = tmp_path_factory.mktemp("elsewhere")
    search.finish(search.begin("resume", search.uri, home=home))
    return Story(search=search, home=home, alone=alone)


@pytest.mark.timeout(1200)
def test_a_disturbed_trial_ends_like_one_left_alone(story) -> None:
    """Bit for bit: all metrics of all reports, and the bytes of the checkpoints."""
    reports = story.search.reports()
    assert reports == story.alone
    assert all(len(steps) == REPORTS for steps in reports.values())


def test_no_trial_is_lost_or_doubled(story) -> None:
    """Numbers go on as they would have, and all trials reach their end."""
    trials = story.trials()
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert {trial.state for trial in trials} == {"completed"}
    assert len({trial.record.key for trial in trials}) == TRIALS


def test_lost_machines_are_held_against_no_trial(story) -> None:
    """The causes are on record; none of them counts as a failure of the trial."""
    trials = story.trials()
    causes = [attempt.cause for trial in trials for attempt in trial.record.attempts]
    assert causes.count("its node was lost") >= 2
    assert causes.count("interrupted: the driver died") >= 1
    assert all(trial.record.failures == 0 for trial in trials)


def test_mlflow_has_one_run_a_trial_with_its_values(story) -> None:
    """Each with every step once, whatever was delivered before the driver died."""
    runs = story.search.runs()
    assert sorted(runs) == [-1, *range(TRIALS)]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for number, steps in story.alone.items():
        name = "validation/mpjpe_mm"
        recorded = {step: metrics[name] for step, (metrics, _) in steps.items()}
        assert story.search.history(runs[number], name) == recorded


def test_the_best_generator_is_where_it_is_looked_for(place, story) -> None:
    """With the machine that ended the search, and with its run, whose files are in the store."""
    with closing(story.search.opened()) as ledger:
        best = ledger.index.first()
    assert best is not None
    assert (story.home / story.search.name / "best" / "generator.safetensors").exists()
    run = story.search.runs()[best.number].info
    kept = place.objects.names(prefix=f"mlflow/{run.experiment_id}/{run.run_id}/artifacts/")
    assert any(key.endswith("generator.safetensors") for key in kept)


SLOW = """\
trainer: scripted
train: {iterations: 300, reports: 2, sleep_s: 15}
space: {x: {float: [-1, 1]}}
search: {minimize: loss, trials: 3, sampler: {random: {seed: 1}}}
resources: {fuse: off}
"""


@pytest.mark.timeout(600)
def test_a_node_that_is_taken_away_saves_its_trials_first(place) -> None:
    """Its slot pauses between two reports; the trial goes on from there, and is not to blame."""
    while sum(node.running for node in place.ray.nodes) < 3:
        place.ray.add_node()
    search = place.search(SLOW)
    driver = search.launch()
    search.wait_for_reports(driver, 3)
    place.ray.terminate_node(max(n for n, node in enumerate(place.ray.nodes) if node.running))
    search.finish(driver)
    with closing(search.opened()) as ledger:
        trials = ledger.index.trials()
    hit = [trial for trial in trials if trial.attempt > 1]
    assert [trial.record.attempts[0].cause for trial in hit] == ["paused"]
    assert all(150 < trial.record.paused.iteration < 300 for trial in hit)
    assert {trial.state for trial in trials} == {"completed"}
    assert all(trial.record.failures == 0 for trial in trials)
