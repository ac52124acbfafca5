"""The runs of one search in MLflow: a parent, and a child for each trial."""

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
"""Runs a question: a server that holds thousands answers each within a call's time-out."""


class RunGone(Exception):  # noqa: N818 - a finding, told to the caller
    """MLflow has no run of a trial any more, though events of it were delivered.

    Args:
        trial: number, or `SEARCH_ITSELF`.
    """

    def __init__(self, trial: int) -> None:
        super().__init__(f"the run of {named(trial)} is gone")
        self.trial = trial


class Runs:
    """Finds, makes and fills the runs.

    Args:
        client: of the tracking server.
        experiment: its id.
        search: name.
        identity: what tells the search from others of its name.
        say: told of what MLflow refuses for good.
        parent: run of the search itself, if it is known. As long as nothing is told of trials, no
            other run is asked for: a server needs seconds to list thousands.
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
        """Trials that had two runs: all but one were removed, and that one lacks something."""
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
        """The run of the search itself; None before its beginning was delivered."""
        return self._ids.get(SEARCH_ITSELF)

    def look_up(self, trials: Iterable[int]) -> None:
        """Make sure that the runs of these are known, if they have any."""
        if not self._listed and not self._ids.keys() >= set(trials):
            self._ids = self._find()
            self._listed = True

    def deliver(
        self, pending: Sequence[Event], ready: Callable[[list[Event]], Iterable[Event]]
    ) -> Iterator[list[int]]:
        """Deliver events; yields the ids of those that have arrived, as they do.

        What is small goes first, so that a store of artifacts that fails holds up nothing else.

        Args:
            pending: the events.
            ready: called with those that have files: gives those that can be stored now.

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
            except Exception as error:  # noqa: BLE001 - stores of artifacts raise anything
                failure = failure or error
                continue
            yield [event.id]
        if failure is not None:
            raise failure

    def _find(self) -> dict[int, str]:
        """Runs made earlier, perhaps by a driver that died before it could note anything."""
        found: dict[int, list[Run]] = {}
        token: str | None = ""
        while token is not None:
            wanted = f"tags.`{ID_TAG}` = '{self._identity}'"
            page = self._client.search_runs(
                [self.experiment], wanted, max_results=PAGE, page_token=token or None
            )
            for run in page:
                trial = int(run.data.tags.get(TRIAL_TAG, SEARCH_ITSELF))
                found.setdefault(trial, []).append(run)
            token = page.token or None
        for trial, runs in found.items():
            runs.sort(key=lambda run: (run.info.start_time, run.info.run_id))
            for extra in runs[1:]:  # its making was answered too late, so it was made again
                self._client.delete_run(extra.info.run_id)
                self.doubled.add(trial)
        self._adopt(found)
        return {trial: runs[0].info.run_id for trial, runs in found.items()}

    def _adopt(self, found: dict[int, list[Run]]) -> None:
        """Show the children below a parent that was made anew."""
        if SEARCH_ITSELF not in found:
            return
        parent = found[SEARCH_ITSELF][0].info.run_id
        for run, *_ in found.values():
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
        made = self._client.create_run(self.experiment, start_time=changes.since_ms, tags=tags)
        self._ids[trial] = made.info.run_id
        return self._ids[trial]

    def _fill(self, trial: int, changes: Changes) -> None:
        known = trial in self._ids
        if not known and not changes.started:
            raise RunGone(trial)
        run = self._ids[trial] if known else self._make(trial, changes)
        params = [Param(name, value) for name, value in changes.params.items()]
        tags = [RunTag(name, value) for name, value in changes.tags.items() if known]
        self._log(trial, [*params, *tags, *changes.metrics])
        if changes.state is None:
            return
        status = STATUS[changes.state.payload["state"]]
        if status != "RUNNING":
            self._client.set_terminated(run, status, changes.state.time_ms)
        elif known:
            self._client.update_run(run, status=status)

    def _log(self, trial: int, items: list[Item]) -> None:
        """Log in one call; what the server refuses for good is left out, and said once."""
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
        if kind is Metric:  # its name is refused, whichever run it is for
            self._refused.add(key)
        self._say(
            f"MLflow refuses {kind.__name__.lower()} {name!r} of {named(trial)}, which stays in "
            f"the ledger only: {reason(error)}"
        )

    def _is_there(self, trial: int, error: MlflowException) -> bool:
        """Whether the run that an error is about exists and is not deleted."""
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
        """Store what an event holds as files of its run."""
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
    """A run in words."""
    return "the search" if trial == SEARCH_ITSELF else f"trial {trial}"
