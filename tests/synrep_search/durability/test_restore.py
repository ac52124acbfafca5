"""Coming back to a search from the copy of its ledger, or with a changed file."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from synrep_search.durability import restore
from synrep_search.durability.ledger import Ledger
from synrep_search.durability.restore import changed_spec, restore_copy
from synrep_search.errors import LeaseHeld, LedgerError
from synrep_search.messages import REPORT_HISTORY
from synrep_search.paths import LEDGER_FILE, SearchPaths, names
from synrep_search.search.loop import Search
from synrep_search.search_file import load_spec, trial_config
from synrep_search.workers import local
from synrep_search.workers.attempt import Attempt

from synrep.errors import InputError
from synrep.storage import Storage
from synrep.training.checkpoint import TrainingState, save_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

FILE = {
    "trainer": "scripted",
    "train": {"iterations": 9, "reports": 9},
    "space": {"x": {"float": [-1, 1]}, "y": {"float": [-1, 1]}},
    "search": {"minimize": "loss", "trials": 4},
}


def test_a_copy_is_enough(make_search, make_spec, make_report, tmp_path: Path) -> None:
    """On another machine the search goes on from the copy of its ledger and its checkpoints."""
    storage = tmp_path / "bucket"
    calm = make_search(make_spec(search={"trials": 2}, storage=str(tmp_path / "calm")))
    local.run(calm)
    search = make_search(make_spec(search={"trials": 2}, storage=str(storage)))
    job = search.next_job()
    search.on_reports([make_report(job, 1, 5.0)])
    name = search.ledger.name
    search.ledger.backup(storage / name / LEDGER_FILE)
    paths = restore_copy(f"{storage / name}/", tmp_path / "new")
    assert (paths.name, names(tmp_path / "new")) == (name, [name])
    ledger = Ledger.open(paths.ledger_url(), name)
    assert ledger.reconcile() == [0]
    again = Search(ledger, paths, calm.display)
    local.run(again)
    assert ledger.target_met
    values = [trial.params for trial in calm.ledger.index.trials()]
    assert [trial.params for trial in ledger.index.trials()] == values
    ledger.close()


AWAY = "UPDATE synrep_lease SET owner = 'elsewhere.example:1:0-1', heartbeat = "


@pytest.fixture
def copied(make_search, make_spec, tmp_path: Path, monkeypatch) -> Path:
    """Folder of a search whose ledger was copied while a driver on another machine held it."""
    monkeypatch.setattr(restore, "SILENT_S", 3.0)
    search = make_search(make_spec(storage=str(tmp_path / "bucket")))
    search.ledger.lease.acquire()
    folder = tmp_path / "bucket" / search.ledger.name
    search.ledger.backup(folder / LEDGER_FILE)
    with closing(sqlite3.connect(folder / LEDGER_FILE)) as database, database:
        database.execute(f"{AWAY} {time.time()}")
    return folder


def test_a_search_that_goes_on_elsewhere_is_left_alone(copied: Path, tmp_path: Path) -> None:
    """Its driver writes copies; whoever wants to take it over is refused, and has nothing of it."""
    writing = threading.Event()

    def write() -> None:
        while not writing.wait(0.5):
            (copied / LEDGER_FILE).touch()

    driver = threading.Thread(target=write)
    driver.start()
    try:
        with pytest.raises(LeaseHeld, match="is in use"):
            restore_copy(str(copied), tmp_path / "new")
    finally:
        writing.set()
        driver.join()
    assert not (tmp_path / "new").exists()
    assert [file.name for file in copied.iterdir() if file.is_file()] == [LEDGER_FILE]


def test_a_search_whose_driver_is_silent_can_be_had(copied: Path, tmp_path: Path) -> None:
    """Also when its last heartbeat is young. Its copy tells others that it is taken."""
    paths = restore_copy(str(copied), tmp_path / "new")
    with closing(Ledger.open(paths.ledger_url(), paths.name)) as ledger:
        assert ledger.lease.is_free()
        ledger.lease.acquire()
    assert [path.name for path in paths.folder.iterdir()] == [LEDGER_FILE]
    with closing(Ledger.open(f"sqlite:///{copied / LEDGER_FILE}", paths.name)) as ledger:
        assert ledger.lease.held()


WATCHER = """
import sys
from pathlib import Path
from synrep_search.durability import restore
restore.SILENT_S = 1000
print("begins", flush=True)
restore.restore_copy(sys.argv[1], Path(sys.argv[2]))
"""


def test_a_takeover_that_is_cut_off_leaves_no_ledger(copied: Path, tmp_path: Path) -> None:
    """Whoever is killed while it watches has taken nothing over: it can be tried again."""
    command = [sys.executable, "-c", WATCHER, str(copied), str(tmp_path / "new")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == "begins\n"
        while not list((tmp_path / "new").glob(f"*/.restored-*/{LEDGER_FILE}")):
            assert watcher.poll() is None
            time.sleep(0.05)
        watcher.kill()
    assert names(tmp_path / "new") == []
    assert restore_copy(str(copied), tmp_path / "new").ledger_file.exists()


def test_a_storage_that_is_away_is_told(tmp_path: Path, monkeypatch) -> None:
    """One message, and nothing is left."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    away = "s3://bucket/searches/a?region=x&endpoint_override=http://127.0.0.1:1"
    with pytest.raises(InputError, match="can't be used"):
        restore_copy(away, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_options_of_a_storage_stay(tmp_path: Path) -> None:
    """They come after the folder, wherever that is."""
    storage = Storage.at("s3://bucket/a?region=us-east-1&endpoint_override=http://127.0.0.1:1")
    child = storage.child("b").child("c")
    assert child.uri == "s3://bucket/a/b/c?region=us-east-1&endpoint_override=http://127.0.0.1:1"
    assert Storage.at(child.uri)._root == child._root == "bucket/a/b/c"


def test_reports_after_the_copy_come_back_from_the_checkpoints(
    make_search, make_spec, tmp_path: Path
) -> None:
    """A copy of a while ago lacks reports; what a trial has trained since is not trained again."""
    search = make_search(make_spec(search={"trials": 2}, storage=str(tmp_path / "bucket")))
    name, job = search.ledger.name, search.next_job()
    attempt = Attempt(job, "cpu", 1)
    search.on_reports([attempt.advance()])
    copy = tmp_path / "bucket" / name / LEDGER_FILE
    search.ledger.backup(copy)
    for _ in range(5):
        search.on_reports([attempt.advance()])
    (tmp_path / "bucket").rename(tmp_path / "moved")
    stranger = tmp_path / "moved" / name / "trials" / f"0000-{job.number:08d}"
    stranger.mkdir()
    paths = restore_copy(str(tmp_path / "moved" / name), tmp_path / "new")
    with closing(Ledger.open(paths.ledger_url(), name)) as ledger:
        ledger.reconcile()
        trial = ledger.trial(0)
        assert trial.best_by_iteration == search.ledger.trial(0).best_by_iteration
        again = Search(ledger, paths, search.display)
        resumed = again.next_job()
        assert [ref.iteration for ref in resumed.resume_from] == [6, 5, 4]
        report = Attempt(resumed, "cpu", 1).advance()
        assert (report.iteration, report.metrics) == (7, attempt.advance().metrics)
        assert resumed.checkpoints.startswith(str(tmp_path / "moved"))


GOOD = {"iteration": 6, "metrics": {"loss": 0.5}}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("x", "its report history is invalid"),
        ([["iteration", 6]], "its report history is invalid"),
        ([{**GOOD, "number": 7}], "number"),
        ([{**GOOD, "iteration": "6"}], "iteration"),
        ([{**GOOD, "metrics": {"loss": "low"}}], "metrics.loss"),
        ([{**GOOD, "metrics": {"other": 1.0}}], "its reports lack 'loss'"),
        ([{"iteration": 6, "metrics": {"loss": float("inf")}}], "metrics.loss"),
    ],
)
def test_a_checkpoint_with_strange_reports_is_passed_over(
    make_search, make_spec, caplog, tmp_path: Path, rows, words
) -> None:
    """It counts as damaged: the one before it serves, and the user is told."""
    search = make_search(make_spec(search={"trials": 2}, storage=str(tmp_path / "bucket")))
    name, job = search.ledger.name, search.next_job()
    attempt = Attempt(job, "cpu", 1)
    search.on_reports([attempt.advance()])
    search.ledger.backup(tmp_path / "bucket" / name / LEDGER_FILE)
    for _ in range(3):
        search.on_reports([attempt.advance()])
    state = TrainingState(arrays={}, meta={"iteration": 6, REPORT_HISTORY: rows})
    strange = save_checkpoint(Storage.at(job.checkpoints), state, 6)
    paths = restore_copy(str(tmp_path / "bucket" / name), tmp_path / "new")
    with closing(Ledger.open(paths.ledger_url(), name)) as ledger:
        assert ledger.trial(0).best_by_iteration == search.ledger.trial(0).best_by_iteration
        assert [ref.iteration for ref in ledger.checkpoints(0)] == [4, 3, 2]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("trial 0: skipping a damaged checkpoint: ")
    assert strange.file in line
    assert words in line


