"""Merge outbox events into batches of changes, one per MLflow run, to save calls.

| event     | in MLflow                                                      |
|-----------|----------------------------------------------------------------|
| start     | the searched parameters and tags of a run; `spec.json`         |
| report    | its metrics at their step, `best/<metric>` and `best/step`     |
| state     | status and the tags `synrep.state`, `synrep.cause`             |
| artifacts | the files of a trial's generator                               |
| champion  | a model version with the alias `champion`                      |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlflow.entities import Metric

if TYPE_CHECKING:
    from collections.abc import Iterable

    from synrep_search.durability.outbox import Event


@dataclass
class Changes:
    """The undelivered changes of one run.

    Attributes:
        ids: ids of the events that `params`, `tags`, `metrics` and `state` cover completely.
        since_ms: time of the earliest event, in milliseconds since 1970.
        started: whether the events include the start of the run.
        params: searched values by name.
        tags: the latest value of each tag.
        metrics: metrics in the order of the reports.
        state: the latest state event.
        files: events that store files: generators, the champion, the specification.
    """

    ids: list[int] = field(default_factory=list)
    since_ms: int = 0
    started: bool = False
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    state: Event | None = None
    files: list[Event] = field(default_factory=list)

    def add(self, event: Event) -> None:
        """Add an event; events must be added from oldest to newest."""
        payload = event.payload
        if event.kind in ("artifacts", "champion"):
            self.files.append(event)
            return
        self.since_ms = self.since_ms or event.time_ms
        if "spec" in payload:
            self.files.append(event)
        else:
            self.ids.append(event.id)
        match event.kind:
            case "start":
                self.started = True
                self.params |= _texts(payload["params"])
                self.tags |= _texts(payload["tags"])
            case "report":
                self.metrics += [
                    Metric(name, value, event.time_ms, event.step)
                    for part in ("metrics", "best")
                    for name, value in payload.get(part, {}).items()
                ]
            case "state":
                self.state = event
                self.tags["synrep.state"] = payload["state"]
                self.tags["synrep.cause"] = payload.get("cause", "")


def by_run(events: Iterable[Event]) -> dict[int, Changes]:
    """Group events, given in any order, by trial; the search itself comes first."""
    changes: dict[int, Changes] = {}
    for event in sorted(events, key=lambda event: (event.trial, event.id)):
        changes.setdefault(event.trial, Changes()).add(event)
    return changes


def _texts(values: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}
