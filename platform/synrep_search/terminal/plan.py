"""Show the plan of a search file as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table

from synrep.errors import printable
from synrep.storage import masked
from synrep_search.search_file.samplers import Task

if TYPE_CHECKING:
    from synrep_search.search_file import SearchSpec


def plan_table(spec: SearchSpec) -> Group:
    """Return a table of a search's training, search settings, resources, addresses and space."""
    facts = Table(show_header=False, box=None)
    search = spec.search
    facts.add_row("search", spec.name)
    facts.add_row("trainer", spec.trainer)
    facts.add_row("goal", f"{search.direction} {search.metric}")
    facts.add_row("trials", f"{search.trials}, {len(spec.start_from)} of them given by start_from")
    length = int(spec.train["iterations"])
    facts.add_row("length", f"{length} iterations, {spec.train['reports']} reports")
    if search.early_stopping is not None:
        facts.add_row(*search.early_stopping.summary(length))
    task = Task(spec.space, search.trials, spec.start_from)
    facts.add_row("sampler", search.sampler.summary(task))
    if "data" in spec.train:
        facts.add_row("poses", printable(spec.train["data"]["poses"]))
    resources = spec.resources
    gpu = f", {resources.gpu:g} GPU" if resources.gpu else ""
    facts.add_row("per slot", f"{resources.cpu:g} CPU{gpu}; fuse: {resources.fuse}")
    facts.add_row("slots", "as many as fit" if resources.slots is None else str(resources.slots))
    if spec.budget.hours is not None:
        facts.add_row("budget", f"{spec.budget.hours:g} hours")
    for row in _addresses(spec):
        facts.add_row(*row)
    if not spec.space.names:
        facts.add_row("searched", "nothing: trials differ in their seeds")
        return Group(facts)
    space = Table("searched", "distribution", "values")
    for parameter in spec.space.describe():
        space.add_row(parameter.name, parameter.kind, parameter.values)
    return Group(facts, space)


def _addresses(spec: SearchSpec) -> list[tuple[str, str]]:
    """Return where a search writes: the servers that receive the environment's credentials."""
    addresses = (
        ("storage", spec.storage or "the search's folder"),
        ("ledger", spec.ledger or "SQLite in the search's folder"),
        ("tracking", spec.tracking.uri or "SQLite in the home, shared by all of its searches"),
    )
    return [(name, printable(masked(address))) for name, address in addresses]
