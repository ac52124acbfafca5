"""What people see of a search, on a terminal of 80 columns and in a file."""

from __future__ import annotations

import io
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console
from synrep_search.terminal import progress as module
from synrep_search.terminal.progress import ProgressDisplay, TrialTable, duration, summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from synrep_search.search.loop import Search

MANY = {
    "trainer": "synrep",
    "train": {"iterations": 9, "reports": 9},
    "space": {
        "loss.lambda_angle": {"log": [0.01, 10]},
        "optim.lr_generator": {"log": [1e-5, 1e-3]},
        "optim.lr_reprojection": {"log": [1e-5, 1e-3]},
        "optim.lr_discriminator": {"log": [1e-5, 1e-3]},
        "kcs.weighting": {
            "one_of": {
                "tanh": {"scale": {"log": [0.25, 4]}, "power": {"float": [0.5, 3]}},
                "band": {"reach": {"int": [1, 7]}},
            }
        },
        "critic.gp_weight": {"log": [1, 50]},
        "critic.steps": {"choice": [1, 2, 3, 5]},
        "critic.branch_width": {"choice": [64, 100, 256, 512]},
        "batch_size": {"choice": [64, 128, 256, 512, 1024]},
        "generator.dropout": {"float": [0, 0.5]},
        "generator.slope": {"choice": [0.01, 0.1, 0.2, 0.3]},
    },
    "search": {"minimize": "validation/mpjpe_mm", "trials": 6},
}


class Screen:
    """A console that keeps what it shows."""

    def __init__(self, *, terminal: bool = False) -> None:
        self.file = io.StringIO()
        self.console = Console(file=self.file, width=80, force_terminal=terminal, color_system=None)

    def show(self, what: Any) -> str:
        """Everything shown so far, with a thing that is shown now."""
        self.console.print(what)
        return self.file.getvalue()


@pytest.fixture
def screen() -> Screen:
    """A file, 80 columns wide."""
    return Screen()


@pytest.fixture
def half_done(make_search, make_spec, make_report) -> Callable[..., Search]:
    """Function: sections of a file -> a search with trials in several states."""

    def make(**sections: Any) -> Search:
        spec = make_spec(**sections)
        search = make_search(spec)
        jobs = [search.next_job() for _ in range(4)]
        for job, value in zip(jobs, (61.23, 58.76, 70.01, 64.5), strict=True):
            metrics = {spec.search.metric: value}
            search.on_reports([make_report(job, 4, 0.0, metrics=metrics)])
        ends: list[dict[str, Any]] = [
            {"iteration": 9, "ended": "completed", "metrics": {spec.search.metric: 60.0}},
            {"iteration": 5, "ended": "diverged", "cause": "loss is nan"},
        ]
        for job, end in zip(jobs, ends, strict=False):
            iteration = end.pop("iteration")
            search.on_reports([make_report(job, iteration, **end)])
        search.on_lost(2, "its node was lost", preempted=True)
        return search

    return make


def shown_value(value: object) -> str:
    """A parameter as a table has room for it."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("sections", [{}, MANY], ids=["two names", "eleven names"])
def test_the_table_of_trials_is_readable(half_done, screen, sections) -> None:
    """At 80 columns nothing is cut: number, value, state and each searched value appear."""
    search = half_done(**sections)
    text = screen.show(TrialTable(search.ledger))
    assert max(map(len, text.splitlines())) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    best = search.ledger.index.best(10)
    assert [trial.number for trial in best] == [0, 3, 2]
    places = []
    for trial in best:
        value = f"{trial.value:.4g}"
        places.append(text.index(value))
        row = next(line for line in text.splitlines() if value in line)
        assert str(trial.number) in row.split()
        assert trial.state in row
        for parameter in trial.params.values():
            assert shown_value(parameter) in text
    assert places == sorted(places)
    assert "58.76" not in text  # it diverged


def test_the_table_is_bounded(half_done, screen) -> None:
    """Only as many trials are shown as asked for, the best ones."""
    text = screen.show(TrialTable(half_done().ledger, 1))
    assert "60" in text
    assert "64.5" not in text


def test_an_empty_table(make_search, make_spec, screen) -> None:
    """A search without a report has a table, too."""
    search = make_search(make_spec())
    assert search.ledger.name in screen.show(TrialTable(search.ledger))


def test_the_summary_is_one_line(half_done) -> None:
    """Trials by state, the best, throughput and time left."""
    search = half_done(search={"trials": 9})
    search.started = time.monotonic() - 10
    line = summary(search)
    assert "\n" not in line
    assert "2/9 trials" in line
    for part in ("1 waiting", "1 running", "1 completed", "1 diverged", "best 60 (trial 0)"):
        assert part in line
    assert "2 iterations/s" in line
    assert "left" in line


def test_the_summary_of_a_search_that_begins(make_search, make_spec) -> None:
    """Before the first report there is neither a best trial nor a rate."""
    assert summary(make_search(make_spec())) == "0/4 trials (none yet)"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_durations(seconds, words) -> None:
    """Seconds, minutes and hours, each where it is read best."""
    assert duration(seconds) == words


def test_ends_are_said(half_done, screen) -> None:
    """Each end of a trial is a line with its value and cause, however long."""
    search = half_done()
    view = ProgressDisplay(screen.console)
    for number in (0, 1):
        view.ended(search.ledger.trial(number))
    view.say("x" * 200)
    lines = screen.file.getvalue().splitlines()
    assert lines == [
        "trial 0 completed, best 60",
        "trial 1 diverged, best 58.76 (loss is nan)",
        "x" * 200,
    ]


def test_plain_lines_in_a_file(half_done, screen, monkeypatch, wait_for) -> None:
    """Where there is no terminal a summary is printed now and then, when it has changed."""
    monkeypatch.setattr(module, "SUMMARY_S", 0.01)
    search = half_done(search={"trials": 9})
    with ProgressDisplay(screen.console).showing(search):
        wait_for(lambda: "2/9 trials" in screen.file.getvalue())
    assert "\x1b" not in screen.file.getvalue()


def test_the_live_view_on_a_terminal(half_done, wait_for) -> None:
    """On a terminal the running trials are shown with iteration, value and best."""
    screen = Screen(terminal=True)
    search = half_done(**MANY)
    search.next_job()
    with ProgressDisplay(screen.console).showing(search):
        text = wait_for(screen.file.getvalue)
    assert "2/6 trials" in text
    (row,) = [line for line in text.splitlines() if "4/9" in line]
    assert "64.5" in row
    assert "starting" in text


def test_the_view_survives_changes_while_it_is_drawn(make_spec, make_search) -> None:
    """It is drawn by a thread of its own, while the driver begins and ends trials."""
    search = make_search(make_spec())
    ended = threading.Event()

    def change() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            search.running[number] = None
            search.running.pop(number - 500, None)

    interval = sys.getswitchinterval()
    thread = threading.Thread(target=change)
    thread.start()
    try:
        sys.setswitchinterval(1e-6)
        search.iterations = 1  # so that the time left is shown
        for _ in range(300):
            summary(search)
    finally:
        sys.setswitchinterval(interval)
        ended.set()
        thread.join()
