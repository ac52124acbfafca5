"""Reports that a ledger has lost, taken back from the checkpoints of their trial."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from synrep.errors import DamagedError, faults
from synrep.schema import Section
from synrep.training.checkpoint import identify_checkpoint, newest_checkpoints
from synrep_search.durability.outbox import now_ms
from synrep_search.messages import REPORT_HISTORY, TrialReport
from synrep_search.paths import trial_folder

if TYPE_CHECKING:
    from synrep.storage import Storage
    from synrep.training.checkpoint import CheckpointRef, TrainingState
    from synrep_search.durability.ledger import Ledger
    from synrep_search.durability.records import Trial

logger = logging.getLogger(__name__)


class _Row(Section):
    """A report as a checkpoint tells of it."""

    iteration: int
    metrics: dict[str, float]


_ROWS = TypeAdapter(list[_Row])


def recover(ledger: Ledger, number: int, storage: Storage) -> Trial:
    """Give a ledger the reports of a trial that were made after it was copied.

    The last report of a training is left out: it is made anew, with all that follows from it.

    Args:
        ledger: that was copied.
        number: of a trial that has not ended, or that is made for a second time.
        storage: of the search.

    Returns:
        The trial with its reports.
    """
    trial = ledger.trial(number)
    checkpoints = storage.child(trial_folder(number, trial.record.key))
    for report in _later_reports(trial, checkpoints, ledger.spec.search.metric):
        if report.iteration < ledger.spec.train["iterations"]:
            trial = ledger.report(report, None, "")
    return trial


def _later_reports(trial: Trial, checkpoints: Storage, metric: str) -> list[TrialReport]:
    """Reports that a trial's newest good checkpoint tells of and the ledger does not."""
    refs: dict[int, CheckpointRef] = {}
    history: list[_Row] = []
    for name in newest_checkpoints(checkpoints):
        try:
            ref, state = identify_checkpoint(checkpoints, name)
            rows = _rows(state, f"{checkpoints.uri}/{name}", metric)
        except DamagedError as error:
            logger.warning("trial %d: a checkpoint is passed over: %s", trial.number, error)
            continue
        refs[ref.iteration] = ref
        history = history or rows
    return [
        TrialReport(
            number=trial.number,
            attempt=trial.attempt,
            iteration=row.iteration,
            metrics=row.metrics,
            checkpoint=refs.get(row.iteration),
            time_ms=now_ms(),
        )
        for row in history
        if row.iteration > trial.iteration
    ]


def _rows(state: TrainingState, place: str, metric: str) -> list[_Row]:
    """The reports that a checkpoint tells of.

    Raises:
        DamagedError: they are none, or none of this search.
    """
    try:
        rows = _ROWS.validate_python(state.meta.get(REPORT_HISTORY, []))
    except ValidationError as error:
        raise DamagedError(place, f"its reports are not ours: {faults(error, _Row)}") from None
    if any(metric not in row.metrics for row in rows):
        raise DamagedError(place, f"its reports lack {metric!r}")
    return rows
