"""The command line on machines as they are: names, streams and permissions; without Ray."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from synrep_search.durability.ledger import Ledger
from synrep_search.launching import open_ledger
from synrep_search.paths import SearchPaths

if TYPE_CHECKING:
    from collections.abc import Iterator

SEARCH = """\
name: small
trainer: scripted
train: {iterations: 10, reports: 5}
space: {x: {float: [0, 1]}}
search: {minimize: loss, trials: 1}
tracking: {keep_best: 0}
"""
CLI = [sys.executable, "-m", "synrep_search.cli"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A search file of one short trial."""
    path = tmp_path / "small.yaml"
    path.write_text(SEARCH)
    return path


@pytest.mark.parametrize("name", ["100%25 done", "a?b", "{x} #1; ä&b"])
def test_a_home_has_any_name(run, file: Path, name: str) -> None:
    """All of the search is inside, and nothing anywhere else."""
    home = Path("homes") / name
    result = run("launch", str(file), "--local", "--yes", "--home", str(home))
    assert result.exit_code == 0, result.output
    assert [path.name for path in Path("homes").iterdir()] == [name]
    names = {path.name for path in home.iterdir()}
    assert names - {"mlflow.db-wal", "mlflow.db-shm"} == {"mlflow.db", "mlartifacts", "small"}
    assert len(list((home / "small" / "trials").rglob("*.safetensors"))) == 3
    assert run("status", "small", "--home", str(home)).exit_code == 0
    with closing(open_ledger(SearchPaths(home.absolute(), "small"))) as ledger:
        assert ledger.outbox.depth() == 0


def test_what_to_type_names_the_home(run, file: Path) -> None:
    """A remedy that can be copied goes on with the same search."""
    words = ("launch", str(file), "--local", "--yes", "--home", "there")
    assert run(*words).exit_code == 0
    again = run(*words)
    assert again.exit_code == 2
    assert f"synrep-search resume small --home {Path('there').absolute()}`" in again.output


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_may_be_closed(tmp_path: Path, file: Path, closed: str) -> None:
    """Cron and services start processes so: nothing of them is printed into a database."""
    shell = f'exec "$@" {closed}'
    words = [*CLI, "launch", str(file), "--local", "--home", str(tmp_path / "home")]
    done = subprocess.run(
        ["sh", "-c", shell, "sh", *words], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    status = [*CLI, "status", "small", "--home", str(tmp_path / "home")]
    done = subprocess.run(
        ["sh", "-c", shell, "sh", *status], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_search_goes_on_without_its_reader(tmp_path: Path, file: Path) -> None:
    """`| head -1` reads a line and ends."""
    words = [*CLI, "launch", str(file), "--local", "--home", str(tmp_path / "home")]
    words += ["-o", "search.trials=4"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdout is not None
        assert driver.stderr is not None
        assert driver.stdout.readline()
        driver.stdout.close()
        errors = driver.stderr.read()
    assert driver.returncode == 0, errors
    assert errors == ""
    with closing(open_ledger(SearchPaths(tmp_path / "home", "small"))) as ledger:
        assert ledger.target_met


@pytest.fixture
def others_search(make_spec) -> Iterator[SearchPaths]:
    """A search that is running, which everybody may read and only its owner write."""
    with TemporaryDirectory(prefix="synrep-machines-") as folder:
        Path(folder).chmod(0o755)
        spec, paths = make_spec(name="theirs"), SearchPaths(Path(folder), "theirs")
        paths.folder.mkdir()
        origin = {"id": "1", "code": "c0de", "data": ""}
        with closing(Ledger.create(paths.ledger_url(spec), spec, origin)) as ledger, ledger.lease:
            yield paths


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root")
def test_the_search_of_another_user_is_not_stopped(others_search) -> None:
    """One line says who can; the search is not disturbed."""
    for path in [others_search.home, *others_search.home.rglob("*")]:
        os.chown(path, 65534, 65534)
    like_others = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"]
    words = [*like_others, *CLI, "stop", "theirs", "--home", str(others_search.home)]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("Error: search 'theirs' can't be asked to stop (attempt to write")
    assert len(done.stderr.splitlines()) == 1
    with closing(open_ledger(others_search)) as ledger:
        assert ledger.lease.held()


SLOW = SEARCH.replace("reports: 5}", "reports: 5, sleep_s: 2}")
IN_A_TERMINAL = ["env", "--default-signal=HUP"]
"""As a terminal starts a program, even if these tests run under nohup, which they would inherit."""


@pytest.mark.parametrize(
    ("before", "number", "code"),
    [
        (IN_A_TERMINAL, signal.SIGHUP, 3),
        (["nohup"], signal.SIGHUP, 0),
        (IN_A_TERMINAL, signal.SIGTERM, 3),
    ],
    ids=["a terminal that is closed", "under nohup", "a service that is ended"],
)
def test_a_signal_pauses(tmp_path: Path, before: list[str], number: int, code: int) -> None:
    """Nothing is lost, as with Ctrl-C; who has asked for it is not disturbed by its terminal."""
    file, home = tmp_path / "slow.yaml", tmp_path / "home"
    file.write_text(SLOW)
    words = [*before, *CLI, "launch", str(file), "--local", "--yes", "--home", str(home)]
    with (tmp_path / "log").open("wb") as log:
        driver = subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 120
        while not list(home.rglob("*.safetensors")):
            assert driver.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < end
            time.sleep(0.1)
        driver.send_signal(number)
        driver.send_signal(signal.SIGHUP)  # as services do at once, and terminals more than once
        assert driver.wait(120) == code
    text = (tmp_path / "log").read_text()
    assert "Traceback" not in text
    assert "was not saved" not in text
    assert ("stopped (SIG" in text) == (code == 3)
