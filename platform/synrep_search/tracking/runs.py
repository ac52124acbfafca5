"""The runs of one search in MLflow: a parent, and a child for each trial.

| event     | becomes                                                        |
|-----------|----------------------------------------------------------------|
| start     | a run with the searched parameters and tags; `spec.json`       |
| report    | its metrics at their step, `best/<metric>` and `best/step`     |
| state     | status and the tags `synrep.state`, `synrep.cause`             |
| artifacts | files of a folder                                              |
| champion  | a model version with the alias `champion`                      |
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from synrep_search.ledger.database import SEARCH_ITSELF
from synrep_search.tracking.registry import register

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlflow import MlflowClient

    from synrep_search.ledger.outbox import Event

SEARCH_TAG, TRIAL_TAG = "synrep.search", "synrep.trial"
STATUS = {
    "waiting": "KILLED",
    "running": "RUNNING",
    "completed": "FINISHED",
    "stopped_early": "KILLED",
    "diverged": "FAILED",
    "failed": "FAILED",
    "finished": "FINISHED",
    "interrupted": "KILLED",
}
METRICS_A_CALL = 1000
"""MLflow's limit."""


class Runs:
    """Finds, makes and fills the runs.

    Args:
        client: of the tracking server.
        experiment: its id.
        search: name.
    """

    def __init__(self, client: MlflowClient, experiment: str, search: str) -> None:
        self._client = client
        self.experiment = experiment
        self._search = search
        self._ids: dict[int, str] = {}

    def deliver(self, pending: Sequence[Event]) -> Iterator[list[int]]:
        """Deliver events; yields the ids of those that have arrived, as they do.

        Order matters within a run only, so the reports of a trial go out together.
        """
        by_run = sorted(pending, key=lambda event: (event.trial, event.id))
        for (trial, kind), group in groupby(by_run, key=lambda event: (event.trial, event.kind)):
            some = list(group)
            run = self._run_of(trial)
            if kind == "report":
                self._log_reports(run, some)
            else:
                for event in some:
                    self._apply(run, event)
            yield [event.id for event in some]

    def parent(self) -> str:
        """The run of the search itself; made if there is none."""
        return self._run_of(SEARCH_ITSELF)

    def _run_of(self, trial: int) -> str:
        """The run of a trial or of the search itself; made if there is none."""
        if trial not in self._ids:
            self._ids[trial] = self._find(trial) or self._make(trial)
        return self._ids[trial]

    def _find(self, trial: int) -> str | None:
        """A run made earlier, perhaps by a driver that died before it could note its id."""
        which = "IS NULL" if trial == SEARCH_ITSELF else f"= '{trial}'"
        wanted = f"tags.`{SEARCH_TAG}` = '{self._search}' AND tags.`{TRIAL_TAG}` {which}"
        found = self._client.search_runs([self.experiment], wanted, max_results=1)
        return found[0].info.run_id if found else None

    def _make(self, trial: int) -> str:
        tags = {SEARCH_TAG: self._search}
        if trial == SEARCH_ITSELF:
            tags[MLFLOW_RUN_NAME] = self._search
        else:
            tags[TRIAL_TAG] = str(trial)
            tags[MLFLOW_RUN_NAME] = f"{self._search}-{trial:04d}"
            tags[MLFLOW_PARENT_RUN_ID] = self.parent()
        return str(self._client.create_run(self.experiment, tags=tags).info.run_id)

    def _apply(self, run: str, event: Event) -> None:
        payload = event.payload
        match event.kind:
            case "start":
                params = [Param(name, str(value)) for name, value in payload["params"].items()]
                self._client.log_batch(run, params=params, tags=_tags(payload["tags"]))
                if "spec" in payload:
                    self._client.log_dict(run, payload["spec"], "spec.json")
            case "state":
                state = payload["state"]
                tags = {"synrep.state": state, "synrep.cause": payload.get("cause", "")}
                self._client.log_batch(run, tags=_tags(tags))
                if STATUS[state] == "RUNNING":
                    self._client.update_run(run, status="RUNNING")
                else:
                    self._client.set_terminated(run, STATUS[state], event.time_ms)
            case "artifacts":
                self._client.log_artifacts(run, payload["folder"], payload["to"])
            case "champion":
                register(self._client, self._search, run, payload)
            case "report":
                raise AssertionError("reports are logged in batches")

    def _log_reports(self, run: str, reports: Sequence[Event]) -> None:
        metrics = [
            Metric(name, value, event.time_ms, event.step)
            for event in reports
            for part in ("metrics", "best")
            for name, value in event.payload.get(part, {}).items()
        ]
        for start in range(0, len(metrics), METRICS_A_CALL):
            self._client.log_batch(run, metrics=metrics[start : start + METRICS_A_CALL])


def _tags(tags: dict[str, Any]) -> list[RunTag]:
    return [RunTag(name, str(value)) for name, value in tags.items()]
