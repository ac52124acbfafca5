"""Processes that make something one at a time."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from synrep_search.locks import exclusive

if TYPE_CHECKING:
    from pathlib import Path

COUNT = """\
import sys, time
from pathlib import Path
from synrep_search.locks import exclusive
counter = Path(sys.argv[1]) / "counter"
for _ in range(20):
    with exclusive(Path(sys.argv[1]) / "deep" / "lock"):
        before = int(counter.read_text() or 0)
        time.sleep(0.001)
        counter.write_text(str(before + 1))
"""
HOLD = """\
import sys, time
from pathlib import Path
from synrep_search.locks import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_at_a_time(tmp_path: Path) -> None:
    """No process enters while another is inside, and no file is left."""
    (tmp_path / "counter").write_text("0")
    words = [sys.executable, "-c", COUNT, str(tmp_path)]
    crowd = [subprocess.Popen(words) for _ in range(4)]
    assert [one.wait() for one in crowd] == [0] * 4
    assert (tmp_path / "counter").read_text() == "80"
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_process_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    """Whatever file it has left."""
    file = tmp_path / "lock"
    words = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.kill()
    assert file.exists()
    with exclusive(file):
        pass
    assert not file.exists()
