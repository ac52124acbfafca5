"""Which code and data a search ran on."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import synrep_search
from synrep_search import provenance as module
from synrep_search.provenance import code_version, data_fingerprint, provenance

from faults.matrix import cells
from faults.recording import Record
from synrep.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch) -> Path:
    """A module in a repository of its own, taken for the package's."""
    file = tmp_path / "code" / "platform" / "synrep_search" / "provenance.py"
    file.parent.mkdir(parents=True)
    file.write_text("x = 1\n", encoding="utf-8")
    monkeypatch.setattr(module, "__file__", str(file))
    root = file.parents[2]
    (root / "notes.md").write_text("one\n", encoding="utf-8")
    (root / ".gitignore").write_text("__pycache__/\n", encoding="utf-8")
    git(root, "init", "-q")
    commit(root)
    return file


def git(folder: Path, *words: str) -> str:
    """Run git as nobody in particular."""
    who = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True
    )
    return done.stdout


def commit(root: Path) -> None:
    """Commit all that there is."""
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "words")


def test_a_clean_checkout_is_its_revision(checkout) -> None:
    """Committed code is named by its revision."""
    revision = git(checkout.parent, "rev-parse", "HEAD")
    assert code_version() == revision[:12]


def test_changes_are_told_apart(checkout) -> None:
    """Uncommitted changes give a version of their own, each another, the same one again."""
    found = [code_version()]
    for text in ("x = 2\n", "x = 3\n", "x = 2\n"):
        checkout.write_text(text, encoding="utf-8")
        found.append(code_version())
    assert found[1] == found[3]
    assert len(set(found)) == 3
    assert re.fullmatch(rf"{found[0]}\+dirty\.[0-9a-f]{{8}}", found[1])


def test_a_new_module_is_a_change(checkout) -> None:
    """Also before git is told of it; what git ignores is none."""
    found = [code_version()]
    for name, text in (("new.py", "y = 1\n"), ("new.py", "y = 2\n"), ("newer.py", "y = 2\n")):
        checkout.with_name(name).write_text(text, encoding="utf-8")
        found.append(code_version())
    assert len(set(found)) == 4
    cache = checkout.with_name("__pycache__")
    cache.mkdir()
    (cache / "new.pyc").write_bytes(b"new")
    assert code_version() == found[-1]


def test_what_cannot_be_read_is_a_change(checkout) -> None:
    """An editor's lock is a link to nothing, and a repository in this one is no file."""
    found = [code_version()]
    lock = checkout.with_name(".#new.py")
    for aim in ("me@host.1", "me@host.2"):
        lock.unlink(missing_ok=True)
        lock.symlink_to(aim)
        found.append(code_version())
    nested = checkout.with_name("nested")
    nested.mkdir()
    git(nested, "init", "-q")
    (nested / "x").write_text("x", encoding="utf-8")
    commit(nested)
    found.append(code_version())
    assert len(set(found)) == 4
    assert all(version.startswith(f"{found[0]}+dirty.") for version in found[1:])


def test_documents_are_no_code(checkout) -> None:
    """Neither an edit of a document nor its commit gives another version; a commit of code does."""
    before, root = code_version(), checkout.parents[2]
    for name in ("notes.md", "new.md"):
        (root / name).write_text("two\n", encoding="utf-8")
        assert code_version() == before
    commit(root)
    assert code_version() == before
    checkout.write_text("x = 2\n", encoding="utf-8")
    commit(root)
    assert code_version() == git(root, "rev-parse", "HEAD")[:12] != before


def test_results_are_gone_on_with_after_a_restart(checkout) -> None:
    """That they are written into the checkout itself, where git knows them, changes no version."""
    path = checkout.parents[2] / "docs" / "reliability.json"
    path.parent.mkdir()
    first, second = cells("driver-kill-9")[:2]
    for cell in (first, second):
        record, code = Record(path), code_version()
        assert not record.has(cell.id, code)
        entry = {"fault": cell.fault, "moment": cell.moment, "trainer": cell.trainer}
        record.put({**entry, "code": code})
        assert Record(path).has(cell.id, code_version())
        commit(path.parent)
    assert Record(path).has(first.id, code_version())


def test_another_repository_is_not_its_checkout(checkout, monkeypatch) -> None:
    """A package that is installed somewhere in a repository is not named by that one's revision."""
    place = checkout.parents[2] / "lib" / "site-packages" / "synrep_search"
    place.mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(place / checkout.name))
    assert code_version() == synrep_search.__version__


def test_without_a_checkout_it_is_the_package(tmp_path: Path, monkeypatch) -> None:
    """An installed package names its version."""
    monkeypatch.setattr(module, "__file__", str(tmp_path / "provenance.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert code_version() == synrep_search.__version__


def test_without_git_it_is_the_package(monkeypatch, tmp_path: Path) -> None:
    """A machine without git gives the package's version, too."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("git") is None
    assert code_version() == synrep_search.__version__


def test_a_trainer_without_poses_has_no_data(make_spec) -> None:
    """Its data fingerprint is empty, and every search has an id of its own."""
    spec = make_spec()
    one, two = provenance(spec), provenance(spec)
    assert one["data"] == ""
    assert one["id"] != two["id"]
    assert set(one) == {"id", "code", "data", "created"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", one["created"])


def test_poses_that_cannot_be_used_are_an_error(make_spec, tmp_path: Path) -> None:
    """A pose store that is damaged is found before anything is written."""
    (tmp_path / "store.json").write_text("{}", encoding="utf-8")
    spec = make_spec(
        trainer="synrep",
        train={},
        data={"poses": str(tmp_path)},
        space={"loss.lambda_angle": {"log": [0.01, 10]}},
        search={"minimize": "validation/mpjpe_mm"},
    )
    with pytest.raises(InputError, match=r"store\.json"):
        data_fingerprint(spec)
    assert [path.name for path in tmp_path.iterdir()] == ["store.json"]


def test_the_subjects_of_each_split_are_told(make_spec, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the poses' fingerprint, as tags of the search's run; unless there are too many."""
    spec = make_spec(
        trainer="synrep",
        train={},
        space={"loss.lambda_angle": {"log": [0.1, 1.0]}},
        search={"minimize": "validation/mpjpe_mm"},
    )
    found = provenance(spec)
    assert json.loads(found["subjects"])["test"] == ["actor11", "actor12"]
    assert found["data"] == data_fingerprint(spec)
    monkeypatch.setattr(module, "LONGEST_TAG", 10)
    assert "subjects" not in provenance(spec)
