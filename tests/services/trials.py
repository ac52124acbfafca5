"""Trials of a ledger without a search around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synrep_search.search.sampling import Proposer

if TYPE_CHECKING:
    from synrep_search.durability.ledger import Ledger
    from synrep_search.durability.records import Trial


def begin_trial(ledger: Ledger) -> Trial | None:
    """Begin the next attempt as a search does: of a waiting trial, else of a new one."""
    trial = ledger.begin_waiting()
    number = len(ledger.index)
    if trial is not None or number >= ledger.target:
        return trial
    return ledger.begin_new(Proposer(ledger.spec, ledger.index.trials()).propose(number))
