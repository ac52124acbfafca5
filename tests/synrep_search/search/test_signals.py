"""Batch systems, services and slow disks: a search on Ray that is asked to stop loses nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from synrep_search.launching import open_ledger
from synrep_search.paths import SearchPaths

if TYPE_CHECKING:
    from pathlib import Path

SEARCH = """\
name: slow
trainer: scripted
train: {{iterations: 100, reports: 2, sleep_s: 100, save_s: {save_s}, journal: {journal}}}
space: {{x: {{float: [0, 1]}}}}
search: {{minimize: loss, trials: 2}}
tracking: {{keep_best: 0}}
resources: {{cpu: 1, fuse: off}}
"""
MAIN = """\
import sys
from synrep_search.search import heartbeat
heartbeat.GRACE_S, heartbeat.HEARTBEAT_S = 12, 1
from synrep_search.cli import main
main(sys.argv[1:])
"""
"""The command line with less patience than saving takes here."""

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]


def stopped(tmp_path: Path, number: int, *, save_s: float = 0, **env: str) -> str:
    """Launch a search, send its process group a signal while it trains; what it printed."""
    journal, file, home = tmp_path / "journal", tmp_path / "slow.yaml", tmp_path / "home"
    file.write_text(SEARCH.format(save_s=save_s, journal=journal))
    words = ["env", "--default-signal=HUP"]  # these tests may run under nohup
    words += [sys.executable, "-c", MAIN, "launch", str(file), "--yes", "--home", str(home)]
    with (tmp_path / "log").open("w+") as log:
        driver = subprocess.Popen(
            words, stdout=log, stderr=log, start_new_session=True, env=os.environ | env
        )
        end = time.monotonic() + 200
        while not journal.exists() or journal.read_text().count(" done") < 4:
            assert driver.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < end
            time.sleep(0.2)
        os.killpg(driver.pid, number)
        assert driver.wait(200) == 3, (tmp_path / "log").read_text()
    return (tmp_path / "log").read_text()


def check_saved(tmp_path: Path, text: str) -> None:
    """Every trial has a checkpoint of its last iteration."""
    assert "was not saved" not in text
    done = {}
    for line in (tmp_path / "journal").read_text().splitlines():
        seed, iteration, _, _, word = line.split()
        if word == "done":
            done[int(seed)] = int(iteration)
    with closing(open_ledger(SearchPaths(tmp_path / "home", "slow"))) as ledger:
        for trial in ledger.index.trials():
            assert trial.state == "waiting"
            if trial.record.seed in done:
                assert trial.record.paused is not None
                assert trial.record.paused.iteration == done[trial.record.seed]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_group_saves_the_trials(tmp_path: Path, number: signal.Signals) -> None:
    """Ray's processes survive it; also where the batch system's folder has a long name."""
    folder = tmp_path / ("x" * 60)
    folder.mkdir()
    text = stopped(tmp_path, number, TMPDIR=str(folder))
    assert f"stopped ({number.name})" in text
    check_saved(tmp_path, text)


def test_a_slow_save_is_waited_for(tmp_path: Path) -> None:
    """However long it takes, as long as it is under way."""
    check_saved(tmp_path, stopped(tmp_path, signal.SIGTERM, save_s=30))


def test_a_slot_without_the_gpu_that_it_needs(tmp_path: Path) -> None:
    """It is said at once, and the search does not stay behind."""
    file, home = tmp_path / "slow.yaml", tmp_path / "home"
    file.write_text(SEARCH.format(save_s=0, journal=tmp_path / "journal"))
    words = [sys.executable, "-m", "synrep_search.cli", "launch", str(file), "--yes"]
    words += ["--home", str(home), "-o", "resources.gpu=64"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=200)
    assert done.returncode == 2
    assert re.search(r"Error: resources: a slot takes 1 CPUs and 64 GPUs, but this", done.stderr)
    assert not home.exists()
