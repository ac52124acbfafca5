"""A scored table as Markdown and CSV: the paper's figure, ours, and the difference."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from synrep_search.reproduce.paper import ACTIONS
from synrep_search.reproduce.scores import AVERAGE
from synrep_search.reproduce.tables import MEASURES, PUBLISHED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synrep_search.reproduce.scores import Number, Scored
    from synrep_search.reproduce.tables import Role

CERTAIN = 2.0
"""Standard errors of a difference below which it is called noise."""
TIMED = (
    "seconds a training: wall time of its attempt, reports and checkpoints included, as the ledger "
    "has it; trainings that ran side by side or as one program share the machine, so their seconds "
    "overlap; trainings that were interrupted are left out of it"
)


def printed(scored: Scored, action: str, stores: Mapping[Role, str]) -> float | None:
    """What the paper says of an action, if the store is of the paper's data set."""
    row = scored.row
    if row.printed is None or any(not _published(role, stores) for role in row.roles):
        return None
    if action == AVERAGE:
        return row.printed.average
    known = dict(zip(ACTIONS, row.printed.by_action, strict=False))
    return known.get(action)


def _published(role: Role, stores: Mapping[Role, str]) -> bool:
    return stores.get(role, "").lower().startswith(PUBLISHED[role])


def summary(
    scored: Sequence[Scored], stores: Mapping[Role, str], notes: Sequence[str]
) -> list[str]:
    """Lines of Markdown: averages, how far apart they are, notes.

    Args:
        scored: rows of a table.
        stores: name of the pose store of each role.
        notes: what the numbers depend on, and what was left out.
    """
    timed = any(one.seconds for one in scored)
    lines = [
        "| row | measure | paper | ours | difference | seeds | views |"
        + " seconds a training |" * timed,
        "|---|---|--:|--:|--:|--:|--:|" + "--:|" * timed,
    ]
    for one in scored:
        told, ours = printed(one, AVERAGE, stores), one.average
        paper, difference = (
            ("", "") if told is None else (f"{told:.1f}", f"{ours.mean - told:+.1f}")
        )
        lines.append(
            f"| {one.row.label} | {MEASURES[one.row.measure]} | {paper} | {ours} | {difference} "
            f"| {ours.seeds} | {one.views} |" + f" {one.seconds or ''} |" * timed
        )
    said = [*notes, *([TIMED] if timed else []), *_damaged(scored)]
    return [*lines, "", *comparisons(scored), *(f"- {note}" for note in said)]


def _damaged(scored: Sequence[Scored]) -> list[str]:
    """How many damaged views the tests hold, each number once."""
    counts = dict.fromkeys((one.damaged, one.views) for one in scored if one.damaged)
    return [
        f"{few} of {all_of_them} views are damaged (all joints in one point) and count like others"
        for few, all_of_them in counts
    ]


def by_action(scored: Sequence[Scored], stores: Mapping[Role, str]) -> list[str]:
    """Lines of Markdown: a table for each store of the test, with a column for each action."""
    lines: list[str] = []
    shown: dict[tuple[str, ...], list[Scored]] = {}
    for one in scored:
        shown.setdefault(tuple(one.numbers), []).append(one)
    for actions, rows in shown.items():
        heads = " | ".join(action.replace("|", r"\|") for action in actions)
        lines += ["", f"| row | measure | {heads} |"]
        lines.append("|---|---|" + "--:|" * len(actions))
        for one in rows:
            head = f"{one.row.label} | {MEASURES[one.row.measure]}"
            lines.append(f"| {head} | {' | '.join(map(str, one.numbers.values()))} |")
            told = [printed(one, action, stores) for action in actions]
            if any(value is not None for value in told):
                words = ("" if value is None else f"{value:.1f}" for value in told)
                lines.append(f"| paper | | {' | '.join(words)} |")
    return lines


def comparisons(scored: Sequence[Scored]) -> list[str]:
    """How far each row is from the last one of the same measure and store, and if that is noise."""
    groups: dict[tuple[str, Role], list[Scored]] = {}
    for one in scored:
        groups.setdefault((one.row.measure, one.row.trained), []).append(one)
    found = []
    for *others, last in groups.values():
        found += [
            f"- {one.row.label} against {last.row.label}, {MEASURES[one.row.measure]}: "
            + _difference(one.average, last.average)
            for one in others
            if one.row.trainer  # what is not trained has no seeds
        ]
    return found


def _difference(one: Number, other: Number) -> str:
    gap = one.mean - other.mean
    if one.error is None or other.error is None:
        return f"{gap:+.1f}; one seed each, so nothing is known of the noise"
    error = (one.error**2 + other.error**2) ** 0.5
    verdict = "beyond the noise" if abs(gap) > CERTAIN * error else "within the noise"
    return f"{gap:+.1f} ± {error:.1f}, {verdict}"


def as_csv(scored: Sequence[Scored], stores: Mapping[Role, str]) -> str:
    """One line for each row and action."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            "row",
            "measure",
            "action",
            "paper",
            "ours",
            "standard error",
            "seeds",
            "views",
            "seconds a training",
        ]
    )
    for one in scored:
        for action, number in one.numbers.items():
            told = printed(one, action, stores)
            error = "" if number.error is None else f"{number.error:.3f}"
            writer.writerow(
                [
                    one.row.label,
                    one.row.measure,
                    _no_formula(action),
                    "" if told is None else told,
                    f"{number.mean:.3f}",
                    error,
                    number.seeds,
                    one.views,
                    "" if one.seconds is None else f"{one.seconds.mean:.3f}",
                ]
            )
    return text.getvalue()


def _no_formula(text: str) -> str:
    """A name from a pose store as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(tuple("=+-@\t\r")) else text
