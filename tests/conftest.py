"""Settings of all tests, and which of them are system tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from hypothesis import settings
from synrep_search.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# The tests' networks are small, and their processes run side by side: more threads only get in each
# other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples every time: a failure is the change's, not the day's. To look for new ones:
# HYPOTHESIS_PROFILE=default make test
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture(scope="session")
def system() -> None:
    """Fixtures that start a server or a cluster ask for it: what uses them is a system test."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use such a fixture; a test that starts a server itself has the mark."""
    for item in items:
        if "system" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.system)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Calls `synrep-search` in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNREP_HOME", raising=False)

    def call(*words: str) -> Result:
        return CliRunner().invoke(main, words, catch_exceptions=False)

    return call
