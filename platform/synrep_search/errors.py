"""Exceptions of the platform; `synrep.errors` contains those of the model and its data.

SynrepError (synrep)
├── SpecError     the search file is invalid; lists all problems, not only the first
├── LedgerError   the ledger is missing, already exists, or does not support the operation
│   ├── NoSearch   the database has no search of this name, e.g. after an interrupted launch
│   └── LedgerLost the database failed during a search
└── LeaseHeld     another driver is running the search
"""

from __future__ import annotations

from dataclasses import dataclass

from synrep.errors import SynrepError


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One violation of a rule in a search file.

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
    """The search file has one or more problems; the message lists all of them."""

    def __init__(self, problems: list[Problem]) -> None:
        lines = "\n".join(f"  {problem}" for problem in problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{count} in the search file:\n{lines}")
        self.problems = problems


class LedgerError(SynrepError):
    """An operation on the ledger is impossible; the message gives the reason and a remedy."""


class NoSearch(LedgerError):  # noqa: N818 - named after the state
    """The database has no search of the requested name."""


class LedgerLost(LedgerError):  # noqa: N818 - named after the event
    """The database failed during a search; no recorded state is lost.

    Attributes:
        stopping: why the search was stopping when the database failed; empty if it was not.
    """

    stopping = ""


class LeaseHeld(SynrepError):  # noqa: N818 - named after the state
    """Another driver holds the lease; the message names its process and its last heartbeat."""
