"""Render scored tables as Markdown and CSV: published value, ours, and the difference."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from synrep_search.reproduce.intervals import CONFIDENCE, welch
from synrep_search.reproduce.paper import ACTIONS
from synrep_search.reproduce.tables import MEASURES, PUBLISHED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synrep_search.reproduce.scores import Number, Scored
    from synrep_search.reproduce.tables import Role

TIMED = (
    "seconds a training: wall time of a training run's attempt according to the ledger, including "
    "reports and checkpoints; training runs that ran concurrently or as one program share the "
    "machine, so their seconds overlap; interrupted training runs are omitted"
)


def printed(scored: Scored, action: str, stores: Mapping[Role, str]) -> float | None:
    """Return the published value of an action; None for poses of another data set."""
    row = scored.row
    if row.printed is None or any(not _published(role, stores) for role in row.roles):
        return None
    if action == scored.averaged:
        return row.printed.average
    by_action = dict(zip(ACTIONS, row.printed.by_action, strict=False))
    return by_action.get(action)


def _published(role: Role, stores: Mapping[Role, str]) -> bool:
    return stores.get(role, "").lower().startswith(PUBLISHED[role])


def summary(
    scored: Sequence[Scored], stores: Mapping[Role, str], notes: Sequence[str]
) -> list[str]:
    """Return Markdown lines with the averages, the comparisons of rows, and the notes.

    Args:
        scored: scored rows of a table.
        stores: names of the pose stores by role.
        notes: notes on settings and omitted rows.
    """
    timed = any(one.seconds for one in scored)
    lines = [
        "| row | measure | average | paper | ours | difference | seeds | views |"
        + " seconds a training |" * timed,
        "|---|---|---|--:|--:|--:|--:|--:|" + "--:|" * timed,
    ]
    for one in scored:
        published, ours = printed(one, one.averaged, stores), one.average
        paper, difference = (
            ("", "") if published is None else (f"{published:.1f}", f"{ours.mean - published:+.1f}")
        )
        lines.append(
            f"| {one.row.label} | {MEASURES[one.row.measure]} | {one.averaged} | {paper} | {ours} "
            f"| {difference} | {ours.seeds} | {one.views} |" + f" {one.seconds or ''} |" * timed
        )
    all_notes = [*notes, *([TIMED] if timed else []), *_damaged(scored)]
    return [*lines, "", *comparisons(scored), *(f"- {note}" for note in all_notes)]


def _damaged(scored: Sequence[Scored]) -> list[str]:
    """Return a note for each distinct count of damaged test views."""
    counts = dict.fromkeys((one.damaged, one.views) for one in scored if one.damaged)
    return [
        f"{damaged} of {total} views are damaged (all joints in one point) but are counted"
        for damaged, total in counts
    ]


def by_action(scored: Sequence[Scored], stores: Mapping[Role, str]) -> list[str]:
    """Return Markdown lines with one table per set of test actions and one column per action."""
    lines: list[str] = []
    groups: dict[tuple[str, ...], list[Scored]] = {}
    for one in scored:
        groups.setdefault(tuple(one.numbers), []).append(one)
    for actions, rows in groups.items():
        heads = " | ".join(action.replace("|", r"\|") for action in actions)
        lines += ["", f"| row | measure | {heads} |"]
        lines.append("|---|---|" + "--:|" * len(actions))
        for one in rows:
            head = f"{one.row.label} | {MEASURES[one.row.measure]}"
            lines.append(f"| {head} | {' | '.join(map(str, one.numbers.values()))} |")
            published = [printed(one, action, stores) for action in actions]
            if any(value is not None for value in published):
                cells = ("" if value is None else f"{value:.1f}" for value in published)
                lines.append(f"| paper | | {' | '.join(cells)} |")
    return lines


def comparisons(scored: Sequence[Scored]) -> list[str]:
    """Return Markdown lines that compare each row with the last one under the same conditions."""
    groups: dict[tuple[Any, ...], list[Scored]] = {}
    for one in scored:
        groups.setdefault((*one.row.conditions, one.averaged, one.views), []).append(one)
    lines = []
    for *others, last in groups.values():
        lines += [
            f"- {one.row.label} against {last.row.label}, {MEASURES[one.row.measure]}: "
            + _difference(one.average, last.average)
            for one in others
            if one.row.trainer  # reference predictors have no seeds
        ]
    return lines


def _difference(one: Number, other: Number) -> str:
    found = welch(one, other)
    if found is None:
        return f"{one.mean - other.mean:+.1f}; a single seed, so the noise is unknown"
    verdict = "beyond the noise" if found.certain else "within the noise"
    return (
        f"{found.difference:+.1f}, {CONFIDENCE:.0%} interval {found.low:+.1f} to {found.high:+.1f} "
        f"(Welch's t, {one.seeds} and {other.seeds} seeds), {verdict}"
    )


def as_csv(scored: Sequence[Scored], stores: Mapping[Role, str]) -> str:
    """Return CSV text with one line per row and action."""
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
            published = printed(one, action, stores)
            error = "" if number.error is None else f"{number.error:.3f}"
            writer.writerow(
                [
                    one.row.label,
                    one.row.measure,
                    _no_formula(action),
                    "" if published is None else published,
                    f"{number.mean:.3f}",
                    error,
                    number.seeds,
                    one.views,
                    "" if one.seconds is None else f"{one.seconds.mean:.3f}",
                ]
            )
    return text.getvalue()


def _no_formula(text: str) -> str:
    """Quote a name from a pose store if a spreadsheet would interpret it as a formula."""
    return f"'{text}" if text.startswith(tuple("=+-@\t\r")) else text
