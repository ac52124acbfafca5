"""What a scored table looks like, and what it calls noise."""

from __future__ import annotations

import csv
import dataclasses
import io

import numpy as np
import pytest
from synrep_search.reproduce import paper, render
from synrep_search.reproduce.scores import AVERAGE, Number, Scored
from synrep_search.reproduce.tables import Row


def scored(label: str, values: list[float], printed: paper.Printed | None = None) -> Scored:
    """A row on P1 whose only action has one value a seed."""
    number = Number.of(values)
    row = Row(label=label, measure="mpjpe_mm", printed=printed)
    return Scored(row=row, numbers={"Eating": number, AVERAGE: number}, views=7)


def test_standard_error() -> None:
    """The sample's standard deviation over the root of the number of seeds; none from one seed."""
    values = [48.0, 50.0, 55.0, 51.0]
    number = Number.of(values)
    assert number.mean == pytest.approx(np.mean(values))
    assert number.error == pytest.approx(np.std(values, ddof=1) / 2)
    assert str(number) == "51.0 ± 1.5"
    assert str(Number.of([48.04])) == "48.0"


def test_noise_is_called_noise() -> None:
    """A difference counts if its interval excludes 0; one seed says nothing."""
    base = scored("last", [50.0, 52.0])
    lines = render.comparisons([scored("near", [51.0, 53.0]), scored("far", [70.0, 72.0]), base])
    assert lines[0].endswith(
        "+1.0, 95% interval -5.1 to +7.1 (Welch's t, 2 and 2 seeds), within the noise"
    )
    assert lines[1].endswith(
        "+20.0, 95% interval +13.9 to +26.1 (Welch's t, 2 and 2 seeds), beyond the noise"
    )
    single = render.comparisons([scored("one", [51.0]), base])
    assert "the noise is unknown" in single[0]
    assert render.comparisons([base]) == []


def test_the_paper_stands_beside_its_own_data_only() -> None:
    """On other poses the paper's columns stay empty."""
    rows = [scored("Ours (GT)", [50.0, 52.0], paper.GT_P1)]
    there = render.summary(rows, {"poses": "human36m"}, ["a note"])
    assert "| 48.3 | 51.0 ± 1.0 | +2.7 | 2 | 7 |" in there[2]
    assert there[-1] == "- a note"
    actions = render.by_action(rows, {"poses": "human36m"})
    assert "| paper | | 42.5 | 48.3 |" in actions
    elsewhere = render.summary(rows, {"poses": "cmu"}, [])
    assert "|  | 51.0 ± 1.0 |  | 2 | 7 |" in elsewhere[2]
    assert not any("paper" in line for line in render.by_action(rows, {"poses": "cmu"}))


def test_seconds_and_damaged_views_are_told() -> None:
    """Where something was trained or is damaged; a row that was not trained has no seconds."""
    plain = scored("Mean depth", [50.0])
    trained = dataclasses.replace(
        scored("Ours", [50.0, 52.0]), seconds=Number.of([10.0, 14.0]), damaged=3
    )
    lines = render.summary([plain, trained], {"poses": "cmu"}, [])
    assert lines[0].endswith("| views | seconds a training |")
    assert lines[2].endswith("| 1 | 7 |  |")
    assert lines[3].endswith("| 2 | 7 | 12.0 ± 2.0 |")
    assert len({line.count("|") for line in lines[:4]}) == 1
    assert [line for line in lines if "seconds overlap" in line]
    assert [line for line in lines if line.startswith("- 3 of 7 views are damaged")]
    before = render.summary([plain], {"poses": "cmu"}, [])
    assert "seconds" not in "".join(before)
    rows = list(csv.DictReader(io.StringIO(render.as_csv([plain, trained], {"poses": "cmu"}))))
    assert [row["seconds a training"] for row in rows] == ["", "", "12.000", "12.000"]


def test_csv() -> None:
    """One line a row and action, numbers that a program reads."""
    rows = [scored("Ours (GT)", [50.0, 52.0], paper.GT_P1)]
    lines = list(csv.DictReader(io.StringIO(render.as_csv(rows, {"poses": "human36m"}))))
    assert [line["action"] for line in lines] == ["Eating", AVERAGE]
    assert float(lines[0]["paper"]) == 42.5
    assert float(lines[0]["ours"]) == 51.0
    assert float(lines[0]["standard error"]) == 1.0
