"""`import synrep_search`: searches that are launched, read, stopped and resumed from Python."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import synrep_search
from synrep_search import SearchHandle

import synrep

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPTED: dict[str, Any] = {
    "name": "small",
    "trainer": "scripted",
    "train": {"iterations": 4, "reports": 2},
    "space": {"x": {"float": [0, 1]}, "y": {"choice": [0.0, 1.0]}},
    "search": {"minimize": "loss", "trials": 3},
}
MODEL: dict[str, Any] = {
    "name": "model",
    "train": {
        "iterations": 20,
        "reports": 2,
        "batch_size": 16,
        "generator.width": 16,
        "reprojection_network.width": 16,
        "critic.branch_width": 8,
        "evaluation.views": 64,
    },
    "space": {
        "kcs.weighting": {"one_of": {"band": {"reach": {"int": [1, 7]}}, "uniform": {}}},
    },
    "start_from": [{"kcs.weighting": {"family": "uniform"}}],
    "search": {"minimize": "validation/mpjpe_mm", "trials": 2},
    "tracking": {"keep_best": 0},
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which a test works; its home is `searches`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNREP_HOME", raising=False)
    return tmp_path / "searches"


def test_importing_loads_nothing_heavy() -> None:
    """Also where its names are listed and its errors taken."""
    code = (
        "import sys, synrep_search; assert 'launch' in dir(synrep_search)\n"
        "synrep_search.SpecError\n"
        "print(*{'ray', 'optuna', 'mlflow', 'torch', 'sqlalchemy', 'pandas', 'numpy', 'pydantic'}"
        " & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"\n"


def launch(**sections: Any) -> SearchHandle:
    """A search of the scripted trainer, without Ray."""
    return synrep_search.launch({**SCRIPTED, **sections}, local=True)


def test_every_name_is_there() -> None:
    """And no other one."""
    assert set(synrep_search.__all__) < set(dir(synrep_search))
    assert all(getattr(synrep_search, name).__doc__ for name in synrep_search.__all__)
    with pytest.raises(AttributeError, match="no attribute 'lanch'"):
        _ = synrep_search.lanch  # type: ignore[attr-defined]


def test_a_search_is_launched_and_read(run, home, capfd, caplog) -> None:
    """It says the same as the command line, prints nothing, and logs what became of its trials."""
    with caplog.at_level(logging.INFO, "synrep_search"):
        search = launch()
    assert capfd.readouterr() == ("", "")
    assert sum(" completed, best " in line for line in caplog.messages) == 3
    assert repr(search) == f"SearchHandle('small', home={str(home)!r})"
    assert search.spec.search.trials == 3
    assert search.status() == json.loads(run("status", "small", "--json").stdout)
    assert search.status()["state"] == "finished"
    told = json.loads(run("status", "small", "--trials", "--json").stdout)
    table = search.trials()
    assert list(table.columns) == [
        "number", "state", "value", "best_iteration", "iteration", "attempts", "seconds", "cause",
        "seed", "params.x", "params.y",
    ]  # fmt: skip
    assert table["value"].tolist() == [trial["value"] for trial in told]
    assert table["params.x"].tolist() == [trial["params"]["x"] for trial in told]
    assert table["seed"].nunique() == 3
    best = search.best()
    assert best is not None
    assert best["value"] == table["value"].min()
    assert best["params"] == search.status()["best"]["params"]
    assert best["best_iteration"] == table["best_iteration"][best["number"]]


def test_a_file_with_overrides(home, capfd) -> None:
    """By dotted key, as words of the command line are; it is shown if that is asked for."""
    Path("file.yaml").write_text(json.dumps(SCRIPTED))
    search = synrep_search.launch(
        "file.yaml",
        {"search.trials": np.int64(2), "space.y": None, "train.once": Path("a b: c")},
        name="other",
        home=home / "mine",
        local=True,
        show=True,
    )
    assert (search.name, search.paths.folder) == ("other", home / "mine" / "other")
    assert search.spec.train["once"] == "a b: c"
    assert len(search.trials()) == 2
    assert "params.y" not in search.trials()
    assert "trial 1 completed" in capfd.readouterr().out
    words = synrep_search.load_spec(SCRIPTED, ["search.trials=2", "space.y=null"])
    assert words.search == search.spec.search
    assert words.space == search.spec.space


def test_a_search_without_results(home) -> None:
    """All columns are there, and there is no best."""
    search = launch(train={**SCRIPTED["train"], "nan_at": 1})
    assert search.status()["state"] == "failed"
    assert search.best() is None
    table = search.trials()
    assert table["state"].tolist() == ["diverged"] * 3
    assert table["value"].isna().all()
    assert table["cause"].str.contains("nan").all()


def test_mistakes_are_exceptions(home) -> None:
    """Those of the package, with the messages of the command line; nothing is left behind."""
    with pytest.raises(synrep_search.SpecError, match="did you mean train") as caught:
        launch(trian={}, space={"x": {"float": [1, 0]}})
    assert len(caught.value.problems) == 2
    assert all(problem.where == "the search" for problem in caught.value.problems)
    with pytest.raises(synrep_search.SpecError, match="only a file can extend"):
        launch(extends="a.yaml")
    with pytest.raises(synrep.InputError, match="nothing that a configuration can hold"):
        launch(train={"iterations": object()})
    assert not home.exists()
    launch()
    with pytest.raises(synrep_search.LedgerError, match="exists already"):
        launch()
    with pytest.raises(synrep_search.LedgerError, match="there are: small"):
        synrep_search.open_search("smal")
    with pytest.raises(synrep_search.LedgerError, match="not a valid name of a search"):
        synrep_search.open_search("../small")
    with pytest.raises(synrep.InputError, match="changes need the search"):
        synrep_search.resume("small", overrides={"search.trials": 9})
    with pytest.raises(synrep_search.LedgerError, match="trains no generator"):
        synrep_search.open_search("small").best_lifter()
    assert synrep_search.open_search("small").status()["target"] == 3


def test_a_search_takes_more_trials_and_changes(home) -> None:
    """Changes are listed, and made when they are accepted."""
    launch()
    search = synrep_search.resume("small", trials=4, local=True)
    assert search.trials()["attempts"].tolist() == [1] * 4
    changed = {**SCRIPTED, "search": {"minimize": "loss", "trials": 5}}
    with pytest.raises(synrep_search.LedgerError, match=r"search\.trials"):
        synrep_search.resume("small", changed, local=True)
    search = synrep_search.resume("small", changed, accept_changes=True, local=True)
    assert (search.status()["state"], len(search.trials())) == ("finished", 5)


def test_a_running_search(home, wait_for: Callable[..., Any]) -> None:
    """It is read by others, takes no second driver, and is stopped and resumed; nothing is lost."""
    sections = {
        "train": {"iterations": 100, "reports": 100, "sleep_s": 0.04},
        "search": {"minimize": "loss", "trials": 2},
    }
    ended: list[SearchHandle] = []
    driver = threading.Thread(target=lambda: ended.append(launch(**sections)))
    driver.start()
    wait_for(lambda: (home / "small" / "ledger.sqlite").exists() and _begun())
    first, second = (synrep_search.open_search("small", home) for _ in range(2))
    assert first.status()["state"] == second.status()["state"] == "running"
    assert first.trials()["state"].tolist()[-1] == "running"
    assert first.best() is not None
    with pytest.raises(synrep_search.LeaseHeld):
        synrep_search.resume("small", local=True)
    assert second.stop()
    driver.join(timeout=30)
    assert not driver.is_alive()
    assert ended[0].status()["state"] == "interrupted"
    assert not second.stop()
    done = int(first.trials()["iteration"].max())
    assert 0 < done <= 100
    synrep_search.resume("small", {**SCRIPTED, **sections}, local=True)
    assert first.status()["state"] == "finished"
    assert first.trials()["iteration"].tolist() == [100] * 2


def _begun() -> bool:
    """Whether the search of this folder has a report."""
    try:
        best: Any = synrep_search.open_search("small").best()
    except synrep_search.NoSearch:
        return False
    return best is not None


def test_the_best_generator(home) -> None:
    """From a checkpoint or its export it lifts the same; a damaged checkpoint is passed over."""
    search = synrep_search.launch(MODEL, local=True)
    best = search.best()
    assert best is not None
    keypoints = np.random.default_rng(0).normal(500, 100, size=(3, 17, 2))
    lifter = search.best_lifter()
    assert lifter.best["value"] == best["value"]
    assert lifter.config.seed == best["seed"]
    table = search.trials()
    assert table["params.kcs.weighting"][0] == "uniform"
    poses = lifter.lift(keypoints).poses
    folder = search.export("exports/best")
    np.testing.assert_array_equal(synrep.load_lifter(folder).lift(keypoints).poses, poses)
    assert [path.name[:4] for path in (home / "model" / "exports").iterdir()] == [
        f"{best['number']:04d}"
    ]
    np.testing.assert_array_equal(search.best_lifter().lift(keypoints).poses, poses)
    (newest, *_) = sorted((home / "model" / "exports").iterdir())
    for path in newest.iterdir():
        path.unlink()
    newest.rmdir()
    _damage_newest(home / "model" / "trials", best["number"])
    older = search.best_lifter()
    assert older.best["iteration"] == 10
    _damage_newest(home / "model" / "trials", best["number"])
    with pytest.raises(synrep_search.LedgerError, match="can't be read"):
        search.best_lifter()


def _damage_newest(trials: Path, number: int) -> None:
    """Truncate the newest whole checkpoint of a trial."""
    whole = [path for path in trials.glob(f"{number:04d}-*/*") if path.stat().st_size > 1]
    max(whole).write_bytes(b"x")
