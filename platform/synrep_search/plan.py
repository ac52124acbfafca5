"""What a search file would run, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table

if TYPE_CHECKING:
    from synrep_search.spec import SearchSpec


def plan_table(spec: SearchSpec) -> Group:
    """Goal, trials, early stopping and resources, and the space that is searched."""
    facts = Table(show_header=False, box=None)
    search = spec.search
    facts.add_row("search", spec.name)
    facts.add_row("goal", f"{search.direction} {search.metric}")
    facts.add_row("trials", f"{search.trials}, {len(spec.start_from)} of them given")
    length = int(spec.train["iterations"])
    facts.add_row("length", f"{length} iterations, {spec.train['reports']} reports")
    halving = search.early_stopping
    if halving is not None:
        rungs = halving.rungs(length)
        facts.add_row("rungs", ", ".join(map(str, rungs)) + f"; 1 in {halving.reduction} goes on")
    facts.add_row("sampler", search.sampler.kind)
    resources = spec.resources
    gpu = f", {resources.gpu:g} GPU" if resources.gpu else ""
    facts.add_row("a slot takes", f"{resources.cpu:g} CPU{gpu}; fuse: {resources.fuse}")
    if "data" in spec.train:
        facts.add_row("poses", spec.train["data"]["poses"])
    if not spec.space.names:
        facts.add_row("searched", "nothing: trials differ in their seeds")
        return Group(facts)
    space = Table("searched", "distribution", "values")
    for row in spec.space.describe():
        space.add_row(row.name, row.kind, row.values)
    return Group(facts, space)
