"""Progress of a running search: a live view on a terminal, plain lines elsewhere."""

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
"""Shortest interval between two plain summary lines."""
SHOWN = 10
"""Maximum number of running trials in the live view, and of best trials at the end."""


class ProgressDisplay:
    """Shows the progress of a search.

    Args:
        console: the console to print to. The live view is used if it is a terminal.
    """

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, line: str) -> None:
        """Print a line."""
        self.console.print(Text(printable(line)), soft_wrap=True)

    def ended(self, trial: Trial) -> None:
        """Print the result of a trial that has ended."""
        value = "" if trial.value is None else f", best {trial.value:.4g}"
        cause = f" ({trial.record.cause})" if trial.record.cause else ""
        self.say(f"trial {trial.number} {trial.state.replace('_', ' ')}{value}{cause}")

    @contextmanager
    def showing(self, search: Search) -> Iterator[None]:
        """Keep the view up to date while the search runs in the block."""
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
        last = ""
        while not ended.wait(SUMMARY_S):
            line = summary(search)
            if line != last:
                self.say(line)
            last = line


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
    """The live view, rendered at every refresh."""

    def __init__(self, search: Search) -> None:
        self._search = search

    def __rich__(self) -> Group:
        table = Table("trial", "iteration", "now", "best", box=None, pad_edge=False)
        metric = self._search.spec.search.metric
        for number, report in list(self._search.running.copy().items())[:SHOWN]:
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
    """Return one line with trials by state, best value so far, throughput and time left."""
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
    elapsed = time.monotonic() - search.started
    if search.iterations:
        parts.append(f"{search.iterations / elapsed:.0f} iterations/s")
        left = max(
            0.0, (ledger.target - ended) * _mean_length(search) - _iterations_in_progress(search)
        )
        parts.append(f"about {duration(left * elapsed / search.iterations)} left")
    return "  ".join(parts)


def _mean_length(search: Search) -> float:
    """Return the mean iterations of ended trials, which early stopping may have shortened."""
    ended = [trial.iteration for trial in search.ledger.index.trials() if trial.ended]
    return sum(ended) / len(ended) if ended else search.length


def _iterations_in_progress(search: Search) -> int:
    """Return the total iterations of the running trials so far."""
    return sum(report.iteration for report in search.running.copy().values() if report is not None)


def duration(seconds: float) -> str:
    """Format a duration in seconds, minutes or hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


class TrialTable:
    """Table of the best trials, the best first, with their searched values.

    Each searched name has its own column if the terminal is wide enough; otherwise all of them
    share one column.

    Attributes:
        headings: headings of the columns that `facts` fills.
        words: headings of the columns that contain text instead of numbers.
        title: title of the table.
        trials: the trials shown, one per row.
        causes: the cause of each trial, or an empty list to omit the column.

    Args:
        ledger: ledger of the search.
        count: maximum number of rows.
    """

    headings: tuple[str, ...] = ("trial", "value", "at", "state")
    words = ("state",)

    def __init__(self, ledger: Ledger, count: int = SHOWN) -> None:
        self.title = f"best trials of {ledger.name}, by {ledger.spec.search.metric}"
        self.trials = ledger.index.best(count)
        self.causes: list[str] = []
        self._names = list(ledger.spec.space.names)

    def facts(self, trial: Trial) -> list[str]:
        """Return the cells of a trial, in the order of the headings."""
        value = "" if trial.value is None else f"{trial.value:.4g}"
        return [str(trial.number), value, str(trial.iteration), trial.state.replace("_", " ")]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        """Render the wide or the narrow table, depending on the width of the terminal."""
        table = self._table(wide=True)
        needed = Measurement.get(console, options.update(max_width=10_000), table).minimum
        yield table if needed <= options.max_width else self._table(wide=False)

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
    """Return untrusted text without line breaks and control characters."""
    return printable(" ".join(text.split()))


def searched(trial: Trial, name: str) -> str:
    """Return the printable value of a searched name; of a family, with its parameters."""
    parts = []
    for key, value in trial.params.items():
        if key == name:
            parts.append(f"{value:.3g}" if isinstance(value, float) else str(value))
        elif key.startswith(f"{name}."):
            short = f"{value:.3g}" if isinstance(value, float) else str(value)
            parts.append(f"{key.rpartition('.')[2]}={short}")
    return printable(" ".join(parts))
