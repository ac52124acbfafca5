"""MLflow's pages in a browser."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (Debian: apt install chromium)")
def test_a_trial_has_a_page_that_shows_its_name(tracked, tmp_path: Path) -> None:
    """The page of a run, as a browser builds it."""
    tracked.begin(0)
    tracked.put(0, "report", 1, metrics={"loss": 1.0})
    assert tracked.deliver() == 0
    info = tracked.runs()[0].info
    page = f"{tracked.uri}/#/experiments/{info.experiment_id}/runs/{info.run_id}"
    words = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
        "--virtual-time-budget=20000", f"--user-data-dir={tmp_path / 'profile'}",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--no-first-run", page,
    ]  # fmt: skip
    shown = subprocess.run(words, capture_output=True, text=True, timeout=90, check=True).stdout
    assert f"{tracked.ledger.name}-0000" in shown
