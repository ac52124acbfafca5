"""The MLflow runs of one search: a parent run and a child run for each trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from synrep_search.durability.database import SEARCH_ITSELF
from synrep_search.tracking.batches import by_run
from synrep_search.tracking.client import is_refusal, reason
from synrep_search.tracking.registry import register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mlflow import MlflowClient
    from mlflow.entities import Run

    from synrep_search.durability.outbox import Event
    from synrep_search.tracking.batches import Changes

    Item = Metric | Param | RunTag

SEARCH_TAG, TRIAL_TAG, ID_TAG = "synrep.search", "synrep.trial", "synrep.id"
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
PAGE = 200
"""Runs per query: a server with thousands of runs returns a page within the request time-out."""


class RunGone(Exception):  # noqa: N818 - a signal to the caller, not an error
    """MLflow no longer has the run of a trial, although events of it were delivered.

    Args:
        trial: number of the trial, or `SEARCH_ITSELF`.
    """

    def __init__(self, trial: int) -> None:
        super().__init__(f"the run of {named(trial)} is gone")
        self.trial = trial


class Runs:
    """Looks up, creates and fills the runs of one search.

    Args:
        client: client of the tracking server.
        experiment: id of the experiment.
        search: name of the search.
        identity: unique id of the search, which distinguishes it from others of the same name.
        say: called with one line for everything that MLflow rejects permanently.
        parent: id of the parent run, if known. The other runs are then listed only when events of
            trials arrive, because a server needs seconds to list thousands of runs.
    """

    def __init__(
        self,
        client: MlflowClient,
        experiment: str,
        search: str,
        identity: str,
        say: Callable[[str], None],
        parent: str | None = None,
    ) -> None:
        self.experiment = experiment
        self.doubled: set[int] = set()
        """Trials that had several runs: all but one were deleted, and events may be missing from
        the remaining one."""
        self._client = client
        self._search = search
        self._identity = identity
        self._say = say
        self._refused: set[tuple[type, str]] = set()
        self._listed = parent is None or not self._is_active(parent)
        self._ids = self._find() if self._listed else {SEARCH_ITSELF: str(parent)}

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def parent(self) -> str | None:
        """Id of the parent run; None before the start of the search was delivered."""
        return self._ids.get(SEARCH_ITSELF)

    def look_up(self, trials: Iterable[int]) -> None:
        """List the runs of the search unless the runs of these trials are known already."""
        if not self._listed and not self._ids.keys() >= set(trials):
            self._ids = self._find()
            self._listed = True

    def deliver(
        self, pending: Sequence[Event], ready: Callable[[list[Event]], Iterable[Event]]
    ) -> Iterator[list[int]]:
        """Deliver events, and yield the ids of those that have arrived as soon as they have.

        Parameters, metrics and tags go first, so that a failing artifact store does not block them.

        Args:
            pending: the events.
            ready: called with the events that have files; returns those that can be uploaded now.

        Raises:
            RunGone: a run was deleted.
        """
        changed = by_run(pending)
        for trial, changes in changed.items():
            if changes.ids or changes.started:
                self._fill(trial, changes)
                yield changes.ids
        failure: Exception | None = None
        files = [event for changes in changed.values() for event in changes.files]
        for event in ready(sorted(files, key=lambda event: event.id)):
            try:
                self._store(event)
            except RunGone:
                raise
            except Exception as error:  # noqa: BLE001 - artifact stores raise all kinds of errors
                failure = failure or error
                continue
            yield [event.id]
        if failure is not None:
            raise failure

    def _find(self) -> dict[int, str]:
        """List existing runs by trial; a driver may have died before it recorded them."""
        by_trial: dict[int, list[Run]] = {}
        token: str | None = ""
        while token is not None:
            query = f"tags.`{ID_TAG}` = '{self._identity}'"
            page = self._client.search_runs(
                [self.experiment], query, max_results=PAGE, page_token=token or None
            )
            for run in page:
                trial = int(run.data.tags.get(TRIAL_TAG, SEARCH_ITSELF))
                by_trial.setdefault(trial, []).append(run)
            token = page.token or None
        for trial, runs in by_trial.items():
            runs.sort(key=lambda run: (run.info.start_time, run.info.run_id))
            for extra in runs[1:]:  # created twice, because the first response came too late
                self._client.delete_run(extra.info.run_id)
                self.doubled.add(trial)
        self._adopt(by_trial)
        return {trial: runs[0].info.run_id for trial, runs in by_trial.items()}

    def _adopt(self, by_trial: dict[int, list[Run]]) -> None:
        """Move the child runs below a parent run that was recreated."""
        if SEARCH_ITSELF not in by_trial:
            return
        parent = by_trial[SEARCH_ITSELF][0].info.run_id
        for run, *_ in by_trial.values():
            if run.data.tags.get(MLFLOW_PARENT_RUN_ID, parent) != parent:
                self._client.set_tag(run.info.run_id, MLFLOW_PARENT_RUN_ID, parent)

    def _make(self, trial: int, changes: Changes) -> str:
        tags = changes.tags | {SEARCH_TAG: self._search, ID_TAG: self._identity}
        if trial == SEARCH_ITSELF:
            tags[MLFLOW_RUN_NAME] = self._search
        else:
            tags[TRIAL_TAG] = str(trial)
            tags[MLFLOW_RUN_NAME] = f"{self._search}-{trial:04d}"
            if self.parent is None:
                raise RunGone(SEARCH_ITSELF)
            tags[MLFLOW_PARENT_RUN_ID] = self.parent
        created = self._client.create_run(self.experiment, start_time=changes.since_ms, tags=tags)
        self._ids[trial] = created.info.run_id
        return self._ids[trial]

    def _fill(self, trial: int, changes: Changes) -> None:
        exists = trial in self._ids
        if not exists and not changes.started:
            raise RunGone(trial)
        run = self._ids[trial] if exists else self._make(trial, changes)
        params = [Param(name, value) for name, value in changes.params.items()]
        tags = [RunTag(name, value) for name, value in changes.tags.items() if exists]
        self._log(trial, [*params, *tags, *changes.metrics])
        if changes.state is None:
            return
        status = STATUS[changes.state.payload["state"]]
        if status != "RUNNING":
            self._client.set_terminated(run, status, changes.state.time_ms)
        elif exists:
            self._client.update_run(run, status=status)

    def _log(self, trial: int, items: list[Item]) -> None:
        """Log items in one call; skip, and report once, what the server rejects permanently."""
        items = [item for item in items if (type(item), item.key) not in self._refused]
        try:
            self._client.log_batch(
                self._ids[trial],
                params=[item for item in items if isinstance(item, Param)],
                tags=[item for item in items if isinstance(item, RunTag)],
                metrics=[item for item in items if isinstance(item, Metric)],
            )
        except MlflowException as error:
            if not self._is_there(trial, error):
                raise RunGone(trial) from None
            if not is_refusal(error):
                raise
            keys = {(type(item), item.key) for item in items}
            if len(keys) > 1:
                for kind, key in sorted(keys, key=str):
                    self._log(trial, [i for i in items if (type(i), i.key) == (kind, key)])
                return
            self._refuse(trial, keys.pop(), error)

    def _refuse(self, trial: int, key: tuple[type, str], error: MlflowException) -> None:
        kind, name = key
        if kind is Metric:  # the metric's name is invalid, and so it is for all runs
            self._refused.add(key)
        self._say(
            f"MLflow refuses {kind.__name__.lower()} {name!r} of {named(trial)}, which stays in "
            f"the ledger only: {reason(error)}"
        )

    def _is_there(self, trial: int, error: MlflowException) -> bool:
        """Return whether the run that caused an error exists and is not deleted."""
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        if not is_refusal(error):
            return True
        return self._is_active(self._ids[trial])

    def _is_active(self, run: str) -> bool:
        try:
            return self._client.get_run(run).info.lifecycle_stage == "active"
        except MlflowException as other:
            if other.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise

    def _store(self, event: Event) -> None:
        """Upload the files of an event as artifacts of its run."""
        trial = event.trial
        if trial not in self._ids:
            raise RunGone(trial)
        run = self._ids[trial]
        try:
            match event.kind:
                case "champion":
                    model = register(self._client, self._search, run, event)
                    if model != self._search:
                        self._say(
                            f"the model {self._search!r} has champions of another search, which "
                            f"are not comparable: this one is {model!r}"
                        )
                case "artifacts":
                    self._client.log_artifacts(run, event.payload["folder"], "generator")
                case "start":
                    self._client.log_dict(run, event.payload["spec"], "spec.json")
        except MlflowException as error:
            if not self._is_there(trial, error):
                raise RunGone(trial) from None
            if not is_refusal(error):
                raise
            self._say(f"MLflow refuses files of {named(trial)}: {reason(error)}")


def named(trial: int) -> str:
    """Return how messages name the run of a trial or of the search."""
    return "the search" if trial == SEARCH_ITSELF else f"trial {trial}"
