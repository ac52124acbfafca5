"""What a file would run, on 80 columns."""

from __future__ import annotations

import io
import re

from rich.console import Console
from synrep_search.terminal.plan import plan_table


def drawn(what: object) -> str:
    """A thing as it looks on 80 columns."""
    console = Console(file=io.StringIO(), width=80)
    console.print(what)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= 80
    return text


def test_all_that_decides_is_shown(make_spec) -> None:
    """Goal, trials, length, rungs, sampler, resources, and every searched name with its range."""
    spec = make_spec(
        space={"x": {"float": [-1, 1]}, "metrics": {"choice": [1, 2, 5]}},
        start_from=[{"x": 0.5}],
        search={"trials": 7, "early_stopping": {"asha": {"grace": 0.3, "reduction": 2}}},
        resources={"cpu": 2, "gpu": 0.25},
    )
    text = drawn(plan_table(spec))
    for words in (
        spec.name,
        "minimize loss",
        "7, 1 of them given",
        "9 iterations, 9 reports",
        "3, 6; 1 in 2 goes on",
        "tpe",
        "2 CPU, 0.25 GPU",
        "scripted",
        "as many as fit",
        "the search's folder",
        "SQLite in the home",
        "-1.0 .. 1.0",
        "1, 2, 5",
    ):
        assert words in text
    assert "budget" not in text


def test_addresses_are_shown(make_spec) -> None:
    """Whoever starts a file of somebody else can read where it writes."""
    spec = make_spec(
        storage="s3://bucket/searches",
        ledger="postgresql://me@db/synrep",
        tracking={"uri": "http://mlflow:5000/\x1b]0;x"},
        resources={"slots": 3},
        budget={"hours": 1.5},
    )
    text = drawn(plan_table(spec))
    for words in ("s3://bucket/searches", "postgresql://me@db/synrep", "http://mlflow:5000/\\x1b"):
        assert words in text
    assert re.search(r"slots +3 ", text)
    assert "1.5 hours" in text
    masked = spec.model_copy(update={"ledger": "postgresql://me:hunter2@db/synrep"})
    assert "postgresql://me:***@db/synrep" in drawn(plan_table(masked))


def test_conditional_names_are_shown(make_spec) -> None:
    """Families have a line, and each of their parameters another; poses are named."""
    spec = make_spec(
        trainer="synrep",
        train={},
        space={
            "kcs.weighting": {
                "one_of": {
                    "tanh": {"scale": {"log": [0.25, 4]}},
                    "band": {"reach": {"int": [1, 7]}},
                }
            }
        },
        search={"maximize": "validation/z_mm", "minimize": None, "sampler": {"random": {}}},
    )
    text = drawn(plan_table(spec))
    for words in ("maximize validation/z_mm", "kcs.weighting.tanh.scale", "0.25 .. 4.0"):
        assert words in text
    for words in ("kcs.weighting.band.reach", "1 .. 7", "random", "synthetic"):
        assert words in text
    assert "rungs" not in text


def test_seeds_alone(make_spec) -> None:
    """A file that searches nothing says so."""
    assert "nothing: trials differ in their seeds" in drawn(plan_table(make_spec(space={})))
