"""How a search stands, read from its ledger alone; `--json` is a stable contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table

from synrep_search.tracking.address import masked
from synrep_search.view import TrialTable

if TYPE_CHECKING:
    from synrep_search.ledger.ledger import Ledger
    from synrep_search.paths import SearchPaths


def status(ledger: Ledger, paths: SearchPaths) -> dict[str, Any]:
    """The contract: see docs/search-spaces.md. It holds no secrets."""
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


def shown(found: dict[str, Any], ledger: Ledger) -> Group:
    """The same for people."""
    table = Table(show_header=False, box=None)
    trials = found["trials"]
    parts = [f"{count} {state.replace('_', ' ')}" for state, count in trials.items() if count]
    table.add_row("search", f"{found['name']} ({found['state']})")
    table.add_row("trials", f"{', '.join(parts) or 'none yet'}; target {found['target']}")
    table.add_row("attempts", str(found["attempts"]))
    table.add_row("metric", found["metric"])
    table.add_row("tracking", found["tracking_uri"])
    table.add_row("code", ledger.provenance["code"])
    if found["state"] == "interrupted":
        table.add_row("go on", f"synrep-search resume {found['name']}")
    return Group(table, TrialTable(ledger)) if found["best"] else Group(table)


def list_table(found: list[dict[str, Any]]) -> Table:
    """One row a search."""
    table = Table("search", "state", "trials", "best", "metric")
    for one in found:
        ended = sum(one["trials"].values()) - one["trials"]["waiting"] - one["trials"]["running"]
        best = "" if one["best"] is None else f"{one['best']['value']:.4g}"
        table.add_row(one["name"], one["state"], f"{ended}/{one['target']}", best, one["metric"])
    return table
