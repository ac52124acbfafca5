"""Recovery of reports that a ledger copy lacks, from the checkpoints of their trials."""

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
    """A report in the report history of a checkpoint."""

    iteration: int
    metrics: dict[str, float]


_ROWS = TypeAdapter(list[_Row])


def recover(ledger: Ledger, number: int, storage: Storage) -> Trial:
    """Add the reports to a ledger that a trial made after the ledger was copied.

    The final report of a training run is not recovered: the trial makes it again when it resumes,
    so that the driver ends the trial as usual.

    Args:
        ledger: the copied ledger.
        number: number of a trial that has not ended or is created for the second time.
        storage: the search's storage.

    Returns:
        The trial with its recovered reports.
    """
    trial = ledger.trial(number)
    checkpoints = storage.child(trial_folder(number, trial.record.key))
    for report in _later_reports(trial, checkpoints, ledger.spec.search.metric):
        if report.iteration < ledger.spec.train["iterations"]:
            trial = ledger.report(report, None, "")
    return trial


def _later_reports(trial: Trial, checkpoints: Storage, metric: str) -> list[TrialReport]:
    """Return the reports of a trial that its newest intact checkpoint has and the ledger lacks."""
    refs: dict[int, CheckpointRef] = {}
    history: list[_Row] = []
    for name in newest_checkpoints(checkpoints):
        try:
            ref, state = identify_checkpoint(checkpoints, name)
            rows = _rows(state, f"{checkpoints.uri}/{name}", metric)
        except DamagedError as error:
            logger.warning("trial %d: skipping a damaged checkpoint: %s", trial.number, error)
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
    """Return the report history of a checkpoint.

    Raises:
        DamagedError: the history is invalid, or its reports lack the metric of the search.
    """
    try:
        rows = _ROWS.validate_python(state.meta.get(REPORT_HISTORY, []))
    except ValidationError as error:
        raise DamagedError(place, f"its report history is invalid: {faults(error, _Row)}") from None
    if any(metric not in row.metrics for row in rows):
        raise DamagedError(place, f"its reports lack {metric!r}")
    return rows
