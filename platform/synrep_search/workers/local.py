"""Run a search without Ray: one trial after another in this process. For debugging and tests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from synrep_search.workers.attempt import Attempt
from synrep_search.workers.saving import is_saving

if TYPE_CHECKING:
    from synrep_search.search.loop import Search


def run(search: Search) -> None:
    """Run jobs until the search is finished. An exception ends only the attempt that raised it."""
    threads = max(1, int(search.spec.resources.cpu))
    device = "cuda" if search.spec.resources.gpu else "cpu"
    search.is_saving = is_saving
    while not search.finished:
        job = search.next_job()
        if job is None:
            time.sleep(0.1)  # all open trials are deferred
            continue
        attempt = Attempt(job, device, threads, lambda: bool(search.stopping))
        while search.on_reports([attempt.advance()]):
            pass
