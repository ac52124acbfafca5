"""Where results are kept: docs/reliability.json, and the table in docs/design/reliability.md."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .matrix import FAULTS, MOMENTS, cells
from .soak import SETTLED_S, SETTLED_TRIALS

if TYPE_CHECKING:
    from pathlib import Path

BEGIN, END = "<!-- table: made by `make faults` -->", "<!-- end of the table -->"


class Record:
    """The results so far, in a file that is whole at any time.

    Args:
        path: of the JSON; the document with the table lies in `design/` beside it, if there is one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content: dict[str, Any] = {"cells": []}
        if path.exists():
            self._content |= json.loads(path.read_text(encoding="utf-8"))

    @property
    def cells(self) -> list[dict[str, Any]]:
        """Entries, in the order of the matrix."""
        return self._content["cells"]

    def has(self, cell_id: str, code: str | None) -> bool:
        """Whether a cell was run, by this version of the code or, if that is None, by any."""
        return any(
            id_of(entry) == cell_id and code in (None, entry.get("code")) for entry in self.cells
        )

    def put(self, entry: dict[str, Any]) -> None:
        """Add the entry of a cell, or replace it."""
        order = {cell.id: number for number, cell in enumerate(cells())}
        kept = [old for old in self.cells if id_of(old) in order and id_of(old) != id_of(entry)]
        self._content["cells"] = sorted([*kept, entry], key=lambda one: order[id_of(one)])
        self._write()

    def put_soak(self, entry: dict[str, Any]) -> None:
        """Replace the entry of the soak."""
        self._content["soak"] = entry
        self._write()

    def _write(self) -> None:
        temporary = self._path.with_suffix(".tmp")
        # A line for each cell, so that changes can be read.
        rows = ",\n".join(json.dumps(entry) for entry in self.cells)
        soak = f',\n"soak": {json.dumps(self._content["soak"])}' if "soak" in self._content else ""
        temporary.write_text(f'{{\n"cells": [\n{rows}\n]{soak}\n}}\n', encoding="utf-8")
        temporary.replace(self._path)
        document = self._path.parent / "design" / f"{self._path.stem}.md"
        if document.exists():
            text = document.read_text(encoding="utf-8")
            before, _, rest = text.partition(BEGIN)
            _, _, after = rest.partition(END)
            made = f"{before}{BEGIN}\n\n{self.table()}\n\n{END}{after}"
            document.write_text(made, encoding="utf-8")

    def table(self) -> str:
        """One row a fault and trainer: sums over its moments, and the slowest recovery."""
        head = (
            "| fault | trainer | moments | faults | trials lost | doubled | runs wrong "
            "| iterations repeated (allowed) | recovery, s | ends equal |"
        )
        rows = [head, "|---|---|--:|--:|--:|--:|--:|--:|--:|---|"]
        groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for entry in self.cells:
            groups.setdefault((entry["fault"], entry["trainer"]), []).append(entry)
        for (fault, trainer), entries in groups.items():
            rows.append(_row([fault, trainer, str(len(entries))], entries))
        if self.cells:
            rows.append(_row(["all", "", str(len(self.cells))], self.cells))
        broken = [f"`{id_of(entry)}`" for entry in self.cells if not entry["kept"]]
        told = f"Cells in which a promise was not kept: {', '.join(broken) or 'none'}."
        soak = self._content.get("soak")
        return "\n".join([*rows, "", told, *(["", _soak(soak)] if soak else [])])


def id_of(entry: dict[str, Any]) -> str:
    """The cell that an entry is of."""
    return f"{entry['fault']}/{entry['moment']}/{entry['trainer']}"


def listing() -> str:
    """All cells with their number of faults, and why others are left out."""
    lines = []
    for name, fault in FAULTS.items():
        lines.append(f"{name}: {fault.what}")
        for moment in MOMENTS:
            counts = [f"{fault.moments[moment]} scripted"] if moment in fault.moments else []
            counts += [f"{fault.gan[moment]} synrep"] if moment in fault.gan else []
            left_out = fault.left_out.get(moment, "")
            lines.append(f"  {moment:14}{', '.join(counts) or f'left out: {left_out}'}")
        if fault.gan_left_out:
            lines.append(f"  other moments with synrep are left out: {fault.gan_left_out}")
    wanted = cells()
    lines.append(f"{len(wanted)} cells, {sum(cell.count for cell in wanted)} faults")
    return "\n".join(lines)


def _row(first: list[str], entries: list[dict[str, Any]]) -> str:
    def total(key: str) -> int:
        return sum(entry[key] for entry in entries)

    slowest = max((entry["recovery_s"] or 0.0 for entry in entries), default=0.0)
    unequal = sum(not entry["end_equal"] for entry in entries)
    repeated = f"{total('work_repeated_iterations')} ({total('allowed_iterations')})"
    numbers = [total(key) for key in ("faults", "trials_lost", "trials_doubled", "runs_wrong")]
    equal = "all" if not unequal else f"{len(entries) - unequal} of {len(entries)}"
    return f"| {' | '.join([*first, *map(str, numbers), repeated, f'{slowest:.0f}', equal])} |"


def _soak(soak: dict[str, Any]) -> str:
    told = (
        f"Soak: {soak['trials']} trials over {soak['nodes']} nodes in {soak['minutes']:.0f} "
        f"minutes with {soak['faults']} faults ({soak['drivers']} drivers): "
        f"{soak['trials_lost']} trials lost, {soak['trials_doubled']} doubled, "
        f"{soak['runs_wrong']} runs wrong, ends {'' if soak['end_equal'] else 'not '}equal. "
        f"{soak['work_repeated_iterations']} iterations were repeated "
        f"({soak['allowed_iterations']} allowed{_over(soak)}). The driver had at most "
        f"{max(soak['files'])} open files, and the outbox was at most {soak['outbox_deepest']} "
        "events deep."
    )
    if not soak["memory_settled_mb"]:
        return told
    least, most = zip(*soak["memory_settled_mb"], strict=True)
    grown = max(high / low - 1 for low, high in soak["memory_settled_mb"])
    return (
        f"{told} Once they were {SETTLED_S:.0f} s old and there were {SETTLED_TRIALS} trials, "
        f"drivers took {min(least)} to {max(most)} MB, and none grew by more than {grown:.0%}."
    )


def _over(soak: dict[str, Any]) -> str:
    """By how many trials; older entries do not say it."""
    if "over_allowed" not in soak:
        return ""
    count = soak["over_allowed"]
    return f"; {count or 'no'} trial{'' if count == 1 else 's'} repeated more than that"
