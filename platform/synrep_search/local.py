"""The runner without Ray: one trial after another, in this process. For debugging and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synrep_search.trial import TrialRun

if TYPE_CHECKING:
    from synrep_search.search import Search


def run(search: Search) -> None:
    """Run jobs until the search is finished; an exception of a trial loses only its attempt."""
    while not search.finished:
        job = search.next_job()
        if job is None:
            continue
        try:
            attempt = TrialRun(job)
            while search.on_report(attempt.advance()) == "continue":
                pass
        except Exception as error:  # noqa: BLE001 - whatever a trial does, the others go on
            search.on_lost(job.number, f"{type(error).__name__}: {error}")
