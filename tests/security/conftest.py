"""Commands that meet files which want to do harm."""

from __future__ import annotations

import os
import resource
import time
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from synrep_search.cli import main as search_main

from synrep.cli.main import main as synrep_main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MEMORY_KIB = 2_000_000
"""More than any of these files may take beside what the process has."""
SECONDS = 30


class Evil:
    """What runs a command when it is unpickled, and leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.trace}",)


def tree(folder: Path) -> dict[str, int]:
    """All files below a folder, with the time of their last change."""
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A file that is there if code of an attacker has run."""
    return tmp_path / "trace"


@pytest.fixture
def refused(tmp_path: Path, trace: Path) -> Callable[..., str]:
    """Function: words of a command -> its message, having seen that it refused and did no harm.

    One message, exit code 2, nothing run, no file made or changed, in bounded time and memory.
    """

    def run(*words: object, says: str = "") -> str:
        program, *rest = map(str, words)
        command = {"synrep": synrep_main, "synrep-search": search_main}[program]
        before, memory = tree(tmp_path), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.monotonic()
        result = CliRunner().invoke(command, rest)
        message = result.stderr
        assert isinstance(result.exception, SystemExit), repr(result.exception)
        assert result.exit_code == 2, result.output
        assert message.count("Error: ") == 1, message
        assert "Traceback" not in message
        assert "Usage: " not in message, "the command was not even begun"
        assert all(char.isprintable() or char == "\n" for char in message), repr(message)
        assert says in message, message
        assert time.monotonic() - began < SECONDS
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < MEMORY_KIB
        assert tree(tmp_path) == before
        assert not trace.exists()
        return message

    return run
