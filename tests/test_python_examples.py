"""The Python examples of the documents run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import synrep_search

import synrep

ROOT = Path(__file__).resolve().parent.parent
TEXT = "".join((ROOT / page).read_text("utf-8") for page in ("README.md", "docs/guide/python.md"))
BLOCKS = re.findall(r"^## ([^\n]+)$\n+```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
SOURCES = (Path(synrep_search.__file__).parents[1], Path(synrep.__file__).parents[1])


def test_every_block_is_an_example() -> None:
    """No Python block of the pages is passed over."""
    assert TEXT.count("```python") == len(BLOCKS) == 3


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("title", "code"), BLOCKS, ids=[title for title, _ in BLOCKS])
def test_an_example_runs(title: str, code: str, tmp_path: Path) -> None:
    """In a process and an empty folder of its own, with nothing said on standard error."""
    paths = os.pathsep.join(map(str, SOURCES))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    environment.pop("SYNREP_HOME", None)
    command = [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", code]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout
