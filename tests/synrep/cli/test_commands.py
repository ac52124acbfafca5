"""What both programs do with errors."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner, Result

from synrep.cli.commands import Commands
from synrep.errors import Diverged, InputError


def call(error: Exception) -> Result:
    """What a command does that fails so."""

    @click.group(cls=Commands)
    def main() -> None:
        """A program."""

    @main.command()
    def fail() -> None:
        raise error

    return CliRunner().invoke(main, ["fail"])


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("a.json", "is empty"), 2, "a.json: is empty"),
        (Diverged("NaN", 3), 1, "diverged at iteration 3: NaN"),
        (FileNotFoundError(2, "No such file", "a\x1b[2J"), 2, "a\\x1b[2J: No such file"),
    ],
)
def test_errors_that_a_user_can_mend(error: Exception, code: int, message: str) -> None:
    """One message, whose characters all can be shown, and the exit code."""
    result = call(error)
    assert (result.exit_code, result.stderr) == (code, f"Error: {message}\n")


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError(5, "Input/output error")])
def test_other_errors_keep_their_traceback(error: Exception) -> None:
    """What no user caused is not hidden."""
    assert call(error).exception is error