def test_a_ledger_on_a_server_is_found_by_its_note(
    postgres_url, ledgers_on, make_spec, tmp_path: Path
) -> None:
    """A storage tells where the ledger of its search is; its folders are not needed."""
    spec = make_spec(storage=str(tmp_path / "bucket"), ledger=postgres_url)
    old = SearchPaths(tmp_path / "old", spec.name)
    old.check_storage(spec)
    old.note_ledger(spec)
    old.share_note(spec)
    ledgers_on(postgres_url).create(spec)
    paths = restore_copy(str(tmp_path / "bucket" / spec.name), tmp_path / "new")
    assert paths.ledger_url() == postgres_url
    with pytest.raises(LedgerError, match="already contains a search: resume it with"):
        old.check_storage(spec)


def test_a_copy_of_another_name_leaves_nothing(make_search, make_spec, tmp_path: Path) -> None:
    """A storage that was renamed is refused, and no half of a search stays."""
    search = make_search(make_spec(storage=str(tmp_path / "bucket")))
    search.ledger.backup(tmp_path / "bucket" / "other" / LEDGER_FILE)
    with pytest.raises(LedgerError, match="no search 'other'"):
        restore_copy(str(tmp_path / "bucket" / "other"), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_search_that_is_here_is_not_overwritten(tmp_path: Path) -> None:
    """The message says how to go on with the one that is here."""
    for folder in ("bucket", "home"):
        (tmp_path / folder / "a").mkdir(parents=True)
        (tmp_path / folder / "a" / LEDGER_FILE).write_text(folder, encoding="utf-8")
    with pytest.raises(LedgerError, match="already has a search 'a'"):
        restore_copy(str(tmp_path / "bucket" / "a"), tmp_path / "home")
    assert (tmp_path / "home" / "a" / LEDGER_FILE).read_text(encoding="utf-8") == "home"


def test_without_a_copy(tmp_path: Path) -> None:
    """A storage without one is refused, and nothing is left behind."""
    with pytest.raises(LedgerError, match=r"bucket/a contains neither a ledger .* nor search.json"):
        restore_copy(str(tmp_path / "bucket" / "a"), tmp_path / "home")
    assert not list(tmp_path.iterdir())


def test_changes_are_shown_and_asked_for(make_spec, tmp_path: Path) -> None:
    """A changed file is refused with every difference, unless the changes are accepted."""
    before = make_spec(**FILE, name="a")
    path = tmp_path / "any.yaml"
    path.write_text(json.dumps({**FILE, "name": "other"}), encoding="utf-8")
    assert changed_spec(before, path, (), accept=False) == before
    overrides = ("train.iterations=18", "space.y={float: [0, 1]}")
    with pytest.raises(LedgerError) as caught:
        changed_spec(before, path, overrides, accept=False)
    message = str(caught.value)
    assert "train.iterations: 9 -> 18" in message
    assert "space.y: float -1.0 .. 1.0 -> float 0.0 .. 1.0" in message
    assert "--accept-changes" in message
    after = changed_spec(before, path, overrides, accept=True)
    assert (after.name, after.train["iterations"]) == ("a", 18)


def test_a_search_keeps_a_default_that_has_changed_since(tmp_path: Path) -> None:
    """`data.sh_map` was geometric; a file that names neither value is the file it was."""
    path = tmp_path / "any.yaml"
    content: dict[str, Any] = {
        "name": "a",
        "search": {"minimize": "validation/mpjpe_mm", "trials": 2},
        "space": {"optim.lr_generator": {"float": [1e-5, 1e-3]}},
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    today = load_spec(path)
    assert today.train["data"]["sh_map"] == "fitted"
    before = load_spec(path, ("data.sh_map=geometric",))
    assert changed_spec(before, path, (), accept=False) == before
    assert changed_spec(today, path, (), accept=False) == today
    with pytest.raises(LedgerError, match=r"value of train\.data\.sh_map: .*geometric.* -> .*kudo"):
        changed_spec(before, path, ("data.sh_map=kudo",), accept=True)


def test_paths_of_a_restored_search(make_spec, tmp_path: Path) -> None:
    """Checkpoints stay where the file said, whatever the home."""
    spec = make_spec(storage=str(tmp_path / "bucket"))
    found = SearchPaths(tmp_path / "new", spec.name).storage(spec)
    assert found.local_path == tmp_path / "bucket" / spec.name


def test_another_goal_is_another_search(make_spec, tmp_path: Path) -> None:
    """Trials judged by one goal tell nothing about another: it is refused, accepted or not."""
    before = make_spec(**FILE, name="a")
    path = tmp_path / "any.yaml"
    search = {"maximize": "loss", "trials": 4}
    path.write_text(json.dumps({**FILE, "search": search}), encoding="utf-8")
    for accept in (False, True):
        with pytest.raises(LedgerError, match="'a' trains 'scripted' to minimize loss"):
            changed_spec(before, path, (), accept=accept)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("storage=/other", 'storage: null -> "/other"'),
        ("ledger=postgresql://db/other", 'ledger: null -> "postgresql://db/other"'),
        ("train.state_size=32", "train.state_size: 16 -> 32"),
    ],
)
def test_what_trials_stand_on_stays(make_spec, tmp_path: Path, option: str, told: str) -> None:
    """Waiting trials would lose their checkpoints or could not use them: refused all the same."""
    before = make_spec(**FILE, name="a")
    path = tmp_path / "any.yaml"
    path.write_text(json.dumps(FILE), encoding="utf-8")
    for accept in (False, True):
        with pytest.raises(LedgerError) as caught:
            changed_spec(before, path, (option,), accept=accept)
        assert told in str(caught.value)
        assert "launch another search" in str(caught.value)


def test_a_searched_name_can_be_fixed(make_spec, tmp_path: Path) -> None:
    """Trials that exist hold their own values of it; the other way round they would lose theirs."""
    before = make_spec(**FILE, name="a")
    path = tmp_path / "any.yaml"
    path.write_text(json.dumps(FILE), encoding="utf-8")
    after = changed_spec(before, path, ("space.y=null", "train.y=0.5"), accept=True)
    assert after.train["y"] == 0.5
    values = {"x": 0.1, "y": 0.2}
    assert trial_config(after, values, 0) == trial_config(before, values, 0)
    with pytest.raises(LedgerError, match=r"another value of train.y: 0.5 -> 0.0"):
        changed_spec(after, path, (), accept=True)
