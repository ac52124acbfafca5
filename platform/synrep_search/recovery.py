"""Reports that a ledger has lost, taken back from the checkpoints of their trial."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from synrep.checkpoint import identify_checkpoint, newest_checkpoints
from synrep.errors import DamagedError
from synrep_search.ledger.outbox import now_ms
from synrep_search.paths import trial_folder
from synrep_search.trial import HISTORY, TrialReport

if TYPE_CHECKING:
    from synrep.checkpoint import CheckpointRef
    from synrep.storage import Storage
    from synrep_search.ledger.ledger import Ledger
    from synrep_search.ledger.records import Trial


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
    for report in _later_reports(trial, checkpoints):
        if report.iteration < ledger.spec.train["iterations"]:
            trial = ledger.report(report, None, "")
    return trial


def _later_reports(trial: Trial, checkpoints: Storage) -> list[TrialReport]:
    """Reports that a trial's newest good checkpoint tells of and the ledger does not."""
    refs: dict[int, CheckpointRef] = {}
    history: list[dict[str, Any]] = []
    for name in newest_checkpoints(checkpoints):
        with suppress(DamagedError):
            ref, state = identify_checkpoint(checkpoints, name)
            refs[ref.iteration] = ref
            history = history or state.meta.get(HISTORY, [])
    return [
        TrialReport(
            number=trial.number,
            attempt=trial.attempt,
            checkpoint=refs.get(row["iteration"]),
            time_ms=now_ms(),
            **row,
        )
        for row in history
        if row["iteration"] > trial.iteration
    ]
