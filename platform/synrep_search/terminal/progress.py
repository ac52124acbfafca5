"""A running search on a terminal: one live view; plain lines where there is no terminal."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from synrep.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import ConsoleOptions

    from synrep_search.durability.ledger import Ledger
    from synrep_search.durability.records import Trial
    from synrep_search.search.loop import Search

LOG = logging.getLogger("synrep_search")
SUMMARY_S = 10.0
"""Plain summaries come at most this often."""
SHOWN = 10
"""Rows of running trials in the live view, and of the best trials at the end."""


class ProgressDisplay:
    """Shows a search.

    Args:
        console: where to; its kind decides between the live view and plain lines.
    """

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, line: str) -> None:
        """Show a line that stays."""
        self.console.print(Text(printable(line)), soft_wrap=True)

    def ended(self, trial: Trial) -> None:
        """A trial has ended for good."""
        value = "" if trial.value is None else f", best {trial.value:.4g}"
        cause = f" ({trial.record.cause})" if trial.record.cause else ""
        self.say(f"trial {trial.number} {trial.state.replace('_', ' ')}{value}{cause}")

    @contextmanager
    def showing(self, search: Search) -> Iterator[None]:
        """Keep the view up to date while a search runs."""
        if self.console.is_terminal:
            with Live(_Panel(search), console=self.console, refresh_per_second=2, transient=True):
                yield
            return
        ended = threading.Event()
        thread = threading.Thread(target=self._summaries, args=(search, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _summaries(self, search: Search, ended: threading.Event) -> None:
        before = ""
        while not ended.wait(SUMMARY_S):
            line = summary(search)
            if line != before:
                self.say(line)
            before = line


class LogDisplay(ProgressDisplay):
    """Prints nothing: what it is told goes to the logger `synrep_search`, at the level INFO."""

    def __init__(self) -> None:
        super().__init__(Console(quiet=True))

    def say(self, line: str) -> None:
        """Log a line."""
        LOG.info("%s", printable(line))

    @contextmanager
    def showing(self, search: Search) -> Iterator[None]:  # noqa: ARG002 - nothing is shown
        """Nothing to keep up to date."""
        yield


class _Panel:
    """Drawn anew at every refresh."""

    def __init__(self, search: Search) -> None:
        self._search = search

    def __rich__(self) -> Group:
        table = Table("trial", "iteration", "now", "best", box=None, pad_edge=False)
        metric = self._search.spec.search.metric
        for number, report in list(self._search.running.items())[:SHOWN]:
            if report is None:
                table.add_row(str(number), "starting", "", "")
                continue
            best = self._search.ledger.trial(number).value
            table.add_row(
                str(number),
                f"{report.iteration}/{self._search.length}",
                f"{report.metrics.get(metric, float('nan')):.4g}",
                "" if best is None else f"{best:.4g}",
            )
        return Group(Text(summary(self._search)), table)


def summary(search: Search) -> str:
    """Trials by state, best so far, throughput and time left, in one line."""
    ledger = search.ledger
    counts = ledger.index.counts()
    ended = sum(counts.values()) - counts["waiting"] - counts["running"]
    states = ", ".join(
        f"{count} {state.replace('_', ' ')}" for state, count in counts.items() if count
    )
    parts = [f"{ended}/{ledger.target} trials ({states or 'none yet'})"]
    best = ledger.index.first()
    if best is not None:
        parts.append(f"best {best.value:.4g} (trial {best.number})")
    spent = time.monotonic() - search.started
    if search.iterations:
        parts.append(f"{search.iterations / spent:.0f} iterations/s")
        left = max(0.0, (ledger.target - ended) * _length(search) - _begun(search))
        parts.append(f"about {duration(left * spent / search.iterations)} left")
    return "  ".join(parts)


def _length(search: Search) -> float:
    """Iterations of a trial: as those that ended had, which early stopping may have cut short."""
    ended = [trial.iteration for trial in search.ledger.index.trials() if trial.ended]
    return sum(ended) / len(ended) if ended else search.length


def _begun(search: Search) -> int:
    """Iterations that the running trials have behind them."""
    return sum(report.iteration for report in search.running.values() if report is not None)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


class TrialTable:
    """The best trials, the best first, with what was searched.

    Searched names get a column each where the terminal is wide enough, one line otherwise.

    Attributes:
        headings: of what is known of every trial; those in `words` hold no numbers.
        title: above it.
        trials: those shown, one in a row.
        causes: one for each of them, or none at all.

    Args:
        ledger: of the search.
        count: rows at most.
    """

    headings: tuple[str, ...] = ("trial", "value", "at", "state")
    words = ("state",)

    def __init__(self, ledger: Ledger, count: int = SHOWN) -> None:
        self.title = f"best trials of {ledger.name}, by {ledger.spec.search.metric}"
        self.trials = ledger.index.best(count)
        self.causes: list[str] = []
        self._names = list(ledger.spec.space.names)

    def facts(self, trial: Trial) -> list[str]:
        """What is shown of a trial, in the order of the headings."""
        value = "" if trial.value is None else f"{trial.value:.4g}"
        return [str(trial.number), value, str(trial.iteration), trial.state.replace("_", " ")]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        """Draw what fits."""
        columns = self._table(wide=True)
        needed = Measurement.get(console, options.update(max_width=10_000), columns).minimum
        yield columns if needed <= options.max_width else self._table(wide=False)

    def _table(self, *, wide: bool) -> Table:
        table = Table(title=Text(self.title), box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for name in self.headings:
            table.add_column(name, justify="left" if name in self.words else "right", no_wrap=True)
        values = {name: [searched(trial, name) for trial in self.trials] for name in self._names}
        if wide:
            for name, cells in values.items():
                heading = name.rpartition(".")[2].replace("_", " ")
                words = [*heading.split(), *cells]
                table.add_column(Text(heading), min_width=max(map(len, words)))
            if self.causes:
                table.add_column("cause", overflow="fold")
        else:
            table.add_column("searched", overflow="fold")
        for row, trial in enumerate(self.trials):
            cells = [column[row] for column in values.values()]
            cause = self.causes[row : row + 1]
            if not wide:
                named = zip(self._names, cells, strict=True)
                line = "  ".join(f"{name.rpartition('.')[2]} {cell}" for name, cell in named)
                cells, cause = ["\n".join(filter(None, [line, *cause]))], []
            table.add_row(*self.facts(trial), *map(Text, [*cells, *cause]))
        return table


def one_line(text: str) -> str:
    """A text of others, safe to show, without its line breaks."""
    return printable(" ".join(text.split()))


def searched(trial: Trial, name: str) -> str:
    """The value of a searched name; that of a family with its parameters. Safe to show."""
    parts = []
    for key, value in trial.params.items():
        if key == name:
            parts.append(f"{value:.3g}" if isinstance(value, float) else str(value))
        elif key.startswith(f"{name}."):
            short = f"{value:.3g}" if isinstance(value, float) else str(value)
            parts.append(f"{key.rpartition('.')[2]}={short}")
    return printable(" ".join(parts))
