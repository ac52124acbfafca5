"""Errors of the platform; see `synrep.errors` for those of the model and its data.

SynrepError (synrep)
├── SpecError     the search file breaks rules; carries every problem found, not just the first
├── LedgerError   the ledger is missing, exists already, or does not fit what is asked
│   ├── NoSearch   the database holds no search of that name; perhaps its launch was cut off
│   └── LedgerLost the database failed while a search ran
└── LeaseHeld     another driver is running this search now
"""

from __future__ import annotations

from dataclasses import dataclass

from synrep.errors import SynrepError


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One broken rule in a search file.

    Attributes:
        where: `file:line`, or the command-line option that set the value.
        path: dotted path of the key, e.g. `space.loss.lambda_angle`.
        rule: what is wrong, with the offending value and what is valid.
    """

    where: str
    path: str
    rule: str

    def __str__(self) -> str:
        return (
            f"{self.where}: {self.path}: {self.rule}" if self.path else f"{self.where}: {self.rule}"
        )


class SpecError(SynrepError):
    """A search file with one or more problems, all gathered."""

    def __init__(self, problems: list[Problem]) -> None:
        lines = "\n".join(f"  {problem}" for problem in problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{count} in the search file:\n{lines}")
        self.problems = problems


class LedgerError(SynrepError):
    """The ledger can't do what is asked; the message says why and what to do instead."""


class NoSearch(LedgerError):  # noqa: N818 - reads as the state it reports
    """A database without the search that was asked for."""


class LedgerLost(LedgerError):  # noqa: N818 - reads as what happened
    """The database failed while a search ran; nothing of the search is lost.

    Attributes:
        stopping: why the search was about to end, if it was.
    """

    stopping = ""


class LeaseHeld(SynrepError):  # noqa: N818 - reads as the state it reports
    """Another driver holds the search's lease; the message names it and its last heartbeat."""
