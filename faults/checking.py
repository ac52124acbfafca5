"""What became of a search: nothing may be lost, doubled, wrong, or done again needlessly."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow import MlflowClient
from synrep_search.durability.ledger import Ledger

if TYPE_CHECKING:
    from mlflow.entities import Run
    from synrep_search.durability.records import Trial

    from .scene import Line, Scene

ENDED = {"completed": "FINISHED", "stopped_early": "KILLED", "diverged": "FAILED"}
"""Status of an MLflow run by the state of its trial; no cell's trial may have failed."""

End = dict[int, tuple[str, dict[int, dict[str, float]]]]
"""State of each trial, and the metrics of each of its reports by iteration."""


@dataclass
class Found:
    """What was found, in the words of docs/reliability.json.

    Attributes:
        over_allowed: trials that repeated more than their own interruptions may cost.
        notes: what is wrong, each in a few words.
    """

    trials_lost: int = 0
    trials_doubled: int = 0
    runs_wrong: int = 0
    work_repeated_iterations: int = 0
    allowed_iterations: int = 0
    over_allowed: int = 0
    interrupted_trials: int = 0
    end_equal: bool = True
    notes: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether all promises were kept."""
        wrong = self.trials_lost + self.trials_doubled + self.runs_wrong + self.over_allowed
        return not wrong and self.end_equal


def end_of(scene: Scene) -> End:
    """How a search has ended."""
    with closing(Ledger.open(scene.ledger_url, scene.name)) as ledger:
        return {
            trial.number: (
                trial.state,
                {
                    event.step: event.payload["metrics"]
                    for event in ledger.outbox.reports(trial.number)
                },
            )
            for trial in ledger.index.trials()
        }


def check(scene: Scene, alone: End, *, intervals: int = 1) -> Found:
    """Look at a search that has ended.

    Args:
        scene: the search.
        alone: how the same one ends if nobody disturbs it.
        intervals: checkpoint intervals that an interruption may cost.
    """
    found = Found()
    with closing(Ledger.open(scene.ledger_url, scene.name)) as ledger:
        trials = ledger.index.trials()
        target = ledger.target
        kept = ledger.index.best(ledger.spec.tracking.keep_best)
    numbers = {trial.number for trial in trials}
    lost = set(range(target)) - {trial.number for trial in trials if trial.ended}
    keys = Counter(trial.record.key for trial in trials)
    doubled = len(trials) - len(numbers) + sum(count - 1 for count in keys.values())
    found.trials_lost = len(lost)
    found.trials_doubled = doubled + len(numbers - set(range(target)))
    if lost:
        found.notes.append(f"not ended: {sorted(lost)}")
    _check_repeated(scene, trials, scene.plan.interval * intervals, found)
    end = end_of(scene)
    different = [number for number in alone if end.get(number) != alone[number]]
    found.end_equal = not different and end.keys() == alone.keys()
    found.notes += [f"trial {number}: {_difference(end, alone, number)}" for number in different]
    _check_runs(scene, trials, end, {trial.number for trial in kept}, found)
    return found


def _check_repeated(scene: Scene, trials: list[Trial], most: int, found: Found) -> None:
    """No trial may repeat more iterations than `most` for each of its interruptions."""
    again = repeated(scene.lines())
    found.work_repeated_iterations = again.total()
    for trial in trials:
        interruptions = len(trial.record.attempts) - 1
        found.interrupted_trials += interruptions
        found.allowed_iterations += interruptions * most
        if again[trial.record.seed] > interruptions * most:
            found.over_allowed += 1
            count = again[trial.record.seed]
            found.notes.append(f"trial {trial.number} repeated {count} for {interruptions}")


def repeated(lines: list[Line]) -> Counter[int]:
    """How many iterations were done again, by the seed of the training."""
    done = Counter((line.seed, line.iteration) for line in lines if line.word == "done")
    again: Counter[int] = Counter()
    for (seed, _), count in done.items():
        again[seed] += count - 1
    return again


def _difference(end: End, alone: End, number: int) -> str:
    if number not in end:
        return "is not there"
    (state, reports), (wanted, others) = end[number], alone[number]
    if state != wanted:
        return f"{state}, not {wanted}"
    if reports.keys() != others.keys():
        return f"reports at {sorted(reports)}, not {sorted(others)}"
    first = next(step for step in sorted(reports) if reports[step] != others[step])
    return f"other metrics from iteration {first} on"


def _check_runs(scene: Scene, trials: list[Trial], end: End, kept: set[int], found: Found) -> None:
    """One run a trial, with its state and each step of each report once, below one parent.

    The runs of the trials whose generators are kept have these.
    """
    client = MlflowClient(scene.world.mlflow.uri)
    places = [found.experiment_id for found in client.search_experiments()]
    wanted = f"tags.`synrep.search` = '{scene.name}'"
    by_trial: dict[int, list[Run]] = {}
    token: str | None = ""
    while token is not None:
        page = client.search_runs(places, wanted, page_token=token or None)
        for run in page:
            by_trial.setdefault(int(run.data.tags.get("synrep.trial", -1)), []).append(run)
        token = page.token or None
    parents = by_trial.pop(-1, [])
    if len(parents) != 1 or parents[0].info.status != "FINISHED":
        found.runs_wrong += 1
        found.notes.append(f"parent runs: {[run.info.status for run in parents]}")
    for number in sorted(by_trial.keys() | {trial.number for trial in trials}):
        runs = by_trial.get(number, [])
        wrong = _wrong_run(client, runs, end.get(number))
        if not wrong and number in kept:
            wrong = _wrong_generator(client, runs[0], scene.paths.best)
        if wrong:
            found.runs_wrong += 1
            found.notes.append(f"run of trial {number}: {wrong}")


def _wrong_run(client: Any, runs: list[Run], end: Any) -> str:
    """What is wrong with the runs of a trial; empty if nothing is."""
    if len(runs) != 1 or end is None:
        return f"there are {len(runs)}"
    run, (state, reports) = runs[0], end
    if run.data.tags.get("synrep.state") != state:
        return f"tagged {run.data.tags.get('synrep.state')}, not {state}"
    if run.info.status != ENDED.get(state):
        return f"status {run.info.status} of a trial that is {state}"
    for name in sorted({name for metrics in reports.values() for name in metrics}):
        rows = [(row.step, row.value) for row in client.get_metric_history(run.info.run_id, name)]
        if sorted(rows) != sorted((step, metrics[name]) for step, metrics in reports.items()):
            return f"{name} has other rows than the ledger"
    return ""


def _wrong_generator(client: MlflowClient, run: Run, best: Path) -> str:
    """What is wrong with the generator of a run; it has the files of the search's best one."""
    files = {Path(file.path).name for file in client.list_artifacts(run.info.run_id, "generator")}
    wanted = {path.name for path in best.iterdir()} if best.exists() else {"a best generator"}
    return f"files of its generator: {sorted(files)}" if files != wanted else ""
