"""Where the files of a search are."""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path

import pytest
from synrep_search.errors import LedgerError
from synrep_search.paths import (
    LEDGER_FILE,
    SearchPaths,
    artifact_folder,
    home_dir,
    names,
    sqlite_file,
    trial_folder,
)


def test_the_home(monkeypatch, tmp_path: Path) -> None:
    """As given, else as the environment says, else a folder here; always absolute."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNREP_HOME", raising=False)
    assert home_dir() == tmp_path / "searches"
    monkeypatch.setenv("SYNREP_HOME", "")
    assert home_dir() == tmp_path / "searches"
    monkeypatch.setenv("SYNREP_HOME", "elsewhere")
    assert home_dir() == tmp_path / "elsewhere"
    assert home_dir(Path("given")) == tmp_path / "given"


def test_everything_lies_in_the_home(tmp_path: Path, make_spec) -> None:
    """Without other wishes, ledger, checkpoints and runs are below the home."""
    spec, paths = make_spec(), SearchPaths(tmp_path, "a")
    assert paths.folder == tmp_path / "a"
    assert paths.ledger_url(spec) == f"sqlite:///{tmp_path}/a/ledger.sqlite"
    assert paths.storage(spec).local_path == paths.folder
    assert paths.tracking_uri(spec) == f"sqlite:///{tmp_path}/mlflow.db"
    assert paths.best.parent == paths.exports.parent == paths.folder
    folders = [trial_folder(number, "9f86d081884c") for number in (7, 12345)]
    assert folders == ["trials/0007-9f86d081", "trials/12345-9f86d081"]


def test_wishes_are_followed(tmp_path: Path, make_spec) -> None:
    """Ledger, storage and tracking server of the file win; each search has its own folder."""
    spec = make_spec(
        ledger="postgresql://db/synrep", storage=str(tmp_path / "s"), tracking={"uri": "http://m:1"}
    )
    paths = SearchPaths(tmp_path / "home", "a")
    assert paths.ledger_url(spec) == "postgresql://db/synrep"
    assert paths.storage(spec).local_path == tmp_path / "s" / "a"
    assert paths.tracking_uri(spec) == "http://m:1"


def test_searches_of_a_home(tmp_path: Path, make_spec) -> None:
    """A folder with a ledger, or a note where it is, is a search; nothing else is."""
    assert names(tmp_path / "nowhere") == []
    for name in ("b", "a", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "b" / LEDGER_FILE).touch()
    (tmp_path / "mlflow.db").touch()
    SearchPaths(tmp_path, "a").note_ledger(make_spec(ledger="postgresql://db/synrep"))
    assert names(tmp_path) == ["a", "b"]


def test_a_noted_ledger_is_found(tmp_path: Path, make_spec) -> None:
    """The ledger of a search elsewhere is remembered; one in the folder needs no note."""
    paths = SearchPaths(tmp_path, "a")
    paths.note_ledger(make_spec(ledger="postgresql://db/synrep"))
    assert paths.ledger_url() == "postgresql://db/synrep"
    here = SearchPaths(tmp_path, "b")
    here.folder.mkdir()
    here.ledger_file.touch()
    assert here.ledger_url() == f"sqlite:///{here.ledger_file}"


def test_an_unknown_search_is_refused(tmp_path: Path, make_spec) -> None:
    """The message lists what there is; no folder appears."""
    with pytest.raises(LedgerError, match=r"no search 'a' in .*\(there are: none\)"):
        SearchPaths(tmp_path, "a").ledger_url()
    SearchPaths(tmp_path, "b").note_ledger(make_spec(ledger="sqlite:///x"))
    with pytest.raises(LedgerError, match=r"no search 'a' in .*\(there are: b\)"):
        SearchPaths(tmp_path, "a").ledger_url()
    assert not (tmp_path / "a").exists()


def test_a_launch_that_fails_leaves_no_note(tmp_path: Path, make_spec) -> None:
    """It could lead to somebody else's search of the same name."""
    paths = SearchPaths(tmp_path, "a")
    paths.folder.mkdir()
    with suppress(LedgerError), paths.begun():
        paths.note_ledger(make_spec(ledger="postgresql://db/synrep"))
        raise LedgerError("exists")
    assert list(paths.folder.iterdir()) == []


def test_a_launch_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Neither its folder nor a home that was made for it; what was there before stays."""
    paths = SearchPaths(tmp_path / "home", "a")
    with pytest.raises(FileNotFoundError), paths.begun():
        (paths.folder / "missing" / "something").touch()
    assert list(tmp_path.iterdir()) == []
    with paths.begun():
        pass
    with pytest.raises(FileNotFoundError), SearchPaths(tmp_path / "home", "b").begun():
        (paths.folder / "missing" / "something").touch()
    assert [path.name for path in paths.home.iterdir()] == ["a"]


def test_a_command_finds_the_search_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that is not the usual one is part of what must be typed."""
    monkeypatch.setenv("SYNREP_HOME", str(tmp_path))
    assert SearchPaths(tmp_path, "a").typed == "a"
    assert SearchPaths(tmp_path / "b", "a").typed == f"a --home {tmp_path / 'b'}"
    odd = SearchPaths(tmp_path / "it's $HOME", "a")
    assert shlex.split(odd.typed) == ["a", "--home", str(odd.home)]


def test_artifacts_of_a_sqlite_store_are_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The working directory of the process does not matter; a server is no file."""
    monkeypatch.chdir(tmp_path)
    file = sqlite_file("sqlite:////data/searches/mlflow.db")
    assert file == Path("/data/searches/mlflow.db")
    assert artifact_folder(file) == Path("/data/searches/mlartifacts")
    assert sqlite_file("sqlite:///mlflow.db") == tmp_path / "mlflow.db"
    assert sqlite_file("http://mlflow:5000") is None
