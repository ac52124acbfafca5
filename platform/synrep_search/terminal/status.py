"""How a search stands, read from its ledger alone; `--json` is a stable contract."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from synrep.storage import masked
from synrep_search.terminal.progress import TrialTable, duration, one_line

if TYPE_CHECKING:
    from synrep_search.durability.ledger import Ledger
    from synrep_search.durability.records import Trial
    from synrep_search.paths import SearchPaths

CAUSES = 3
"""Lines about trials without a result: those that ended last."""


def status(ledger: Ledger, paths: SearchPaths) -> dict[str, Any]:
    """The contract: see "How a search stands" in docs/guide/cluster.md. It holds no secrets."""
    best = ledger.index.first()
    if ledger.lease.held():
        state = "running"
    elif not ledger.target_met:
        state = "interrupted"
    else:
        state = "finished" if best else "failed"
    return {
        "name": ledger.name,
        "state": state,
        "target": ledger.target,
        "trials": ledger.index.counts(),
        "best": best and {"number": best.number, "value": best.value, "params": best.params},
        "metric": ledger.spec.search.metric,
        "attempts": sum(len(trial.record.attempts) for trial in ledger.index.trials()),
        "tracking_uri": masked(paths.tracking_uri(ledger.spec)),
        "experiment_id": ledger.mlflow.get("experiment"),
        "parent_run_id": ledger.mlflow.get("parent"),
    }


def trials(ledger: Ledger) -> list[dict[str, Any]]:
    """All trials by number; the contract is in the same place."""
    now = time.time() if ledger.lease.held() else None
    return [
        {
            "number": trial.number,
            "state": trial.state,
            "value": trial.value,
            "iteration": trial.iteration,
            "attempts": trial.attempt,
            "seconds": _seconds(trial, now),
            "cause": _cause(trial),
            "params": trial.params,
        }
        for trial in ledger.index.trials()
    ]


class AllTrials(TrialTable):
    """All trials by number, with what became of them."""

    headings = (*TrialTable.headings, "attempts", "time")

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self.title = f"all trials of {ledger.name}, by number"
        self.trials = ledger.index.trials()
        self._told = trials(ledger)
        causes = [one_line(told["cause"]) for told in self._told]
        self.causes = causes if any(causes) else []

    def facts(self, trial: Trial) -> list[str]:
        """Also its attempts, and how long they took."""
        told = self._told[trial.number]
        return [*super().facts(trial), str(told["attempts"]), duration(told["seconds"])]


def shown(
    found: dict[str, Any], ledger: Ledger, paths: SearchPaths, *, every: bool = False
) -> Group:
    """The same for people; its last lines are whole if it is printed without `crop`.

    Args:
        found: by `status`.
        ledger: of the search.
        paths: likewise.
        every: show all trials, not the best.
    """
    table = Table(show_header=False, box=None)
    counts = found["trials"].items()
    parts = [f"{count} {state.replace('_', ' ')}" for state, count in counts if count]
    table.add_row("search", f"{found['name']} ({found['state']})")
    table.add_row("trials", f"{', '.join(parts) or 'none yet'}; target {found['target']}")
    table.add_row("attempts", str(found["attempts"]))
    table.add_row("metric", found["metric"])
    table.add_row("tracking", found["tracking_uri"])
    table.add_row("code", ledger.provenance["code"])
    blocks: list[Table | TrialTable | Text] = [table]
    if every:
        blocks.append(AllTrials(ledger))
    else:
        blocks += [TrialTable(ledger)] if found["best"] else []
        blocks += _causes(ledger, paths)
    if found["state"] == "interrupted":
        blocks.append(_long(f"go on with: synrep-search resume {paths.typed}"))
    return Group(*blocks)


def list_table(found: list[dict[str, Any]]) -> Table:
    """One row a search."""
    table = Table("search", "state", "trials", "best", "metric")
    for one in found:
        ended = sum(one["trials"].values()) - one["trials"]["waiting"] - one["trials"]["running"]
        best = "" if one["best"] is None else f"{one['best']['value']:.4g}"
        table.add_row(one["name"], one["state"], f"{ended}/{one['target']}", best, one["metric"])
    return table


def _causes(ledger: Ledger, paths: SearchPaths) -> list[Text]:
    """Why the last trials without a result ended so, the newest last, each in a line."""
    lost = [trial for trial in ledger.index.trials() if trial.state in ("failed", "diverged")]
    lost.sort(key=lambda trial: [attempt.ended for attempt in trial.record.attempts[-1:]])
    lines = [
        f"trial {trial.number} {trial.state}: {one_line(_cause(trial))}" for trial in lost[-CAUSES:]
    ]
    if len(lost) > CAUSES:
        lines.append(f"all {len(lost)} causes: synrep-search status {paths.typed} --trials")
    return [_long(line) for line in lines]


def _long(line: str) -> Text:
    """A line that is not broken, so that it can be copied."""
    return Text(line, no_wrap=True, overflow="ignore")


def _seconds(trial: Trial, now: float | None) -> float:
    """What its attempts took in all.

    Args:
        trial: of the search.
        now: seconds since 1970; None if no driver is alive: an attempt that a dead driver left
            open counts nothing, since nobody knows how long it lasted.
    """
    spans = [
        max(0.0, (attempt.ended or now or attempt.started) - attempt.started)
        for attempt in trial.record.attempts
    ]
    return round(sum(spans), 3)


def _cause(trial: Trial) -> str:
    """Why it ended as it did; of one that waits, why its last attempt ended."""
    last = trial.record.attempts[-1:] if trial.state == "waiting" else ()
    return trial.record.cause or "".join(attempt.cause for attempt in last)
