"""A sample of the fault matrix, and the trainings that it disturbs.

`python -m faults` runs all of it; docs/design/reliability.md says what is promised.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from synrep_search.workers.scripted import ScriptConfig, ScriptedTraining

from faults.cells import Cells, possible
from faults.matrix import FAULTS, MOMENTS, Cell, cells, fast
from faults.recording import Record, listing
from faults.world import World
from synrep.errors import Diverged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEED = 1


@pytest.fixture(scope="module")
def running(system) -> Iterator[Cells]:
    """A cluster with its servers, in which cells are run."""
    with World() as world:
        yield Cells(world, SEED)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("cell", [pytest.param(cell, id=cell.id) for cell in fast()])
def test_nothing_is_lost(running: Cells, cell: Cell) -> None:
    """No trial is lost, doubled or different, MLflow is right, and little work is repeated."""
    if not possible(cell):
        pytest.skip("no disk of its own can be mounted here")
    entry = running.run(cell)
    assert entry["faults"] > 0, entry["note"]
    assert (entry["trials_lost"], entry["trials_doubled"]) == (0, 0), entry["note"]
    assert entry["runs_wrong"] == 0, entry["note"]
    assert (entry["over_allowed"], entry["stuck"]) == (0, False), entry["note"]
    assert entry["end_equal"], entry["note"]
    assert entry["kept"], entry["note"]


def test_every_combination_is_run_or_has_a_reason() -> None:
    """No moment of a fault is silently left out, and there are enough faults."""
    for name, fault in FAULTS.items():
        assert fault.moments.keys() | fault.left_out.keys() == MOMENTS.keys(), name
        assert not fault.moments.keys() & fault.left_out.keys(), name
        assert fault.gan.keys() <= fault.moments.keys(), name
        assert (fault.gan.keys() < fault.moments.keys()) == bool(fault.gan_left_out), name
    assert sum(cell.count for cell in cells()) >= 200
    assert all(cell.fault in listing() for cell in cells())


def entry_of(cell: Cell, **changes: object) -> dict[str, object]:
    """What a cell that went well gives."""
    numbers = ("trials_lost", "trials_doubled", "runs_wrong", "work_repeated_iterations")
    names = {"fault": cell.fault, "moment": cell.moment, "trainer": cell.trainer, "code": "a"}
    rest = {
        "faults": 2,
        "recovery_s": 1.5,
        "end_equal": True,
        "allowed_iterations": 8,
        "kept": True,
    }
    return names | dict.fromkeys(numbers, 0) | rest | changes


def test_results_are_kept_and_shown(tmp_path: Path) -> None:
    """The file is gone on with, an entry is replaced by its like, and the table is written anew."""
    document = tmp_path / "design" / "reliability.md"
    document.parent.mkdir()
    document.write_text("# Title\n\n<!-- table: made by `make faults` -->\nold\n", encoding="utf-8")
    first, second = cells("driver-kill-9/starting", "driver-kill-9/mid-trial/scripted")[:2]
    path = tmp_path / "reliability.json"
    Record(path).put(entry_of(second, work_repeated_iterations=3))
    Record(path).put(entry_of(first))
    Record(path).put(entry_of(first, trials_lost=1, kept=False))
    record = Record(path)
    assert [entry["moment"] for entry in record.cells] == ["starting", "mid-trial"]
    assert record.has(first.id, "a")
    assert record.has(first.id, None)
    assert not record.has(first.id, "b")
    text = document.read_text(encoding="utf-8")
    assert text.startswith("# Title\n")
    assert "old" not in text
    assert "| driver-kill-9 | scripted | 2 | 4 | 1 | 0 | 0 | 3 (16) | 2 | all |" in text
    assert f"Cells in which a promise was not kept: `{first.id}`." in text


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"over_allowed": 0}, "(8 allowed; no trials repeated more than that)"),
        ({"over_allowed": 2}, "(8 allowed; 2 trials repeated more than that)"),
        ({}, "(8 allowed)"),
    ],
)
def test_the_soak_tells_of_trials_that_repeated_too_much(
    over: dict[str, int], said: str, tmp_path: Path
) -> None:
    """A sum within the allowance can hide them; entries of before they were counted say nothing."""
    counts = ("trials_lost", "trials_doubled", "runs_wrong", "work_repeated_iterations")
    told = {"trials": 9, "nodes": 3, "minutes": 1.0, "faults": 2, "drivers": 1, "end_equal": True}
    rest = {"allowed_iterations": 8, "files": [4], "outbox_deepest": 0, "memory_settled_mb": None}
    record = Record(tmp_path / "reliability.json")
    record.put_soak(dict.fromkeys(counts, 0) | told | rest | over)
    assert said in record.table()


SCRIPT = """
from synrep_search.workers.scripted import ScriptConfig, ScriptedTraining
ScriptedTraining(ScriptConfig(**{0})).advance()
"""


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ({"exit_at": 2, "exit_code": 7}, 7),
        ({"kill_at": 2}, -9),
        ({"memory_at": 2}, 1),
        ({"fail_at": 2}, 1),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_script_ends_its_process(script: dict[str, int], code: int, tmp_path: Path) -> None:
    """Each way of dying is real, and the journal tells of all that was done before."""
    journal = tmp_path / "journal"
    config = {"iterations": 3, "reports": 1, "seed": 5, "journal": str(journal), **script}
    words = [sys.executable, "-c", SCRIPT.format(config)]
    assert subprocess.run(words, check=False, capture_output=True).returncode == code
    seed, iteration, _, pid, word = journal.read_text(encoding="utf-8").split()
    assert (seed, iteration, word) == ("5", "1", "done")
    assert int(pid) != os.getpid()


def test_a_journal_tells_of_states(tmp_path: Path) -> None:
    """A state that is asked for is noted, so that the moment before it is saved can be seen."""
    journal = tmp_path / "journal"
    training = ScriptedTraining(ScriptConfig(iterations=4, reports=2, journal=str(journal)))
    training.advance()
    training.state()
    lines = [line.split() for line in journal.read_text(encoding="utf-8").splitlines()]
    assert [(line[1], line[4]) for line in lines] == [("1", "done"), ("2", "done"), ("2", "save")]


def test_a_failure_happens_once(tmp_path: Path) -> None:
    """With a file that remembers it."""
    config = ScriptConfig(reports=1, nan_at=2, once=str(tmp_path / "once"))
    with pytest.raises(Diverged):
        ScriptedTraining(config).advance()
    again = ScriptedTraining(config)
    again.advance()
    assert again.finished
