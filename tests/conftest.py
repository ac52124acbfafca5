"""Settings of all tests."""

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

# The same examples every time: a failure is the change's, not the day's. To look for new ones:
# HYPOTHESIS_PROFILE=default make test
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Calls `synrep-search` in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNREP_HOME", raising=False)

    def call(*words: str) -> Result:
        return CliRunner().invoke(main, words, catch_exceptions=False)

    return call
